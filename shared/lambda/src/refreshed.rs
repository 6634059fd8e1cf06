//! What is checked against a secret, when a wrong answer does not say whose fault it is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::lock::Mutex;
use guard_tasks::{Clock, DeliveryReader, News, TaskError};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

/// A rotated secret counts after this time. Reading it anew at every wrong guess instead would let strangers decide how
/// often Secrets Manager is called.
const FRESH_FOR: SignedDuration = SignedDuration::from_mins(1);

type Read = dyn Fn() -> BoxFuture<'static, Result<SecretString, TaskError>> + Send + Sync;
type Build<T> = dyn Fn(SecretString) -> T + Send + Sync;

/// Stands in for a `T` that is made from a secret, and makes it anew from the newest one once a minute at most.
pub struct Refreshed<T> {
    read: Box<Read>,
    build: Box<Build<T>>,
    clock: Arc<dyn Clock>,
    /// Held while reading, so that calls made together read once.
    kept: Mutex<Option<(Timestamp, Arc<T>)>>,
}

impl<T> Refreshed<T> {
    /// `read` gets the secret's newest value; `build` makes the rest from it.
    pub fn new(
        read: impl Fn() -> BoxFuture<'static, Result<SecretString, TaskError>> + Send + Sync + 'static,
        build: impl Fn(SecretString) -> T + Send + Sync + 'static,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { read: Box::new(read), build: Box::new(build), clock, kept: Mutex::new(None) }
    }

    async fn fresh(&self) -> Result<Arc<T>, TaskError> {
        let mut place = self.kept.lock().await;
        let now = self.clock.now();
        if let Some((read_at, kept)) = &*place
            && now.duration_since(*read_at).abs() < FRESH_FOR
        {
            return Ok(Arc::clone(kept));
        }
        let made = Arc::new((self.build)((self.read)().await?));
        *place = Some((now, Arc::clone(&made)));
        Ok(made)
    }
}

#[async_trait]
impl<T: DeliveryReader> DeliveryReader for Refreshed<T> {
    async fn read(
        &self,
        headers: &BTreeMap<String, String>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<News, TaskError> {
        self.fresh().await?.read(headers, body, now).await
    }
}

impl<T> fmt::Debug for Refreshed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refreshed").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use guard_tasks::ErrorName;
    use secrecy::ExposeSecret as _;
    use std::sync::Mutex as Cell;

    struct Hands(Cell<Timestamp>);

    impl Clock for Hands {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
    }

    struct Scene {
        secret: Refreshed<String>,
        /// What is stored, and how often it was read. `None` cannot be read.
        stored: Arc<Cell<(Option<String>, usize)>>,
        hands: Arc<Hands>,
    }

    fn scene() -> Scene {
        let stored = Arc::new(Cell::new((Some("one".to_owned()), 0)));
        let hands = Arc::new(Hands(Cell::new(Timestamp::UNIX_EPOCH)));
        let kept = Arc::clone(&stored);
        let read = move || {
            let mut stored = kept.lock().unwrap();
            stored.1 += 1;
            let secret = stored.0.clone().map(SecretString::from);
            async move { secret.ok_or_else(|| TaskError::new(ErrorName::Throttled, "400")) }.boxed()
        };
        let build = |secret: SecretString| secret.expose_secret().to_owned();
        Scene { secret: Refreshed::new(read, build, hands.clone()), stored, hands }
    }

    impl Scene {
        async fn seen(&self) -> Result<String, ErrorName> {
            self.secret.fresh().await.map(|kept| (*kept).clone()).map_err(|error| error.name)
        }

        fn reads(&self) -> usize {
            self.stored.lock().unwrap().1
        }

        fn later(&self, seconds: i64) {
            *self.hands.0.lock().unwrap() += SignedDuration::from_secs(seconds);
        }
    }

    #[tokio::test]
    async fn a_secret_is_read_once_a_minute_however_often_it_is_asked_for() {
        let scene = scene();
        for _ in 0..100 {
            assert_eq!(scene.seen().await.unwrap(), "one");
        }
        scene.later(59);
        scene.seen().await.unwrap();
        assert_eq!(scene.reads(), 1);
    }

    #[tokio::test]
    async fn a_rotated_secret_counts_after_a_minute() {
        let scene = scene();
        scene.seen().await.unwrap();
        scene.stored.lock().unwrap().0 = Some("two".into());
        assert_eq!(scene.seen().await.unwrap(), "one");
        scene.later(60);
        assert_eq!(scene.seen().await.unwrap(), "two");
    }

    /// The old one may have been taken away on purpose: without a newer look nobody is let in.
    #[tokio::test]
    async fn a_secret_that_cannot_be_read_again_is_not_used_any_longer() {
        let scene = scene();
        scene.seen().await.unwrap();
        scene.stored.lock().unwrap().0 = None;
        scene.later(61);
        assert_eq!(scene.seen().await, Err(ErrorName::Throttled));
        scene.stored.lock().unwrap().0 = Some("two".into());
        assert_eq!(scene.seen().await.unwrap(), "two");
    }
}
