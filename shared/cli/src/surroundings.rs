//! What the process was given: the environment, read once, and the real time.

use std::collections::BTreeMap;

use guard_tasks::Clock;
use jiff::Timestamp;

/// The environment as it was at the start. An empty variable is an unset one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    variables: BTreeMap<String, String>,
}

impl Surroundings {
    /// Names that are read; the others are left alone.
    const STARTS: [&str; 2] = ["AWS_", "GUARD_"];
    /// Who is at the keyboard, the most telling first: pipelines name the person who started them.
    const PEOPLE: [&str; 3] = ["GITLAB_USER_LOGIN", "GITHUB_ACTOR", "USER"];

    pub(crate) fn read() -> Self {
        Self::of(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    pub(crate) fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let is_read = |name: &str| {
            Self::STARTS.iter().any(|start| name.starts_with(start)) || Self::PEOPLE.contains(&name)
        };
        let variables =
            variables.into_iter().filter(|(name, value)| is_read(name) && !value.trim().is_empty()).collect();
        Self { variables }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&String> {
        self.variables.get(name)
    }

    /// The person, as far as the environment knows.
    pub(crate) fn person(&self) -> Option<&String> {
        Self::PEOPLE.iter().find_map(|name| self.get(name))
    }
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock behind the port")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Waits between two looks at a run.
#[expect(
    clippy::disallowed_methods,
    reason = "a person follows a run from outside; nothing in GUARD waits here"
)]
pub(crate) async fn pause(length: std::time::Duration) {
    tokio::time::sleep(length).await;
}
