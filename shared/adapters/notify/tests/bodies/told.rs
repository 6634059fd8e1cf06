//! Notifications to send, and a transport that keeps what it was given.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use guard_domain::notification::Notification;
use guard_domain::{ClusterId, Direction, Plan};
use guard_http::{Call, TransportError};
use guard_notify::{PagerDuty, Slack};
use guard_tasks::{Notifier, TaskError};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub(crate) const WEBHOOK: &str = "https://hooks.slack.com/services/T0/B0/hush-path";
pub(crate) const KEY: &str = "hush-key";
const REQUEST: &str = "https://gitlab.example.com/platform/fleet/-/merge_requests/7";

pub(crate) fn plan(direction: &str) -> Plan {
    let cluster = |id: &str, old: &str| {
        let record = json!({
            "cluster_id": id, "batch_id": "prod-1", "environment": "prod", "region": "eu-west-1",
            "gitlab_repo": "platform/fleet", "flux_config_path": "clusters/x", "aws_role_arn": "arn:aws:iam::1:role/x",
            "current_istio_version": old, "datadog_tags": {"cluster": id, "env": "prod"},
            "owner_team": "mesh", "owner_handle": "mesh", "last_updated": "2026-11-01T00:00:00Z"
        });
        json!({"record": record, "old": old, "new": "1.30.5"})
    };
    serde_json::from_value(json!({
        "run_id": "prod-1-1.30.5",
        "execution_arn": "arn:aws:states:eu-west-1:123456789012:execution:guard-batch-upgrade:prod-1-1.30.5",
        "direction": direction, "batch_id": "prod-1", "started_at": "2026-11-28T08:00:00Z", "reason": null,
        "clusters": [cluster("eks-prod-1", "1.29.3"), cluster("eks-prod-2", "1.29.8")],
        "target_branch": "main", "config": {}
    }))
    .unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// One of each, by name.
pub(crate) fn all() -> Vec<(&'static str, Notification)> {
    let plan = plan("upgrade");
    let failed = [ClusterId::parse("eks-prod-2").unwrap()];
    let until = time("2026-12-01T08:15:00Z");
    let hurt = "eks-prod-2: 0.42 % of requests fail, 0.08 % did before; too many & <rising>".to_owned();
    let request = [REQUEST.to_owned()];
    let merge = |direction| Notification::waiting_for_merge(&plan, direction, &failed, &request, until);
    let finding =
        "NODE_NOT_READY eks-prod-1: node ip-10-0-1-7: not Ready; mend <it> & start again".to_owned();
    vec![
        (
            "gate-failed",
            Notification::gate_failed(
                &plan,
                "pre-check failed for eks-prod-1; nothing was changed",
                vec![finding],
            ),
        ),
        ("waiting-for-merge", merge(Direction::Upgrade)),
        ("waiting-for-merge-of-rollback", merge(Direction::Rollback)),
        (
            "rollback-unmerged",
            Notification::rollback_unmerged(&plan, &failed, &request, SignedDuration::from_mins(45), until),
        ),
        ("waiting-for-person", Notification::waiting_for_person(&plan, &failed, vec![hurt.clone()], until)),
        (
            "rolled-back",
            Notification::rolled_back(
                &plan,
                "rolled back: eks-prod-2; healthy: eks-prod-1",
                vec![hurt],
                &request,
            ),
        ),
        (
            "rollback-failed",
            Notification::rollback_failed(&plan, "not back at the old version: eks-prod-2", &request),
        ),
        (
            "halted-before-merge",
            Notification::halted(&plan, "pre-check found no answer for eks-prod-1", false),
        ),
        ("halted-after-merge", Notification::halted(&plan, "no answer for eks-prod-1", true)),
    ]
}

pub(crate) type Answer = Result<http::Response<Bytes>, TransportError>;

pub(crate) fn status(code: u16, body: &'static str) -> http::Response<Bytes> {
    let mut answer = http::Response::new(Bytes::from_static(body.as_bytes()));
    *answer.status_mut() = http::StatusCode::from_u16(code).unwrap();
    answer
}

/// Both channels, in front of something that always answers the same.
pub(crate) struct Out {
    pub(crate) slack: Slack,
    pub(crate) pager: PagerDuty,
    sent: Arc<Mutex<Vec<Call>>>,
}

impl Out {
    pub(crate) fn new(answer: impl Fn() -> http::Response<Bytes> + Send + Sync + 'static) -> Self {
        Self::at(WEBHOOK, answer)
    }

    pub(crate) fn at(
        webhook: &str,
        answer: impl Fn() -> http::Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        Self::with(webhook, move || Ok(answer()))
    }

    /// In front of something that may also stay silent.
    pub(crate) fn with(webhook: &str, answer: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sent);
        let transport: Arc<dyn guard_http::Transport> = Arc::new(move |call: Call| {
            kept.lock().unwrap().push(call);
            answer()
        });
        Self {
            slack: Slack::new(Arc::clone(&transport), webhook.to_owned().into()),
            pager: PagerDuty::new(transport, None, KEY.to_owned().into()),
            sent,
        }
    }

    pub(crate) fn sent(&self) -> Vec<Call> {
        self.sent.lock().unwrap().clone()
    }

    /// Sends it to one of the two and gives the body that arrived.
    pub(crate) async fn body(&self, to: &dyn Notifier, told: &Notification) -> Value {
        to.notify(told).await.unwrap();
        serde_json::from_slice(self.sent().last().unwrap().request.body()).unwrap()
    }

    /// What both channels make of the answer.
    pub(crate) async fn refusals(&self) -> [TaskError; 2] {
        let (_, told) = &all()[0];
        [self.slack.notify(told).await.unwrap_err(), self.pager.notify(told).await.unwrap_err()]
    }
}
