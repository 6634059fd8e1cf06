//! Reaching people.

use std::sync::Arc;

use async_trait::async_trait;
use guard_domain::notification::{Channel, Incident, Notification};

use crate::TaskError;

/// One way to reach people: a chat room, a pager.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Hands the notification over, in one attempt. An error means that nobody knows whether it arrived; it names no
    /// address and no key.
    async fn notify(&self, notification: &Notification) -> Result<(), TaskError>;

    /// Says that an incident is over. One that was never told, or is over already, is a success; so is a channel that
    /// knows no incidents.
    async fn resolve(&self, incident: &Incident) -> Result<(), TaskError>;
}

/// The channels that are on. None is on by default.
#[derive(Clone, Default)]
pub struct Channels {
    /// Gets everything.
    pub chat: Option<Arc<dyn Notifier>>,
    /// Gets what needs a person.
    pub pager: Option<Arc<dyn Notifier>>,
}

impl Channels {
    /// Those that are on, in a fixed order.
    pub fn on(&self) -> impl Iterator<Item = (Channel, &Arc<dyn Notifier>)> {
        let chat = self.chat.iter().map(|notifier| (Channel::Chat, notifier));
        chat.chain(self.pager.iter().map(|notifier| (Channel::Pager, notifier)))
    }
}
