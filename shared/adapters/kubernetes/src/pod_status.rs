//! What the kubelet and the scheduler say of a pod's containers.

use guard_domain::{ContainerEnd, IstioVersion, PodTrouble};
use serde::Deserialize;

use crate::list::or_default;
use crate::object::{StatusCondition, time};

/// What a container that is about to start waits for.
const COMING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// Characters of a message that a person reads.
const MESSAGE_LIMIT: usize = 300;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerStatus {
    pub(crate) name: String,
    pub(crate) restart_count: u32,
    #[serde(deserialize_with = "or_default")]
    state: State,
    #[serde(deserialize_with = "or_default")]
    last_state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Waiting>,
    terminated: Option<Terminated>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Waiting {
    #[serde(deserialize_with = "or_default")]
    reason: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terminated {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    finished_at: Option<String>,
}

impl ContainerStatus {
    /// How it ended the last time.
    pub(crate) fn last_end(&self) -> Option<ContainerEnd> {
        let ended = self.last_state.terminated.as_ref()?;
        let at = ended.finished_at.as_deref().and_then(time);
        Some(ContainerEnd { reason: ended.reason.clone(), at })
    }
}

/// The first thing that keeps a pod from coming up, by a container that waits or by the scheduler. A container that is killed
/// for want of memory again and again waits like any other that crashes: its last end says more.
pub(crate) fn trouble<'a>(
    statuses: impl Iterator<Item = &'a ContainerStatus>,
    conditions: &[StatusCondition],
    version: Option<&IstioVersion>,
) -> Option<PodTrouble> {
    let waits = |status: &ContainerStatus| {
        let waiting = status.state.waiting.as_ref().filter(|one| !one.reason.is_empty())?;
        if COMING.contains(&waiting.reason.as_str()) {
            return None;
        }
        let end = status.last_state.terminated.as_ref().map(|end| end.reason.as_str());
        let reason = match end {
            Some("OOMKilled") => "OOMKilled",
            _ => &waiting.reason,
        };
        Some(PodTrouble {
            version: version.cloned(),
            reason: reason.to_owned(),
            message: format!("container {}: {}", status.name, brief(&waiting.message)),
            restarts: status.restart_count,
        })
    };
    statuses.into_iter().find_map(waits).or_else(|| {
        let unscheduled = conditions.iter().find(|one| one.is("PodScheduled", "False"))?;
        Some(PodTrouble {
            version: version.cloned(),
            reason: unscheduled.reason.clone(),
            message: brief(&unscheduled.message),
            restarts: 0,
        })
    })
}

/// One line of it.
pub(crate) fn brief(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MESSAGE_LIMIT).collect()
}
