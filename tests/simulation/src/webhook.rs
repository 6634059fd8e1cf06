//! GitLab's webhook: each merge request that ends is told once to `merge-webhook`, as its function URL hands it on.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use guard_world::World;
use serde_json::{Value, json};

/// What GitLab sends as `X-Gitlab-Token`.
pub const TOKEN: &str = "gitlab-webhook-token";

/// Which merge requests were told.
#[derive(Default)]
pub(crate) struct Webhook {
    told: Mutex<BTreeSet<(String, u64)>>,
}

impl Webhook {
    /// Another one that has told the same.
    pub(crate) fn fork(&self) -> Self {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { told: Mutex::new(told) }
    }

    /// Deliveries about what has ended since the last time.
    pub(crate) fn deliveries(&self, world: &World) -> Vec<Value> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = world.merge_requests().into_iter().filter(|request| request.state != "opened");
        ended
            .filter(|request| told.insert((request.project.clone(), request.iid)))
            .map(|request| {
                let action = if request.state == "merged" { "merge" } else { "close" };
                delivery(TOKEN, request.iid, action, &request.state)
            })
            .collect()
    }
}

/// One delivery, as Lambda makes an event of it.
pub fn delivery(token: &str, iid: u64, action: &str, state: &str) -> Value {
    let document = json!({
        "object_kind": "merge_request", "event_type": "merge_request",
        "object_attributes": {"iid": iid, "action": action, "state": state},
    });
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "",
        "headers": {
            "content-type": "application/json", "x-gitlab-event": "Merge Request Hook", "x-gitlab-token": token,
        },
        "requestContext": {"http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1"}},
        "body": document.to_string(), "isBase64Encoded": false,
    })
}
