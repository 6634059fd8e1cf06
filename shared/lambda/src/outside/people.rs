//! The channels to people, each once its secret is read.

use std::sync::Arc;

use guard_http::Transport;
use guard_tasks::{Channels, Notifier};
use secrecy::SecretString;

use super::Outside;
use crate::WithSecret;

impl Outside {
    /// The channels whose secret is named in the settings; without a name a channel is off. Nothing is read before
    /// something is told. `chat` gets the way out and the webhook's address; `pager` the way out, its base URL if it is
    /// not the usual one, and the routing key.
    pub fn notifier<C, P>(
        &self,
        chat: impl Fn(Arc<dyn Transport>, SecretString) -> C + Send + Sync + 'static,
        pager: impl Fn(Arc<dyn Transport>, Option<&str>, SecretString) -> P + Send + Sync + 'static,
    ) -> Channels
    where
        C: Notifier + 'static,
        P: Notifier + 'static,
    {
        let chat = self.settings.notification_webhook_secret.as_deref().map(|name| {
            let transport = self.transport();
            let build = move |url| Ok(chat(Arc::clone(&transport), url));
            Arc::new(WithSecret::new(self.reader_of(name), build)) as Arc<dyn Notifier>
        });
        let pager = self.settings.pagerduty_key_secret.as_deref().map(|name| {
            let (transport, base_url) = (self.transport(), self.settings.pagerduty_url.clone());
            let build = move |key| Ok(pager(Arc::clone(&transport), base_url.as_deref(), key));
            Arc::new(WithSecret::new(self.reader_of(name), build)) as Arc<dyn Notifier>
        });
        Channels { chat, pager }
    }
}
