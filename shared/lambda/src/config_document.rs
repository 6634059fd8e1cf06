//! The configuration document: in a file, or in Parameter Store.

use std::path::PathBuf;

use async_trait::async_trait;
use guard_aws::Parameters;
use guard_domain::Config;
use guard_tasks::{ConfigReader, Context as _, TaskError, task};
use serde_json::Value;

/// YAML, read afresh each time: a task asks once an invocation, and a run keeps what it was planned with.
#[derive(Debug)]
pub(crate) enum ConfigDocument {
    /// A file beside the program.
    File(PathBuf),
    /// A parameter and its name.
    Parameter(Parameters, String),
}

#[async_trait]
impl ConfigReader for ConfigDocument {
    async fn config(&self) -> Result<Config, TaskError> {
        match self {
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| TaskError::rejected(error.to_string()))
                .and_then(|text| parse_config(&text))
                .context(format!("read {}", path.display())),
            Self::Parameter(parameters, name) => {
                let text = parameters.read(name).await?;
                parse_config(&text).context(format!("read parameter {name}"))
            }
        }
    }
}

/// A configuration document, checked. `Rejected` names each key that is wrong, or the line that is no YAML.
pub fn parse_config(text: &str) -> Result<Config, TaskError> {
    let document: Value = serde_saphyr::from_str(text)
        .map_err(|error| TaskError::rejected(format!("not YAML: {}", first_line(&error.to_string()))))?;
    let config: Config = task::decode("config", document)?;
    let problems: Vec<String> = config.problems().iter().map(ToString::to_string).collect();
    if problems.is_empty() { Ok(config) } else { Err(TaskError::rejected(problems.join("; "))) }
}

/// The parser's text goes on with an excerpt of the file, over many lines.
fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use guard_tasks::ErrorName;

    fn refusal(text: &str) -> String {
        let error = parse_config(text).unwrap_err();
        assert_eq!(error.name, ErrorName::Rejected);
        error.to_string()
    }

    #[test]
    fn yaml_becomes_a_checked_config() {
        let config =
            parse_config("gitlab:\n  url: https://gitlab.example.com\npolicy:\n  soak_look_minutes: 5\n")
                .unwrap();
        assert_eq!(config.gitlab.url, "https://gitlab.example.com");
        assert_eq!(config.policy.soak_look_minutes, 5);
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one_and_its_place() {
        let text = refusal("gitlab:\n  uri: https://gitlab.example.com\n");
        assert!(text.starts_with("config.gitlab.uri: unknown field `uri`"), "{text}");
        assert!(text.ends_with("did you mean `url`?"), "{text}");
    }

    #[test]
    fn every_value_that_cannot_work_is_told() {
        let text = refusal("execution: {max_parallel_clusters: 41}\npolicy: {soak_look_minutes: 0}\n");
        assert!(
            text.contains("execution.max_parallel_clusters") && text.contains("policy.soak_look_minutes")
        );
    }

    #[test]
    fn what_is_not_yaml_is_told_in_one_line() {
        let text = refusal("gitlab: [1,\n");
        assert!(text.starts_with("not YAML: ") && text.lines().count() == 1, "{text}");
        assert!(refusal("").contains("null"));
        assert!(refusal("gitlab: {}\ngitlab: {}\n").contains("gitlab"), "a key twice is a mistake");
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let error = ConfigDocument::File("no/such/guard.yaml".into()).config().await.unwrap_err();
        assert!(error.chain().starts_with("read no/such/guard.yaml: "), "{error}");
    }
}
