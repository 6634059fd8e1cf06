//! GUARD's own identity.

use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use secrecy::{ExposeSecret as _, SecretString};

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
            |keys| {
                SharedCredentialsProvider::new(Credentials::new(
                    keys.access_key_id.as_str(),
                    keys.secret_access_key.expose_secret(),
                    keys.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
                    None,
                    "guard-own-keys",
                ))
            },
        )
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
