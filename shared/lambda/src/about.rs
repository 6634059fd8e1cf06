//! What an invocation is about, read from its payload before the task decodes it.

use guard_domain::{BatchId, ClusterId, IstioVersion, RunId};
use serde_json::Value;

/// Names of the right shape only: nothing else of a payload is written down.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    /// The run: the name of the execution that people started. It is what all lines of a run have in common.
    pub(crate) run: Option<String>,
    /// Its batch.
    pub(crate) batch: Option<String>,
    /// The one cluster, where a state works on one.
    pub(crate) cluster: Option<String>,
    /// The version the run goes to.
    pub(crate) target: Option<String>,
    /// The state that calls.
    pub(crate) state: Option<String>,
    /// Which attempt of that state this is, 1 for the first.
    pub(crate) attempt: Option<u64>,
}

/// A state's name at its longest, in characters (Amazon States Language).
const STATE_NAME: usize = 80;

fn is_state_name(name: &&str) -> bool {
    !name.is_empty() && name.len() <= STATE_NAME && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl About {
    pub(crate) fn of(payload: &Value) -> Self {
        let text = |places: &[&str]| places.iter().find_map(|place| payload.pointer(place)?.as_str());
        let run = text(&["/run/run_id", "/execution_name", "/run_id"]);
        let target = text(&["/run/target_version", "/input/target_version"]);
        Self {
            run: run.and_then(|name| RunId::parse(name).ok()).map(String::from),
            batch: text(&["/run/batch_id", "/input/batch_id"])
                .and_then(|name| BatchId::parse(name).ok())
                .map(String::from),
            cluster: text(&["/cluster_id"]).and_then(|name| ClusterId::parse(name).ok()).map(String::from),
            target: target.and_then(|version| IstioVersion::parse(version).ok()).map(|v| v.to_string()),
            state: text(&["/meta/state"]).filter(is_state_name).map(str::to_owned),
            attempt: payload
                .pointer("/meta/retry_count")
                .and_then(Value::as_u64)
                .map(|retries| retries.saturating_add(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_its_batch_and_its_cluster_are_named() {
        let run = json!({"run_id": "run-1", "batch_id": "test", "target_version": "1.30.5"});
        let about = About::of(&json!({"run": run, "cluster_id": "c1"}));
        let named = [about.run, about.batch, about.cluster, about.target];
        assert_eq!(named.map(Option::unwrap), ["run-1", "test", "c1", "1.30.5"]);
        let input = json!({"batch_id": "test", "target_version": "1.30.5"});
        let about = About::of(&json!({"execution_name": "run-2", "input": input}));
        let named = [about.run, about.batch, about.target];
        assert_eq!(named.map(Option::unwrap), ["run-2", "test", "1.30.5"]);
    }

    #[test]
    fn the_state_and_its_attempt_are_named() {
        let about = About::of(&json!({"meta": {"state": "PreCheck", "retry_count": 0}}));
        assert_eq!((about.state.as_deref(), about.attempt), (Some("PreCheck"), Some(1)));
        let about = About::of(&json!({"meta": {"state": "x".repeat(81), "retry_count": -1}}));
        assert_eq!((about.state, about.attempt), (None, None));
    }

    #[test]
    fn only_names_of_the_right_shape_are_written_down() {
        for other in [
            json!({}),
            json!([]),
            json!(7),
            json!({"run": {"run_id": {"a": 1}, "batch_id": ["x"]}}),
            json!({"run": {"run_id": "a b\n", "batch_id": "a b", "target_version": "hush"}, "cluster_id": " "}),
            json!({"meta": {"state": "a b", "retry_count": "1"}}),
        ] {
            assert_eq!(About::of(&other), About::default(), "{other}");
        }
    }
}
