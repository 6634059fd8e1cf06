//! A client that needs a secret: made at its first use, made again when the secret was rotated.

mod ports;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::lock::Mutex;
use guard_domain::Budget;
use guard_tasks::{ErrorName, TaskError};
use secrecy::{ExposeSecret as _, SecretString};

type Read = dyn Fn() -> BoxFuture<'static, Result<Admission, TaskError>> + Send + Sync;
type Build<T> = dyn Fn(Admission) -> Result<T, TaskError> + Send + Sync;

/// What a client of a vendor is made of.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Where the vendor is, from the configuration; empty for a client that knows.
    pub address: String,
    /// Requests that all functions together may send there, where that is limited.
    pub budget: Option<Budget>,
    /// What it lets us in with.
    pub secret: SecretString,
}

impl Admission {
    fn is(&self, other: &Self) -> bool {
        self.address == other.address
            && self.budget == other.budget
            && self.secret.expose_secret() == other.secret.expose_secret()
    }
}

/// Stands in for a `T` wherever a port is asked for. Composing a function reads neither configuration nor secret; the
/// first call does, for all that wait beside it, and a reading that failed is tried again by the next. A rotated secret
/// needs no new process: after a `Denied` both are read once more, and if they changed, the call is made once more.
pub struct WithSecret<T> {
    read: Box<Read>,
    build: Box<Build<T>>,
    /// Held while reading, so that calls made together read once.
    kept: Mutex<Option<Kept<T>>>,
}

struct Kept<T> {
    admission: Admission,
    client: Arc<T>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { admission: self.admission.clone(), client: Arc::clone(&self.client) }
    }
}

impl<T> WithSecret<T> {
    /// `read` gets the newest address and secret; `build` makes the client from them and calls nobody.
    pub fn new(
        read: impl Fn() -> BoxFuture<'static, Result<Admission, TaskError>> + Send + Sync + 'static,
        build: impl Fn(Admission) -> Result<T, TaskError> + Send + Sync + 'static,
    ) -> Self {
        Self { read: Box::new(read), build: Box::new(build), kept: Mutex::new(None) }
    }

    /// The same for a client that needs nothing but the secret.
    pub fn of_secret(
        read: impl Fn() -> BoxFuture<'static, Result<SecretString, TaskError>> + Send + Sync + 'static,
        build: impl Fn(SecretString) -> Result<T, TaskError> + Send + Sync + 'static,
    ) -> Self {
        let admit = |secret| Admission { address: String::new(), budget: None, secret };
        let read = move || read().map(move |secret| secret.map(admit)).boxed();
        Self::new(read, move |admission| build(admission.secret))
    }

    async fn call<R, F, Fut>(&self, act: F) -> Result<R, TaskError>
    where
        F: Fn(Arc<T>) -> Fut,
        Fut: Future<Output = Result<R, TaskError>>,
    {
        let used = self.first().await?;
        let outcome = act(Arc::clone(&used.client)).await;
        if !outcome.as_ref().is_err_and(|error| error.name == ErrorName::Denied) {
            return outcome;
        }
        // Refused by the vendor: only another secret or another place could change that. When nothing else can be
        // read, the refusal stands.
        match self.other_than(&used.admission).await {
            Ok(Some(other)) => act(other).await,
            _ => outcome,
        }
    }

    async fn first(&self) -> Result<Kept<T>, TaskError> {
        let mut place = self.kept.lock().await;
        if let Some(kept) = &*place {
            return Ok(kept.clone());
        }
        let admission = (self.read)().await?;
        self.keep(&mut place, admission)
    }

    /// The client of the newest admission, if it is another than the refused one.
    async fn other_than(&self, refused: &Admission) -> Result<Option<Arc<T>>, TaskError> {
        let mut place = self.kept.lock().await;
        if let Some(kept) = &*place
            && !kept.admission.is(refused)
        {
            // A call beside this one was refused too, and has read already.
            return Ok(Some(Arc::clone(&kept.client)));
        }
        let admission = (self.read)().await?;
        if admission.is(refused) {
            return Ok(None);
        }
        Ok(Some(self.keep(&mut place, admission)?.client))
    }

    fn keep(&self, place: &mut Option<Kept<T>>, admission: Admission) -> Result<Kept<T>, TaskError> {
        let client = Arc::new((self.build)(admission.clone())?);
        Ok(place.insert(Kept { admission, client }).clone())
    }
}

impl<T> fmt::Debug for WithSecret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithSecret").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use guard_tasks::CommitReader;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Lets in who knows the password of the day.
    struct Door {
        token: String,
        password: Arc<Mutex<String>>,
    }

    #[async_trait]
    impl CommitReader for Door {
        async fn head(&self, project: &str, _: &str) -> Result<String, TaskError> {
            if self.token == *self.password.lock().unwrap() {
                return Ok(format!("head of {project}"));
            }
            Err(TaskError::new(ErrorName::Denied, "401"))
        }

        async fn is_ancestor(&self, _: &str, _: &str, _: &str) -> Result<bool, TaskError> {
            Err(TaskError::new(ErrorName::Transient, "503"))
        }
    }

    struct Scene {
        door: WithSecret<Door>,
        /// `None`: it cannot be read.
        stored: Arc<Mutex<Option<String>>>,
        address: Arc<Mutex<String>>,
        password: Arc<Mutex<String>>,
        reads: Arc<AtomicUsize>,
    }

    fn scene() -> Scene {
        let stored = Arc::new(Mutex::new(Some("one".to_owned())));
        let address = Arc::new(Mutex::new("here".to_owned()));
        let password = Arc::new(Mutex::new("one".to_owned()));
        let reads = Arc::new(AtomicUsize::new(0));
        let (kept, place, counted) = (Arc::clone(&stored), Arc::clone(&address), Arc::clone(&reads));
        let read = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let (secret, address) = (kept.lock().unwrap().clone(), place.lock().unwrap().clone());
            async move {
                // Gives way once, as a call over the network does.
                tokio::task::yield_now().await;
                let secret = secret.ok_or_else(|| TaskError::new(ErrorName::Throttled, "400"))?;
                Ok(Admission { address, budget: None, secret: SecretString::from(secret) })
            }
            .boxed()
        };
        let asked = Arc::clone(&password);
        let build = move |admission: Admission| {
            // At another address another door takes the same token.
            let token = match admission.address.as_str() {
                "here" => admission.secret.expose_secret().to_owned(),
                other => format!("{}@{other}", admission.secret.expose_secret()),
            };
            Ok(Door { token, password: Arc::clone(&asked) })
        };
        Scene { door: WithSecret::new(read, build), stored, address, password, reads }
    }

    impl Scene {
        async fn enter(&self) -> Result<String, ErrorName> {
            self.door.head("g/p", "main").await.map_err(|error| error.name)
        }

        fn reads(&self) -> usize {
            self.reads.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn the_secret_is_read_at_first_use_and_kept() {
        let scene = scene();
        assert_eq!(scene.reads(), 0);
        assert_eq!(scene.enter().await.unwrap(), "head of g/p");
        scene.enter().await.unwrap();
        assert_eq!(scene.reads(), 1);
    }

    #[tokio::test]
    async fn a_rotated_secret_is_read_again_once() {
        let scene = scene();
        scene.enter().await.unwrap();
        *scene.stored.lock().unwrap() = Some("two".into());
        *scene.password.lock().unwrap() = "two".into();
        scene.enter().await.unwrap();
        assert_eq!(scene.reads(), 2);
        scene.enter().await.unwrap();
        assert_eq!(scene.reads(), 2, "the new one is kept");
    }

    #[tokio::test]
    async fn the_same_secret_is_not_tried_twice() {
        let scene = scene();
        *scene.password.lock().unwrap() = "other".into();
        assert_eq!(scene.enter().await, Err(ErrorName::Denied));
        assert_eq!(scene.reads(), 2);
    }

    #[tokio::test]
    async fn other_errors_read_nothing_again() {
        let scene = scene();
        let error = scene.door.is_ancestor("g/p", "a", "b").await.unwrap_err();
        assert_eq!((error.name, scene.reads()), (ErrorName::Transient, 1));
    }

    #[tokio::test]
    async fn calls_made_together_read_once() {
        let scene = scene();
        let entered = futures::future::join_all((0..20).map(|_| scene.enter())).await;
        assert!(entered.iter().all(Result::is_ok), "{entered:?}");
        assert_eq!(scene.reads(), 1);
        *scene.stored.lock().unwrap() = Some("two".into());
        *scene.password.lock().unwrap() = "two".into();
        let entered = futures::future::join_all((0..20).map(|_| scene.enter())).await;
        assert!(entered.iter().all(Result::is_ok), "{entered:?}");
        assert_eq!(scene.reads(), 2, "the first that was refused read for all");
    }

    #[tokio::test]
    async fn a_reading_that_failed_is_not_kept() {
        let scene = scene();
        *scene.stored.lock().unwrap() = None;
        assert_eq!(scene.enter().await, Err(ErrorName::Throttled));
        *scene.stored.lock().unwrap() = Some("one".into());
        scene.enter().await.unwrap();
        assert_eq!(scene.reads(), 2);
    }

    #[tokio::test]
    async fn a_vendor_that_moved_is_found_after_a_refusal() {
        let scene = scene();
        scene.enter().await.unwrap();
        *scene.address.lock().unwrap() = "there".into();
        scene.enter().await.unwrap();
        assert_eq!(scene.reads(), 1, "as long as the old place answers, it is used");
        *scene.password.lock().unwrap() = "one@there".into();
        scene.enter().await.unwrap();
        assert_eq!(scene.reads(), 2);
    }
}
