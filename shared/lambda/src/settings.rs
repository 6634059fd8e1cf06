//! Settings: the environment, read once.

mod table;

use std::path::PathBuf;

use guard_aws::{OwnKeys, TableNames};
use secrecy::SecretString;

use crate::InitError;
use crate::telemetry::LogLevel;

pub use table::{VARIABLES, Variable};

/// What Lambda sets itself. Without one of these there is no invocation to answer, and the runtime would panic.
const OF_LAMBDA: [&str; 4] = [
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_RUNTIME_API",
];

/// What a function is told from outside. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `AWS_LAMBDA_FUNCTION_NAME`.
    pub function_name: String,
    /// `AWS_REGION`: where GUARD itself runs.
    pub region: String,
    /// `GUARD_CONFIG_PARAMETER` or `GUARD_CONFIG_FILE`: the configuration document, YAML.
    pub config: ConfigPlace,
    /// `GUARD_GITLAB_TOKEN_SECRET`: name in Secrets Manager; the secret is the token itself.
    pub gitlab_token_secret: String,
    /// `GUARD_DATADOG_CREDENTIALS_SECRET`: name in Secrets Manager; the secret is `{"api_key", "app_key"}`.
    pub datadog_credentials_secret: String,
    /// `GUARD_NOTIFICATION_WEBHOOK_SECRET`: name in Secrets Manager; the secret is the webhook's URL. Without it nothing
    /// is told in a chat room.
    pub notification_webhook_secret: Option<String>,
    /// `GUARD_PAGERDUTY_KEY_SECRET`: name in Secrets Manager; the secret is the routing key. Without it nobody is paged.
    pub pagerduty_key_secret: Option<String>,
    /// `GUARD_PAGERDUTY_URL`: where PagerDuty takes events, if not at `https://events.pagerduty.com`.
    pub pagerduty_url: Option<String>,
    /// `GUARD_GITLAB_WEBHOOK_SECRET`: name in Secrets Manager; the secret is what GitLab sends as `X-Gitlab-Token`.
    pub gitlab_webhook_secret: String,
    /// `GUARD_WATCH_MERGES_FUNCTION`: name or ARN of the function that the webhook wakes.
    pub watch_merges_function: String,
    /// `GUARD_ISTIOCTL`: where the program is, if it is anywhere.
    pub istioctl: PathBuf,
    /// `GUARD_EXTERNAL_ID`: sent when a member account's role is assumed, for roles that ask for one.
    pub external_id: Option<String>,
    /// `GUARD_REGISTRY_TABLE`, `GUARD_RUNS_TABLE` and `GUARD_LOCKS_TABLE`: names in DynamoDB.
    pub tables: TableNames,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, as Lambda gives them.
    pub own_keys: Option<OwnKeys>,
    /// Where AWS services are, when they are not where AWS has them.
    pub endpoints: EndpointOverrides,
    pub(crate) log_level: LogLevel,
}

/// Where the configuration document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigPlace {
    /// `GUARD_CONFIG_FILE`: a path.
    File(PathBuf),
    /// `GUARD_CONFIG_PARAMETER`: a name in SSM Parameter Store.
    Parameter(String),
}

/// `AWS_ENDPOINT_URL_<SERVICE>`, or `AWS_ENDPOINT_URL` for all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointOverrides {
    /// `AWS_ENDPOINT_URL_STS`.
    pub sts: Option<String>,
    /// `AWS_ENDPOINT_URL_EKS`.
    pub eks: Option<String>,
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER`.
    pub secrets_manager: Option<String>,
    /// `AWS_ENDPOINT_URL_SFN`.
    pub step_functions: Option<String>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`.
    pub dynamodb: Option<String>,
    /// `AWS_ENDPOINT_URL_SSM`.
    pub ssm: Option<String>,
    /// `AWS_ENDPOINT_URL_LAMBDA`.
    pub lambda: Option<String>,
}

impl Settings {
    /// Reads the environment. Everything that is missing or wrong is told together.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn from_environment() -> Result<Self, InitError> {
        Self::read(&|name| std::env::var(name).ok())
    }

    pub(crate) fn read(environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, InitError> {
        let mut variables = Variables { environment, problems: Vec::new() };
        for name in OF_LAMBDA {
            variables.required(name);
        }
        let is_outside_lambda = !variables.problems.is_empty();
        let settings = Self {
            function_name: variables.required("AWS_LAMBDA_FUNCTION_NAME"),
            region: variables.required("AWS_REGION"),
            config: variables.config(),
            gitlab_token_secret: variables.or("GUARD_GITLAB_TOKEN_SECRET", "guard/gitlab-token"),
            datadog_credentials_secret: variables
                .or("GUARD_DATADOG_CREDENTIALS_SECRET", "guard/datadog-credentials"),
            notification_webhook_secret: variables.optional("GUARD_NOTIFICATION_WEBHOOK_SECRET"),
            pagerduty_key_secret: variables.optional("GUARD_PAGERDUTY_KEY_SECRET"),
            pagerduty_url: variables.url("GUARD_PAGERDUTY_URL"),
            gitlab_webhook_secret: variables.or("GUARD_GITLAB_WEBHOOK_SECRET", "guard/gitlab-webhook-token"),
            watch_merges_function: variables.or("GUARD_WATCH_MERGES_FUNCTION", "guard-watch-merges"),
            istioctl: variables.or("GUARD_ISTIOCTL", "/opt/bin/istioctl").into(),
            external_id: variables.optional("GUARD_EXTERNAL_ID"),
            tables: variables.tables(),
            own_keys: variables.own_keys(),
            endpoints: EndpointOverrides {
                sts: variables.endpoint("AWS_ENDPOINT_URL_STS"),
                eks: variables.endpoint("AWS_ENDPOINT_URL_EKS"),
                secrets_manager: variables.endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
                step_functions: variables.endpoint("AWS_ENDPOINT_URL_SFN"),
                dynamodb: variables.endpoint("AWS_ENDPOINT_URL_DYNAMODB"),
                ssm: variables.endpoint("AWS_ENDPOINT_URL_SSM"),
                lambda: variables.endpoint("AWS_ENDPOINT_URL_LAMBDA"),
            },
            log_level: variables.log_level(),
        };
        let mut problems = variables.problems;
        problems.dedup();
        match (problems.is_empty(), is_outside_lambda) {
            (true, _) => Ok(settings),
            (false, true) => Err(InitError::outside_lambda(problems)),
            (false, false) => Err(InitError::all(problems)),
        }
    }
}

struct Variables<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl Variables<'_> {
    /// An empty variable is an unset one: templates cannot leave a variable out.
    fn optional(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.trim().is_empty())
    }

    fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            let problem = format!("{name} is not set");
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
            String::new()
        })
    }

    fn or(&self, name: &str, default: &str) -> String {
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    /// Exactly one of two: with both set nobody could say which one a run was planned with.
    fn config(&mut self) -> ConfigPlace {
        let parameter = self.optional("GUARD_CONFIG_PARAMETER");
        let file = self.optional("GUARD_CONFIG_FILE");
        let problem = match (parameter, file) {
            (Some(name), None) => return ConfigPlace::Parameter(name),
            (None, Some(path)) => return ConfigPlace::File(path.into()),
            (None, None) => {
                "neither GUARD_CONFIG_PARAMETER nor GUARD_CONFIG_FILE is set: name the configuration"
            }
            (Some(_), Some(_)) => "both GUARD_CONFIG_PARAMETER and GUARD_CONFIG_FILE are set: keep one",
        };
        self.problems.push(problem.to_owned());
        ConfigPlace::File(PathBuf::new())
    }

    fn tables(&self) -> TableNames {
        let TableNames { registry, runs, locks } = TableNames::default();
        TableNames {
            registry: self.or("GUARD_REGISTRY_TABLE", &registry),
            runs: self.or("GUARD_RUNS_TABLE", &runs),
            locks: self.or("GUARD_LOCKS_TABLE", &locks),
        }
    }

    fn endpoint(&mut self, name: &str) -> Option<String> {
        let url = self.optional(name).or_else(|| self.optional("AWS_ENDPOINT_URL"))?;
        self.check_url(name, &url);
        Some(url)
    }

    fn url(&mut self, name: &str) -> Option<String> {
        let url = self.optional(name)?;
        self.check_url(name, &url);
        Some(url)
    }

    fn check_url(&mut self, name: &str, url: &str) {
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            self.problems.push(format!("{name} is `{url}`, which is no http or https URL"));
        }
    }

    fn own_keys(&self) -> Option<OwnKeys> {
        Some(OwnKeys {
            access_key_id: self.optional("AWS_ACCESS_KEY_ID")?,
            secret_access_key: SecretString::from(self.optional("AWS_SECRET_ACCESS_KEY")?),
            session_token: self.optional("AWS_SESSION_TOKEN").map(SecretString::from),
        })
    }

    fn log_level(&mut self) -> LogLevel {
        let Some((name, word)) = ["RUST_LOG", "AWS_LAMBDA_LOG_LEVEL"]
            .into_iter()
            .find_map(|name| self.optional(name).map(|word| (name, word)))
        else {
            return LogLevel::default();
        };
        LogLevel::parse(&word).unwrap_or_else(|| {
            self.problems.push(format!("{name} is `{word}`, which is none of {}", LogLevel::WORDS));
            LogLevel::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn environment() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([
            ("AWS_LAMBDA_FUNCTION_NAME", "guard-decide"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
            ("AWS_REGION", "eu-west-1"),
            ("GUARD_CONFIG_FILE", "guard.yaml"),
        ])
    }

    fn read(variables: &BTreeMap<&str, &str>) -> Result<Settings, InitError> {
        Settings::read(&|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn defaults_fill_what_is_not_said() {
        let settings = read(&environment()).unwrap();
        assert_eq!(settings.gitlab_token_secret, "guard/gitlab-token");
        assert_eq!(settings.datadog_credentials_secret, "guard/datadog-credentials");
        assert_eq!(settings.gitlab_webhook_secret, "guard/gitlab-webhook-token");
        assert_eq!(settings.watch_merges_function, "guard-watch-merges");
        assert_eq!(settings.istioctl, PathBuf::from("/opt/bin/istioctl"));
        assert_eq!(settings.endpoints, EndpointOverrides::default());
        assert!(settings.own_keys.is_none() && settings.external_id.is_none());
        assert_eq!((settings.notification_webhook_secret, settings.pagerduty_key_secret), (None, None));
        assert_eq!(settings.tables, TableNames::default());
        assert_eq!(settings.tables.registry, "guard-cluster-registry");
    }

    #[test]
    fn tables_have_the_names_that_are_given() {
        let mut variables = environment();
        variables.insert("GUARD_REGISTRY_TABLE", "fleet");
        variables.insert("GUARD_RUNS_TABLE", " ");
        variables.insert("GUARD_LOCKS_TABLE", "guard-locks-2");
        let tables = read(&variables).unwrap().tables;
        assert_eq!(tables.registry, "fleet");
        assert_eq!(tables.runs, "guard-runs");
        assert_eq!(tables.locks, "guard-locks-2");
    }

    #[test]
    fn everything_wrong_is_told_together() {
        let mut variables = environment();
        variables.remove("AWS_REGION");
        variables.insert("GUARD_CONFIG_FILE", "  ");
        variables.insert("RUST_LOG", "loud");
        variables.insert("AWS_ENDPOINT_URL_STS", "localhost");
        let error = read(&variables).unwrap_err();
        assert!(!error.is_outside_lambda());
        let starts: Vec<&str> =
            error.problems().iter().map(|problem| problem.split([' ', ':']).next().unwrap()).collect();
        assert_eq!(starts, ["AWS_REGION", "neither", "AWS_ENDPOINT_URL_STS", "RUST_LOG"]);
    }

    #[test]
    fn the_configuration_is_in_one_place() {
        let mut variables = environment();
        assert_eq!(read(&variables).unwrap().config, ConfigPlace::File("guard.yaml".into()));
        variables.insert("GUARD_CONFIG_PARAMETER", "/guard/config");
        let both = read(&variables).unwrap_err();
        assert_eq!(both.to_string(), "both GUARD_CONFIG_PARAMETER and GUARD_CONFIG_FILE are set: keep one");
        variables.insert("GUARD_CONFIG_FILE", "");
        assert_eq!(read(&variables).unwrap().config, ConfigPlace::Parameter("/guard/config".into()));
        variables.remove("GUARD_CONFIG_PARAMETER");
        let none = read(&variables).unwrap_err();
        assert_eq!(
            none.to_string(),
            "neither GUARD_CONFIG_PARAMETER nor GUARD_CONFIG_FILE is set: name the configuration"
        );
    }

    #[test]
    fn outside_lambda_is_told_with_all_the_rest() {
        let error = read(&BTreeMap::new()).unwrap_err();
        assert!(error.is_outside_lambda());
        assert_eq!(error.problems().len(), OF_LAMBDA.len() + 2, "{error}");
    }

    #[test]
    fn one_endpoint_may_stand_for_all_and_a_service_for_itself() {
        let mut variables = environment();
        variables.insert("AWS_ENDPOINT_URL", "http://127.0.0.1:4566");
        variables.insert("AWS_ENDPOINT_URL_SFN", "http://127.0.0.1:8083");
        variables.insert("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000");
        variables.insert("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:8001");
        let endpoints = read(&variables).unwrap().endpoints;
        assert_eq!(endpoints.ssm.as_deref(), Some("http://127.0.0.1:8001"));
        assert_eq!(endpoints.sts.as_deref(), Some("http://127.0.0.1:4566"));
        assert_eq!(endpoints.step_functions.as_deref(), Some("http://127.0.0.1:8083"));
        assert_eq!(endpoints.dynamodb.as_deref(), Some("http://127.0.0.1:8000"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut variables = environment();
        variables.insert("AWS_ACCESS_KEY_ID", "AKID");
        variables.insert("AWS_SECRET_ACCESS_KEY", "hush-key");
        variables.insert("AWS_SESSION_TOKEN", "hush-session");
        let settings = read(&variables).unwrap();
        assert!(settings.own_keys.is_some());
        let shown = format!("{settings:?} {settings:#?}");
        assert!(shown.contains("guard-decide") && !shown.contains("hush"), "{shown}");
    }
}
