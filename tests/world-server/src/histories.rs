//! What the interpreter's executions went through, in the form in which the end-to-end tests read the service's.

use guard_simulation::{Fleet, Scenario, Story, StoryError};
use serde::Serialize;

/// One execution.
#[derive(Debug, Serialize)]
pub struct History {
    /// Its machine, without prefix.
    pub machine: String,
    /// Its name.
    pub name: String,
    /// `SUCCEEDED`, `FAILED`, ...
    pub status: String,
    /// Its error, when it failed.
    pub error: Option<String>,
    /// The states it entered, in the order of its events.
    pub states: Vec<String>,
}

/// Plays a scenario and tells every execution's history, in the order of their start.
pub async fn histories(scenario: Scenario, fleet: Fleet) -> Result<Vec<History>, StoryError> {
    let story = Story::new(scenario, fleet)?;
    story.play().await?;
    let service = &story.house().service;
    let history = |description: guard_asl::ExecutionDescription| {
        let entered = service
            .history(&description.arn)
            .into_iter()
            .filter(|event| event.kind.ends_with("StateEntered"));
        let states = entered.filter_map(|event| event.details["name"].as_str().map(str::to_owned)).collect();
        History {
            machine: description.machine,
            name: description.name,
            status: description.status.as_str().to_owned(),
            error: description.error,
            states,
        }
    };
    Ok(service.list_executions().into_iter().map(history).collect())
}
