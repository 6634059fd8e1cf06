//! Being told earlier: deliveries of a webhook, and the watcher that they wake.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::TaskError;

/// Who is believed to have sent a delivery, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The sender does not know the secret: whatever it says is not looked at.
    NotAuthentic,
    /// No document of the kind that was agreed on.
    Unreadable,
    /// Nothing that anybody waits for.
    Other,
    /// Some merge request may have been merged or closed: it is time to look.
    MergeRequestEnded,
}

/// The deliveries of the Git server's webhook.
#[async_trait]
pub trait DeliveryReader: Send + Sync {
    /// Checks the sender and reads what it says. Names of headers are in lower case. What was signed long before `now` was
    /// heard by somebody else first.
    async fn read(
        &self,
        headers: &BTreeMap<String, String>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<News, TaskError>;
}

/// The watcher of merge requests.
#[async_trait]
pub trait WatcherWaker: Send + Sync {
    /// Lets it look now instead of at its next minute, and does not wait for it. Waking it twice is harmless.
    async fn wake(&self) -> Result<(), TaskError>;
}
