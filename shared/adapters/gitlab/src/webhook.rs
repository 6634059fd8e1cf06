//! Deliveries of a project's or group's webhook, event "Merge request events". Source: GitLab's documentation of webhook
//! events; `object_kind`, `object_attributes.action` and `.state` are stable there.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use guard_tasks::{DeliveryReader, News, TaskError};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

/// Carries the secret that was given when the webhook was made.
const TOKEN_HEADER: &str = "x-gitlab-token";

/// One webhook, by its secret.
pub struct Webhook {
    token: SecretString,
}

impl Webhook {
    /// `token` is what GitLab sends as `X-Gitlab-Token`.
    pub fn new(token: SecretString) -> Self {
        Self { token }
    }

    /// How long the comparison takes tells only whether the lengths are the same.
    fn is_authentic(&self, headers: &BTreeMap<String, String>) -> bool {
        let sent = headers.get(TOKEN_HEADER).map(String::as_bytes).unwrap_or_default();
        let token = self.token.expose_secret().as_bytes();
        !token.is_empty() && bool::from(token.ct_eq(sent))
    }
}

#[async_trait]
impl DeliveryReader for Webhook {
    async fn read(&self, headers: &BTreeMap<String, String>, body: &[u8]) -> Result<News, TaskError> {
        Ok(if self.is_authentic(headers) { news(body) } else { News::NotAuthentic })
    }
}

fn news(body: &[u8]) -> News {
    let Ok(Value::Object(document)) = serde_json::from_slice(body) else { return News::Unreadable };
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let attribute = |key: &str| document.get("object_attributes")?.get(key)?.as_str();
    let has_ended = match attribute("action") {
        Some("merge" | "close") => true,
        // A request may be updated and merged in one step, and only the update be told.
        Some("update") => matches!(attribute("state"), Some("merged" | "closed")),
        _ => false,
    };
    if text("object_kind") == Some("merge_request") && has_ended {
        News::MergeRequestEnded
    } else {
        News::Other
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}
