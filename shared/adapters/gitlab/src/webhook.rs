//! Deliveries of a project's or group's webhook, event "Merge request events". Source: GitLab's documentation of webhook
//! events; `object_kind`, `object_attributes.action` and `.state` are stable there.
//!
//! A webhook has one secret, in one of two forms. `whsec_...` is a signing token: each delivery is signed in the form of
//! Standard Webhooks (gitlab-org/gitlab!230944). Anything else is what GitLab sends as it is.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use guard_tasks::{DeliveryReader, News, TaskError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// Carries the secret that was given when the webhook was made.
const TOKEN_HEADER: &str = "x-gitlab-token";

/// What a signing token begins with; the key is base64 after it.
const SIGNING_TOKEN: &str = "whsec_";

/// How far the time of a signed delivery may be from ours. GitLab gives up a delivery after ten seconds; the rest is for
/// clocks that differ. Five minutes is what Standard Webhooks advises.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// One webhook, by its secret.
pub struct Webhook {
    token: SecretString,
}

impl Webhook {
    /// `token` is what GitLab sends as `X-Gitlab-Token`, or the signing token, `whsec_...`.
    pub fn new(token: SecretString) -> Self {
        Self { token }
    }

    fn is_authentic(&self, headers: &BTreeMap<String, String>, body: &[u8], now: Timestamp) -> bool {
        let secret = self.token.expose_secret().trim();
        match secret.strip_prefix(SIGNING_TOKEN) {
            Some(key) => is_signed(key, headers, body, now).unwrap_or(false),
            None => is_known(secret, headers),
        }
    }
}

/// How long the comparison takes tells only whether the lengths are the same.
fn is_known(token: &str, headers: &BTreeMap<String, String>) -> bool {
    let sent = headers.get(TOKEN_HEADER).map(String::as_bytes).unwrap_or_default();
    !token.is_empty() && bool::from(token.as_bytes().ct_eq(sent))
}

/// Whether one of the signatures is over this id, this time and this body, and the time is now. `None` is a no, too:
/// something is missing or is not what it should be.
fn is_signed(key: &str, headers: &BTreeMap<String, String>, body: &[u8], now: Timestamp) -> Option<bool> {
    let header = |name: &str| headers.get(name).map(|value| value.trim());
    let (id, time) = (header("webhook-id")?, header("webhook-timestamp")?);
    let signed_at = Timestamp::from_second(time.parse().ok()?).ok()?;
    if now.duration_since(signed_at).abs() > TOLERANCE {
        return Some(false);
    }
    let key = BASE64_STANDARD.decode(key).ok().filter(|key| !key.is_empty())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{time}.").as_bytes());
    mac.update(body);
    // While a token is changed there is one signature for the old and one for the new.
    Some(header("webhook-signature")?.split(' ').any(|signature| {
        let sent = signature.strip_prefix("v1,").and_then(|value| BASE64_STANDARD.decode(value).ok());
        // Compared in constant time by the library.
        sent.is_some_and(|sent| mac.clone().verify_slice(&sent).is_ok())
    }))
}

#[async_trait]
impl DeliveryReader for Webhook {
    async fn read(
        &self,
        headers: &BTreeMap<String, String>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<News, TaskError> {
        Ok(if self.is_authentic(headers, body, now) { news(body) } else { News::NotAuthentic })
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
