//! What is counted of one invocation.

use std::collections::BTreeMap;
use std::time::Duration;

use guard_tasks::ErrorName;
use serde_json::Value;

use super::{Measurement, Unit};

/// What a task was asked, as far as it is counted. Only words that are known: a payload must not make up dimensions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    gate: Option<&'static str>,
    verdicts: BTreeMap<&'static str, u64>,
}

const GATES: [&str; 7] =
    ["pre_check", "converge", "post_check", "decision", "rollback", "converge_back", "verify_back"];

const VERDICTS: [&str; 6] = ["pass", "fail", "unknown", "approve", "reject", "expired"];

const OUTCOMES: [&str; 8] =
    ["healthy", "rolled_back", "rollback_failed", "gate_failed", "closed", "expired", "halted", "stopped"];

/// The judge's decisions as verdicts about the batch.
const SOAK_VERDICTS: [(&str, &str); 4] =
    [("post_check", "pass"), ("rollback", "fail"), ("ask", "unknown"), ("halt", "unknown")];

fn known<const N: usize>(words: [&'static str; N], value: &Value) -> Option<&'static str> {
    words.into_iter().find(|word| value.as_str() == Some(word))
}

impl Asked {
    pub(crate) fn of(payload: &Value) -> Self {
        let mut verdicts = BTreeMap::new();
        let results = payload["results"].as_array().into_iter().flatten();
        let said = results.map(|result| &result["verdict"]).chain([&payload["answer"]["answer"]]);
        for verdict in said.filter_map(|value| known(VERDICTS, value)) {
            *verdicts.entry(verdict).or_insert(0) += 1;
        }
        Self { gate: known(GATES, &payload["gate"]), verdicts }
    }
}

/// Everything that is counted of one invocation.
pub(crate) fn measure(
    task: &str,
    asked: &Asked,
    outcome: Result<&Value, ErrorName>,
    took: Duration,
) -> Vec<Measurement> {
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let mut found = vec![Measurement {
        name: "TaskDuration",
        unit: Unit::Milliseconds,
        value: milliseconds,
        dimensions: Vec::new(),
    }];
    match outcome {
        Ok(answer) => found.extend(of_answer(task, asked, answer)),
        Err(name) => {
            found.push(Measurement::count("TaskErrors", 1, &[("ErrorName", name.as_str())]));
        }
    }
    found
}

fn of_answer(task: &str, asked: &Asked, answer: &Value) -> Vec<Measurement> {
    let mut found = Vec::new();
    let decision = answer["decision"].as_str();
    let number = |name: &str| answer[name].as_u64();
    match task {
        "decide" => {
            if let Some(gate) = asked.gate {
                found.extend(asked.verdicts.iter().map(|(verdict, count)| {
                    Measurement::count("Verdicts", *count, &[("Gate", gate), ("Verdict", verdict)])
                }));
            }
        }
        "judge-soak" => {
            let verdict = SOAK_VERDICTS.into_iter().find(|(word, _)| decision == Some(word));
            if let Some((_, verdict)) = verdict {
                found.push(Measurement::count("Verdicts", 1, &[("Gate", "soak"), ("Verdict", verdict)]));
            }
            if decision == Some("soak") {
                let clusters = answer["clusters"].as_array().map_or(0, Vec::len);
                found.push(Measurement::count("SoakClusters", clusters as u64, &[]));
            }
            if let Some(minutes) = number("soak_minutes_left") {
                found.push(Measurement {
                    unit: Unit::None,
                    ..Measurement::count("SoakMinutesLeft", minutes, &[])
                });
            }
        }
        "settle" if answer["merged_meanwhile"] == Value::Bool(false) => {
            if let Some(outcome) = known(OUTCOMES, &answer["outcome"]) {
                found.push(Measurement::count("RunsEnded", 1, &[("Outcome", outcome)]));
            }
        }
        "watch-merges" => {
            let names =
                [("waiting_for_person", "WaitingForPerson"), ("waiting_for_merge", "WaitingForMerge")];
            for (field, name) in names {
                found.extend(number(field).map(|count| Measurement::count(name, count, &[])));
            }
        }
        _ => {}
    }
    if matches!(task, "decide" | "judge-soak") && decision == Some("rollback") {
        found.push(Measurement::count("Rollbacks", 1, &[]));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Name, dimensions and value of everything but the duration.
    fn counted(task: &'static str, payload: &Value, answer: &Value) -> Vec<String> {
        let all = measure(task, &Asked::of(payload), Ok(answer), Duration::from_millis(7));
        assert_eq!((all[0].name, all[0].value, all[0].unit), ("TaskDuration", 7, Unit::Milliseconds));
        let text = |one: &Measurement| {
            let dimensions: Vec<&str> = one.dimensions.iter().map(|(_, value)| value.as_str()).collect();
            format!("{} {} {}", one.name, dimensions.join("/"), one.value)
        };
        all[1..].iter().map(text).collect()
    }

    #[test]
    fn gates_are_counted_by_verdict() {
        let payload = json!({"gate": "pre_check", "results": [
            {"cluster_id": "c1", "verdict": "pass"}, {"verdict": "fail"}, {"verdict": "pass"}]});
        let answer = json!({"decision": "fail"});
        assert_eq!(
            counted("decide", &payload, &answer),
            ["Verdicts pre_check/fail 1", "Verdicts pre_check/pass 2"]
        );
        let payload = json!({"gate": "decision", "results": [], "answer": {"answer": "reject"}});
        let answer = json!({"decision": "rollback"});
        assert_eq!(counted("decide", &payload, &answer), ["Verdicts decision/reject 1", "Rollbacks  1"]);
    }

    #[test]
    fn a_soak_is_counted_while_it_goes_on_and_when_it_ends() {
        let going = json!({"decision": "soak", "clusters": [{}, {}], "soak_minutes_left": 40});
        assert_eq!(counted("judge-soak", &json!({}), &going), ["SoakClusters  2", "SoakMinutesLeft  40"]);
        let failed = json!({"decision": "rollback", "clusters": [{}], "soak_minutes_left": null});
        assert_eq!(counted("judge-soak", &json!({}), &failed), ["Verdicts soak/fail 1", "Rollbacks  1"]);
    }

    #[test]
    fn ends_and_those_who_wait_are_counted() {
        let settled = json!({"outcome": "rolled_back", "merged_meanwhile": false});
        assert_eq!(counted("settle", &json!({}), &settled), ["RunsEnded rolled_back 1"]);
        let goes_on = json!({"outcome": "expired", "merged_meanwhile": true});
        assert_eq!(counted("settle", &json!({}), &goes_on), Vec::<String>::new());
        let waiting = json!({"watched": 3, "answered": 0, "waiting_for_person": 1, "waiting_for_merge": 2});
        assert_eq!(
            counted("watch-merges", &json!({}), &waiting),
            ["WaitingForPerson  1", "WaitingForMerge  2"]
        );
    }

    #[test]
    fn an_error_is_counted_by_its_name() {
        let all = measure("settle", &Asked::default(), Err(ErrorName::Throttled), Duration::ZERO);
        assert_eq!(all[1], Measurement::count("TaskErrors", 1, &[("ErrorName", "Throttled")]));
    }

    #[test]
    fn a_payload_makes_up_no_dimension() {
        let payload = json!({"gate": "x", "results": [{"verdict": "y"}, 7], "answer": 5});
        assert_eq!(Asked::of(&payload), Asked::default());
        for odd in [json!(null), json!([]), json!("x"), json!({"results": {}})] {
            assert_eq!(Asked::of(&odd), Asked::default(), "{odd}");
        }
        assert_eq!(
            counted("settle", &json!({}), &json!({"outcome": "z", "merged_meanwhile": false})),
            [""; 0]
        );
    }
}
