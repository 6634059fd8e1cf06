//! The Lambda function `merge-webhook`: the task of that name, wired to GitLab's webhook and `watch-merges`.

use guard_gitlab::Webhook;
use guard_lambda::{Outside, Settings};
use guard_tasks::merge_webhook::MergeWebhook;

/// Wires the task. Nothing is read and nobody is called yet.
pub fn compose(settings: Settings) -> MergeWebhook {
    let outside = Outside::new(settings);
    MergeWebhook {
        deliveries: outside.with_webhook_token(Webhook::new),
        watcher: outside.watcher(),
        clock: outside.clock(),
    }
}
