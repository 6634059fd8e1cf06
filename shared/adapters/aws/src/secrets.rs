//! Secrets Manager: reading one secret by its name.

use std::fmt;
use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use guard_http::{System, Transport};
use guard_tasks::{Clock, TaskError};
use secrecy::SecretString;

use crate::error;
use crate::sdk::Sdk;

/// The secrets of GUARD's own account. Nothing is kept here: who caches a value also knows when it is refused.
pub struct Secrets {
    client: aws_sdk_secretsmanager::Client,
}

impl Secrets {
    /// `endpoint` is a base URL, when the service is not where AWS has it.
    pub fn new(
        transport: Arc<dyn Transport>,
        credentials: SharedCredentialsProvider,
        clock: Arc<dyn Clock>,
        region: &str,
        endpoint: Option<&String>,
    ) -> Self {
        let config = Sdk::new(transport, clock).config(System::SecretsManager, region, endpoint, credentials);
        Self { client: aws_sdk_secretsmanager::Client::new(&config) }
    }

    /// The newest value of a secret that is text.
    pub async fn read(&self, name: &str) -> Result<SecretString, TaskError> {
        let label = format!("Secrets Manager GetSecretValue {name}");
        let answer = self
            .client
            .get_secret_value()
            .secret_id(name)
            .send()
            .await
            .map_err(|error| error::classify(&label, &error))?;
        let text = answer.secret_string.filter(|text| !text.trim().is_empty());
        // A line end at the end comes from an editor or `echo`; no token and no document needs it.
        text.map(|text| SecretString::from(text.trim_end()))
            .ok_or_else(|| TaskError::rejected("the secret is binary or empty").context(label))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}
