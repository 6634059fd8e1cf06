//! The channels to people, each once its secret is read.

use std::sync::Arc;

use async_trait::async_trait;
use guard_domain::notification::{Channel, Incident, Notification};
use guard_http::Transport;
use guard_tasks::{Channels, Notifier, TaskError};
use secrecy::SecretString;
use serde_json::Map;

use super::Outside;
use crate::WithSecret;
use crate::metrics::{Measurement, Metrics};

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
            self.counted(Channel::Chat, WithSecret::of_secret(self.reader_of(name), build))
        });
        let pager = self.settings.pagerduty_key_secret.as_deref().map(|name| {
            let (transport, base_url) = (self.transport(), self.settings.pagerduty_url.clone());
            let build = move |key| Ok(pager(Arc::clone(&transport), base_url.as_deref(), key));
            self.counted(Channel::Pager, WithSecret::of_secret(self.reader_of(name), build))
        });
        Channels { chat, pager }
    }

    fn counted<T: Notifier + 'static>(&self, channel: Channel, notifier: T) -> Arc<dyn Notifier> {
        let metrics = Metrics::on_stdout(&self.settings.function_name);
        Arc::new(Counted { channel, notifier, metrics })
    }
}

/// A channel whose failures are counted.
struct Counted<T> {
    channel: Channel,
    notifier: T,
    metrics: Metrics,
}

impl<T> Counted<T> {
    fn count(&self, outcome: Result<(), TaskError>) -> Result<(), TaskError> {
        if outcome.is_err() {
            let failed = Measurement::count("NotificationsFailed", 1, &[("Channel", self.channel.as_str())]);
            self.metrics.write(&[failed], &Map::new());
        }
        outcome
    }
}

#[async_trait]
impl<T: Notifier> Notifier for Counted<T> {
    async fn notify(&self, notification: &Notification) -> Result<(), TaskError> {
        self.count(self.notifier.notify(notification).await)
    }

    async fn resolve(&self, incident: &Incident) -> Result<(), TaskError> {
        self.count(self.notifier.resolve(incident).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guard_tasks::ErrorName;
    use serde_json::{Value, json};
    use std::sync::Mutex;

    struct Mute(bool);

    #[async_trait]
    impl Notifier for Mute {
        async fn notify(&self, _: &Notification) -> Result<(), TaskError> {
            unreachable!("no notification is made here")
        }

        async fn resolve(&self, _: &Incident) -> Result<(), TaskError> {
            if self.0 { Err(TaskError::new(ErrorName::Transient, "503")) } else { Ok(()) }
        }
    }

    #[test]
    fn a_channel_is_on_when_its_secret_is_named() {
        let on = |secret: &'static str| {
            let environment = move |asked: &str| {
                let is_needed = ["AWS_REGION", "GUARD_CONFIG_FILE"].contains(&asked)
                    || (asked.starts_with("AWS_LAMBDA_") && asked != "AWS_LAMBDA_LOG_LEVEL");
                (is_needed || asked == secret).then(|| "x".to_owned())
            };
            let outside = Outside::new(crate::Settings::read(&environment).unwrap());
            let channels = outside.notifier(|_, _| Mute(false), |_, _, _| Mute(false));
            (channels.chat.is_some(), channels.pager.is_some())
        };
        assert_eq!(on(""), (false, false));
        assert_eq!(on("GUARD_NOTIFICATION_WEBHOOK_SECRET"), (true, false));
        assert_eq!(on("GUARD_PAGERDUTY_KEY_SECRET"), (false, true));
    }

    #[tokio::test]
    async fn only_what_failed_is_counted() {
        let lines: Arc<Mutex<Vec<Value>>> = Arc::default();
        let run = guard_domain::RunId::parse("run-1").unwrap();
        let incident = guard_domain::notification::NotificationKind::Halted.incident(&run);
        for is_mute in [false, true] {
            let kept = Arc::clone(&lines);
            let metrics = Metrics::to("guard-settle", move |line| kept.lock().unwrap().push(line.clone()));
            let channel = Counted { channel: Channel::Pager, notifier: Mute(is_mute), metrics };
            assert_eq!(channel.resolve(&incident).await.is_err(), is_mute);
        }
        let lines = lines.lock().unwrap();
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((&line["Channel"], &line["NotificationsFailed"]), (&json!("pager"), &json!(1)));
    }
}
