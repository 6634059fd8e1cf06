//! GUARD's own identity.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use guard_tasks::Clock;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};

/// Keys that end sooner than this are asked for again.
const ASK_BEFORE: SignedDuration = SignedDuration::from_mins(5);

/// An identity as the adapters take it.
pub type Identity = SharedCredentialsProvider;

/// Keys as the platform gives them to a function. They live longer than the process that was given them.
#[derive(Debug, Clone)]
pub struct OwnKeys {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: SecretString,
    /// The session they belong to.
    pub session_token: Option<SecretString>,
}

impl OwnKeys {
    /// The keys as adapters take them. Without keys the first call to AWS is `Denied`; whoever needs no AWS needs none.
    pub fn provider(keys: Option<&Self>) -> SharedCredentialsProvider {
        keys.map_or_else(
            || SharedCredentialsProvider::new(NoKeys),
            |keys| SharedCredentialsProvider::new(keys.credentials(None)),
        )
    }

    /// Keys that are asked for again shortly before they end: a person's session is shorter than a run. `ask` may wait
    /// for another program; it says in words why there are none.
    pub fn renewed(
        clock: Arc<dyn Clock>,
        first: TimedKeys,
        ask: impl Fn() -> Result<TimedKeys, String> + Send + Sync + 'static,
    ) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(RenewedKeys { clock, ask: Box::new(ask), kept: Mutex::new(first) })
    }

    fn credentials(&self, expires_at: Option<Timestamp>) -> Credentials {
        Credentials::new(
            self.access_key_id.as_str(),
            self.secret_access_key.expose_secret(),
            self.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
            expires_at.map(SystemTime::from),
            "guard-own-keys",
        )
    }
}

/// Keys with their end.
#[derive(Debug, Clone)]
pub struct TimedKeys {
    /// The keys.
    pub keys: OwnKeys,
    /// When they end; `None` for keys that do not.
    pub expires_at: Option<Timestamp>,
}

struct RenewedKeys {
    clock: Arc<dyn Clock>,
    ask: Box<dyn Fn() -> Result<TimedKeys, String> + Send + Sync>,
    kept: Mutex<TimedKeys>,
}

impl RenewedKeys {
    /// The lock is held while asking: of two calls at once one asks, and the other gets its answer.
    fn current(&self) -> Result<TimedKeys, CredentialsError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if kept.expires_at.is_some_and(|end| now.duration_until(end) <= ASK_BEFORE) {
            *kept = (self.ask)().map_err(CredentialsError::not_loaded)?;
        }
        Ok(kept.clone())
    }
}

impl fmt::Debug for RenewedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenewedKeys").finish_non_exhaustive()
    }
}

impl ProvideCredentials for RenewedKeys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let current = self.current();
        future::ProvideCredentials::ready(current.map(|timed| timed.keys.credentials(timed.expires_at)))
    }
}

#[derive(Debug)]
struct NoKeys;

impl ProvideCredentials for NoKeys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded(
            "this process was given no AWS keys",
        )))
    }
}
