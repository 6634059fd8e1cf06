//! What a function reaches the world with: the stores, the way out, and the vendors' clients behind their secrets.

mod people;

use std::path::Path;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use guard_aws::{Aws, DynamoDb, Endpoints, Functions, OwnKeys, Parameters, Secrets, StepFunctions, Watcher};
use guard_domain::{Budget, Config};
use guard_http::cluster_access::ClusterAccess;
use guard_http::{Metered, ReqwestTransport, Traced, Transport};
use guard_tasks::ledger::Ledger;
use guard_tasks::{Clock, ConfigReader, Context as _, TaskError, task};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::config_document::ConfigDocument;
use crate::{Admission, ConfigPlace, EndpointOverrides, Refreshed, Settings, SystemClock, WithSecret};

/// Composes a function. Nothing is called yet: every client waits for its first use.
pub struct Outside {
    settings: Settings,
    config: Arc<dyn ConfigReader>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    stores: Arc<DynamoDb>,
}

/// `guard/datadog-credentials`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DatadogKeys {
    api_key: SecretString,
    app_key: SecretString,
}

impl Outside {
    /// Nothing is read yet, the configuration neither.
    pub fn new(settings: Settings) -> Self {
        let transport: Arc<dyn Transport> = Arc::new(Traced(ReqwestTransport::new()));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let stores = Arc::new(DynamoDb::new(
            Arc::clone(&transport),
            OwnKeys::provider(settings.own_keys.as_ref()),
            Arc::clone(&clock),
            &settings.region,
            settings.endpoints.dynamodb.as_ref(),
            settings.tables.clone(),
        ));
        let config = Arc::new(match settings.config.clone() {
            ConfigPlace::File(path) => ConfigDocument::File(path),
            ConfigPlace::Parameter(name) => {
                let parameters = Parameters::new(
                    Arc::clone(&transport),
                    OwnKeys::provider(settings.own_keys.as_ref()),
                    Arc::clone(&clock),
                    &settings.region,
                    settings.endpoints.ssm.as_ref(),
                );
                ConfigDocument::Parameter(parameters, name)
            }
        });
        Self { settings, config, transport, clock, stores }
    }

    /// The configuration document, read whenever it is asked for.
    pub fn config(&self) -> Arc<dyn ConfigReader> {
        Arc::clone(&self.config)
    }

    /// Registry, run record, locks and task tokens.
    pub fn stores(&self) -> Arc<DynamoDb> {
        Arc::clone(&self.stores)
    }

    /// What every task of a run reads and writes.
    pub fn ledger(&self) -> Ledger {
        Ledger {
            config: self.config(),
            batches: self.stores(),
            clusters: self.stores(),
            statuses: self.stores(),
            records: self.stores(),
            clock: self.clock(),
        }
    }

    /// The real time.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The one way out.
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.transport)
    }

    /// The way into the clusters of the fleet.
    pub fn cluster_access(&self) -> Arc<dyn ClusterAccess> {
        let EndpointOverrides { sts, eks, .. } = self.settings.endpoints.clone();
        let keys = OwnKeys::provider(self.settings.own_keys.as_ref());
        let aws = Aws::new(self.transport(), keys, self.clock(), Endpoints { sts, eks });
        Arc::new(match &self.settings.external_id {
            Some(id) => aws.with_external_id(id),
            None => aws,
        })
    }

    /// Where istioctl is, if it is anywhere.
    pub fn istioctl(&self) -> &Path {
        &self.settings.istioctl
    }

    /// The one folder that Lambda lets a function write to.
    pub fn scratch(&self) -> &Path {
        Path::new("/tmp")
    }

    /// Executions and task tokens.
    pub fn step_functions(&self) -> Arc<StepFunctions> {
        Arc::new(StepFunctions::new(
            self.transport(),
            OwnKeys::provider(self.settings.own_keys.as_ref()),
            self.clock(),
            &self.settings.region,
            self.settings.endpoints.step_functions.as_ref(),
        ))
    }

    /// The function that watches merge requests.
    pub fn watcher(&self) -> Arc<Watcher> {
        let functions = Functions::new(
            self.transport(),
            OwnKeys::provider(self.settings.own_keys.as_ref()),
            self.clock(),
            &self.settings.region,
            self.settings.endpoints.lambda.as_ref(),
        );
        Arc::new(Watcher::new(functions, &self.settings.watch_merges_function))
    }

    /// The webhook, by its secret, which is read again each minute that it is asked for.
    pub fn with_webhook_token<T>(
        &self,
        build: impl Fn(SecretString) -> T + Send + Sync + 'static,
    ) -> Arc<Refreshed<T>> {
        let read = self.reader_of(&self.settings.gitlab_webhook_secret);
        Arc::new(Refreshed::new(read, build, self.clock()))
    }

    /// GitLab, once its token is read: `build` gets the way out, the base URL and the token.
    pub fn with_gitlab_token<T>(
        &self,
        build: impl Fn(Arc<dyn Transport>, &str, SecretString) -> T + Send + Sync + 'static,
    ) -> Arc<WithSecret<T>> {
        let (transport, counters, clock) = (self.transport(), self.stores(), self.clock());
        let read = self.admission(&self.settings.gitlab_token_secret, |config| {
            let url = config.gitlab.url.trim();
            if url.is_empty() {
                return Err(TaskError::rejected(
                    "config gitlab.url is empty: name the GitLab that people open",
                ));
            }
            Ok((url.to_owned(), Some(Budget { per_minute: config.gitlab.requests_per_minute })))
        });
        Arc::new(WithSecret::new(read, move |admission| {
            let way = Arc::clone(&transport);
            let way: Arc<dyn Transport> = match admission.budget {
                Some(budget) => Arc::new(Metered::new(way, counters.clone(), budget, Arc::clone(&clock))),
                None => way,
            };
            Ok(build(way, &admission.address, admission.secret))
        }))
    }

    /// Datadog, once its keys are read: `build` gets the way out, the site, the API key and the application key.
    pub fn with_datadog_keys<T>(
        &self,
        build: impl Fn(Arc<dyn Transport>, &str, SecretString, SecretString) -> T + Send + Sync + 'static,
    ) -> Arc<WithSecret<T>> {
        let name = self.settings.datadog_credentials_secret.clone();
        let transport = self.transport();
        let read = self.admission(&name, |config| Ok((config.datadog.site.clone(), None)));
        Arc::new(WithSecret::new(read, move |admission| {
            let keys = datadog_keys(&name, &admission.secret)?;
            Ok(build(Arc::clone(&transport), &admission.address, keys.api_key, keys.app_key))
        }))
    }

    /// Reads where a vendor is and the secret that it asks for, both at once.
    fn admission(
        &self,
        secret: &str,
        address: impl Fn(&Config) -> Result<(String, Option<Budget>), TaskError> + Copy + Send + Sync + 'static,
    ) -> impl Fn() -> BoxFuture<'static, Result<Admission, TaskError>> + Send + Sync + 'static {
        let (config, secret) = (self.config(), self.reader_of(secret));
        move || {
            let (config, secret) = (Arc::clone(&config), secret());
            async move {
                let address = async { config.config().await.and_then(|config| address(&config)) };
                let ((address, budget), secret) =
                    futures::try_join!(address.map(|found| found.context("read configuration")), secret)?;
                Ok(Admission { address, budget, secret })
            }
            .boxed()
        }
    }

    /// Reads one secret, whenever it is called.
    fn reader_of(
        &self,
        name: &str,
    ) -> impl Fn() -> BoxFuture<'static, Result<SecretString, TaskError>> + Send + Sync + 'static {
        let secrets = Arc::new(Secrets::new(
            self.transport(),
            OwnKeys::provider(self.settings.own_keys.as_ref()),
            self.clock(),
            &self.settings.region,
            self.settings.endpoints.secrets_manager.as_ref(),
        ));
        let name = name.to_owned();
        move || {
            let (secrets, name) = (Arc::clone(&secrets), name.clone());
            async move { secrets.read(&name).await }.boxed()
        }
    }
}

fn datadog_keys(name: &str, document: &SecretString) -> Result<DatadogKeys, TaskError> {
    // A parser's text may quote what it read, which is a secret here: only the place is told.
    let not_json = || TaskError::rejected(format!("secret {name} is not JSON"));
    let value: Value = serde_json::from_str(document.expose_secret()).map_err(|_| not_json())?;
    task::decode("secret", value).map_err(|_| {
        TaskError::rejected(format!("secret {name} is not {{\"api_key\": \"...\", \"app_key\": \"...\"}}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use guard_tasks::{CommitReader, ErrorName};

    /// Composed of a configuration without GitLab, and no key to AWS.
    fn outside() -> Outside {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/no-gitlab.yaml");
        let settings = Settings::read(&|name| match name {
            "GUARD_CONFIG_FILE" => Some(file.to_owned()),
            name if name.starts_with("AWS_") && !name.contains("KEY") && !name.contains("TOKEN") => {
                (!name.contains("ENDPOINT") && !name.contains("LOG")).then(|| "x".to_owned())
            }
            _ => None,
        });
        Outside::new(settings.unwrap())
    }

    struct Nobody;

    #[async_trait::async_trait]
    impl CommitReader for Nobody {
        async fn head(&self, _: &str, _: &str) -> Result<String, TaskError> {
            Err(TaskError::internal("a client was made"))
        }

        async fn is_ancestor(&self, _: &str, _: &str, _: &str) -> Result<bool, TaskError> {
            Err(TaskError::internal("a client was made"))
        }
    }

    #[tokio::test]
    async fn a_gitlab_that_is_not_named_is_told_when_it_is_needed() {
        let gitlab = outside().with_gitlab_token(|_, _, _| Nobody);
        let error = gitlab.head("g/p", "main").await.unwrap_err();
        assert_eq!(error.name, ErrorName::Rejected);
        assert_eq!(
            error.chain(),
            "read configuration: config gitlab.url is empty: name the GitLab that people open"
        );
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_read_is_told_by_its_name() {
        let datadog = outside().with_datadog_keys(|_, _, _, _| Nobody);
        let error = datadog.head("g/p", "main").await.unwrap_err();
        assert_eq!(error.name, ErrorName::Denied);
        assert!(
            error.chain().contains("Secrets Manager GetSecretValue guard/datadog-credentials"),
            "{error}"
        );
    }

    #[test]
    fn datadog_keys_are_two_and_never_shown() {
        let keys = datadog_keys("d", &SecretString::from(r#"{"api_key": "a", "app_key": "b"}"#)).unwrap();
        assert_eq!((keys.api_key.expose_secret(), keys.app_key.expose_secret()), ("a", "b"));
        for wrong in
            ["hush", r#"{"api_key": "hush"}"#, r#"{"api_key": {"hush": 1}, "app_key": "x"}"#, r#"["hush"]"#]
        {
            let error = datadog_keys("d", &SecretString::from(wrong)).err().unwrap();
            assert!(
                error.chain().starts_with("secret d is not ") && !error.chain().contains("hush"),
                "{error}"
            );
        }
    }
}
