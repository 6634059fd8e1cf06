//! What a deployed GUARD reaches beyond AWS: its configuration, and Datadog with its keys.

use std::sync::Arc;

use guard_aws::Parameters;
use guard_datadog::Datadog;
use guard_domain::Config;
use guard_tasks::{TaskError, task};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::Deployment;
use crate::failure::Failure;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DatadogKeys {
    api_key: SecretString,
    app_key: SecretString,
}

impl Deployment {
    /// The parameter that the functions read their configuration from.
    pub(crate) fn config_parameter(&self) -> String {
        let default = format!("/{}/config", self.prefix);
        self.variable("GUARD_CONFIG_PARAMETER").cloned().unwrap_or(default)
    }

    /// Its text.
    pub(crate) async fn config_text(&self, name: &str) -> Result<Result<String, TaskError>, Failure> {
        let endpoint = self.endpoint("SSM")?;
        let parameters = Parameters::new(
            Arc::clone(&self.transport),
            self.identity.clone(),
            Arc::clone(&self.clock),
            &self.region,
            endpoint.as_ref(),
        );
        Ok(self.ask(|| parameters.read(name)).await)
    }

    /// The secret of Datadog's keys.
    pub(crate) fn datadog_secret(&self) -> String {
        let default = || "guard/datadog-credentials".to_owned();
        self.variable("GUARD_DATADOG_CREDENTIALS_SECRET").cloned().unwrap_or_else(default)
    }

    /// Datadog with the keys of this document.
    pub(crate) fn datadog(
        &self,
        config: &Config,
        secret: &str,
        document: &SecretString,
    ) -> Result<Datadog, TaskError> {
        let shape = || {
            TaskError::rejected(format!(
                "secret {secret} must be a JSON object with exactly api_key and app_key"
            ))
        };
        // The decoder's own words could quote the secret.
        let document: Value = serde_json::from_str(document.expose_secret()).map_err(|_| shape())?;
        let keys: DatadogKeys = task::decode("secret", document).map_err(|_| shape())?;
        Ok(Datadog::new(Arc::clone(&self.transport), &config.datadog.site, keys.api_key, keys.app_key))
    }
}
