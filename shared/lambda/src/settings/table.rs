//! Every variable that the settings read, for docs/configuration.md. A test compares it with what is read.

/// One variable of a function's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is when it is not set; `None` where that means nothing, or is an error.
    pub default: Option<&'static str>,
    /// What it does.
    pub what: &'static str,
}

const fn variable(name: &'static str, what: &'static str) -> Variable {
    Variable { name, default: None, what }
}

const fn defaulted(name: &'static str, default: &'static str, what: &'static str) -> Variable {
    Variable { name, default: Some(default), what }
}

/// All of them, in the order of docs/configuration.md.
pub const VARIABLES: &[Variable] = &[
    variable("GUARD_CONFIG_PARAMETER", "the configuration document: a name in SSM Parameter Store"),
    variable("GUARD_CONFIG_FILE", "the same as a path; exactly one of the two is set"),
    defaulted("GUARD_REGISTRY_TABLE", "guard-cluster-registry", "table of the clusters"),
    defaulted("GUARD_RUNS_TABLE", "guard-runs", "table of the run records"),
    defaulted("GUARD_LOCKS_TABLE", "guard-locks", "table of the locks"),
    defaulted(
        "GUARD_GITLAB_TOKEN_SECRET",
        "guard/gitlab-token",
        "name of the secret that is GitLab's access token",
    ),
    defaulted(
        "GUARD_DATADOG_CREDENTIALS_SECRET",
        "guard/datadog-credentials",
        "name of the secret that is `{\"api_key\": \"...\", \"app_key\": \"...\"}`",
    ),
    variable(
        "GUARD_NOTIFICATION_WEBHOOK_SECRET",
        "name of the secret that is the whole URL of a Slack-compatible incoming webhook, https; unset: no chat is told",
    ),
    variable(
        "GUARD_PAGERDUTY_KEY_SECRET",
        "name of the secret that is the routing key of a PagerDuty service (Events API v2); unset: nobody is paged",
    ),
    defaulted(
        "GUARD_PAGERDUTY_URL",
        "https://events.pagerduty.com",
        "where PagerDuty takes events; `https://events.eu.pagerduty.com` in its service region of the EU",
    ),
    defaulted(
        "GUARD_GITLAB_WEBHOOK_SECRET",
        "guard/gitlab-webhook-token",
        "for `merge-webhook`: name of the secret that GitLab sends as `X-Gitlab-Token`",
    ),
    defaulted(
        "GUARD_WATCH_MERGES_FUNCTION",
        "guard-watch-merges",
        "for `merge-webhook`: name or ARN of the function that it wakes",
    ),
    defaulted(
        "GUARD_ISTIOCTL",
        "/opt/bin/istioctl",
        "for `pre-check` and `post-check`: where istioctl is; it need not be there",
    ),
    variable("GUARD_EXTERNAL_ID", "sent when a member account's role is assumed, for roles that ask for one"),
    defaulted("RUST_LOG", "info", "log level, one word: `trace`, `debug`, `info`, `warn`, `error`, `off`"),
    variable("AWS_LAMBDA_LOG_LEVEL", "log level as Lambda is configured, where `RUST_LOG` is not set"),
    variable("AWS_ENDPOINT_URL", "where all AWS services are, when they are not where AWS has them"),
    variable("AWS_ENDPOINT_URL_STS", "the same for one service; it goes before the one for all"),
    variable("AWS_ENDPOINT_URL_EKS", "the same"),
    variable("AWS_ENDPOINT_URL_SECRETS_MANAGER", "the same"),
    variable("AWS_ENDPOINT_URL_SFN", "the same"),
    variable("AWS_ENDPOINT_URL_DYNAMODB", "the same"),
    variable("AWS_ENDPOINT_URL_SSM", "the same"),
    variable("AWS_ENDPOINT_URL_LAMBDA", "the same"),
    variable("AWS_REGION", "where GUARD itself runs; set by Lambda"),
    variable("AWS_ACCESS_KEY_ID", "the function's role; set by Lambda"),
    variable("AWS_SECRET_ACCESS_KEY", "the same"),
    variable("AWS_SESSION_TOKEN", "the same"),
    variable(
        "AWS_LAMBDA_FUNCTION_NAME",
        "set by Lambda; without it the program says that it is outside of Lambda",
    ),
    variable("AWS_LAMBDA_FUNCTION_VERSION", "the same"),
    variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "the same"),
    variable("AWS_LAMBDA_RUNTIME_API", "the same"),
];

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::*;
    use crate::Settings;

    #[test]
    fn the_table_lists_what_is_read() {
        let asked = RefCell::new(BTreeSet::new());
        // Keys are read one after the other: each is there.
        let environment = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].contains(&name).then(|| "x".to_owned())
        };
        _ = Settings::read(&environment);
        let listed: BTreeSet<String> = VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
        assert_eq!(asked.into_inner(), listed);
        assert_eq!(listed.len(), VARIABLES.len(), "each once");
    }

    #[test]
    fn defaults_are_those_that_are_used() {
        let of_lambda = ["AWS_LAMBDA_", "AWS_REGION"];
        let environment = |name: &str| {
            let is_needed =
                of_lambda.iter().any(|start| name.starts_with(start)) && !name.ends_with("LOG_LEVEL");
            (is_needed || name == "GUARD_CONFIG_FILE").then(|| "x".to_owned())
        };
        let settings = Settings::read(&environment).unwrap();
        let default = |name: &str| VARIABLES.iter().find(|one| one.name == name).unwrap().default.unwrap();
        assert_eq!(settings.tables.registry, default("GUARD_REGISTRY_TABLE"));
        assert_eq!(settings.tables.runs, default("GUARD_RUNS_TABLE"));
        assert_eq!(settings.tables.locks, default("GUARD_LOCKS_TABLE"));
        assert_eq!(settings.gitlab_token_secret, default("GUARD_GITLAB_TOKEN_SECRET"));
        assert_eq!(settings.datadog_credentials_secret, default("GUARD_DATADOG_CREDENTIALS_SECRET"));
        assert_eq!(settings.gitlab_webhook_secret, default("GUARD_GITLAB_WEBHOOK_SECRET"));
        assert_eq!(settings.watch_merges_function, default("GUARD_WATCH_MERGES_FUNCTION"));
        assert_eq!(settings.istioctl.to_str(), Some(default("GUARD_ISTIOCTL")));
    }
}
