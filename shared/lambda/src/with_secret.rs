//! A client that needs a secret: made at its first use, made again when the secret was rotated.

mod ports;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use guard_tasks::{ErrorName, TaskError};
use secrecy::{ExposeSecret as _, SecretString};

type Read = dyn Fn() -> BoxFuture<'static, Result<SecretString, TaskError>> + Send + Sync;
type Build<T> = dyn Fn(SecretString) -> Result<T, TaskError> + Send + Sync;

/// Stands in for a `T` wherever a port is asked for. Composing a function reads no secret, and a rotated one needs no
/// new process: after a `Denied` the secret is read once more, and if it is another one, the call is made once more.
pub struct WithSecret<T> {
    read: Box<Read>,
    build: Box<Build<T>>,
    kept: Mutex<Option<Kept<T>>>,
}

struct Kept<T> {
    secret: SecretString,
    client: Arc<T>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { secret: self.secret.clone(), client: Arc::clone(&self.client) }
    }
}

impl<T> WithSecret<T> {
    /// `read` gets the secret's newest value; `build` makes the client from it and calls nobody.
    pub fn new(
        read: impl Fn() -> BoxFuture<'static, Result<SecretString, TaskError>> + Send + Sync + 'static,
        build: impl Fn(SecretString) -> Result<T, TaskError> + Send + Sync + 'static,
    ) -> Self {
        Self { read: Box::new(read), build: Box::new(build), kept: Mutex::new(None) }
    }

    async fn call<R, F, Fut>(&self, act: F) -> Result<R, TaskError>
    where
        F: Fn(Arc<T>) -> Fut,
        Fut: Future<Output = Result<R, TaskError>>,
    {
        let kept = match self.known() {
            Some(kept) => kept,
            None => self.keep((self.read)().await?)?,
        };
        let outcome = act(Arc::clone(&kept.client)).await;
        if !outcome.as_ref().is_err_and(|error| error.name == ErrorName::Denied) {
            return outcome;
        }
        // Refused by the vendor: only another secret could change that. When none can be read, the refusal stands.
        match (self.read)().await {
            Ok(fresh) if fresh.expose_secret() != kept.secret.expose_secret() => {
                let kept = self.keep(fresh)?;
                act(kept.client).await
            }
            _ => outcome,
        }
    }

    fn known(&self) -> Option<Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, secret: SecretString) -> Result<Kept<T>, TaskError> {
        let client = Arc::new((self.build)(secret.clone())?);
        let kept = Kept { secret, client };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept.clone());
        Ok(kept)
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
    use futures::FutureExt as _;
    use guard_tasks::CommitReader;
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
        stored: Arc<Mutex<String>>,
        password: Arc<Mutex<String>>,
        reads: Arc<AtomicUsize>,
    }

    fn scene() -> Scene {
        let stored = Arc::new(Mutex::new("one".to_owned()));
        let password = Arc::new(Mutex::new("one".to_owned()));
        let reads = Arc::new(AtomicUsize::new(0));
        let (kept, counted, asked) = (Arc::clone(&stored), Arc::clone(&reads), Arc::clone(&password));
        let read = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let secret = SecretString::from(kept.lock().unwrap().clone());
            async move { Ok(secret) }.boxed()
        };
        let build = move |token: SecretString| {
            Ok(Door { token: token.expose_secret().to_owned(), password: Arc::clone(&asked) })
        };
        Scene { door: WithSecret::new(read, build), stored, password, reads }
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
        *scene.stored.lock().unwrap() = "two".into();
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
}
