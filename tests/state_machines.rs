//! The state machines as they stand in the repository: parsed, linted, and in step with the functions.

use std::collections::BTreeSet;

use guard_asl::{Machine, lint};
use guard_simulation::{FUNCTIONS, Fleet, House, MACHINES, lint_rules, machine, machines};

#[test]
fn every_machine_keeps_the_rules_of_the_house() {
    let rules = lint_rules().unwrap();
    let problems: Vec<String> = machines()
        .unwrap()
        .iter()
        .flat_map(|machine| lint(machine, &rules))
        .map(|problem| problem.to_string())
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_lint_sees_what_it_is_for() {
    let rules = lint_rules().unwrap();
    let (name, text) = MACHINES[2];
    let broken = |from: &str, to: &str| {
        let bent = text.replacen(from, to, 1);
        assert_ne!(bent, text, "{from} is not in {name} any more");
        match machine(name, &bent) {
            Ok(machine) => !lint(&machine, &rules).is_empty(),
            // Refused before the lint: as loud.
            Err(_) => true,
        }
    };
    assert!(broken("\"Next\": \"WaitForFlux\"", "\"Next\": \"WaitForFlix\""));
    assert!(broken("States.ALL", "States.All"));
    assert!(broken("\"Transient\"", "\"Transitory\""));
    assert!(broken("\"TimeoutSeconds\": 90,", ""));
    assert!(broken("\"MaxAttempts\": 4", "\"MaxAttempts\": 40"));
    assert!(broken("\"Comment\": \"Give Flux and istiod time.\",", ""));
    assert!(broken("${WatchRolloutFunctionArn}", "${WatchFunctionArn}"));
}

#[test]
fn every_function_has_a_state_and_every_state_a_function() {
    let called: BTreeSet<String> = MACHINES
        .iter()
        .flat_map(|(_, text)| text.split("\"${").skip(1).filter_map(|rest| rest.split_once("FunctionArn}")))
        .map(|(token, _)| token.to_owned())
        .collect();
    let known: BTreeSet<String> = FUNCTIONS
        .iter()
        // EventBridge calls the one every minute, a person the other; no state does.
        .filter(|name| !["watch-merges", "answer-decision"].contains(name))
        .map(|name| name.split('-').map(|part| part[..1].to_uppercase() + &part[1..]).collect())
        .collect();
    assert_eq!(called, known);
}

/// Rule 7 of the house: a missing path in the input of a person is a `States.Runtime` that nothing catches.
#[test]
fn machines_that_people_start_take_their_input_whole() {
    for name in ["batch-upgrade", "batch-rollback", "rollout"] {
        let machine = machines().unwrap().into_iter().find(|machine: &Machine| machine.name == name).unwrap();
        let text = MACHINES.iter().find(|(n, _)| *n == name).unwrap().1;
        let whole = text.matches("\"$$.Execution.Input\"").count();
        assert_eq!(whole, 1, "{name} reads its input in one place");
        // Asking whether a field is there never fails; reading one that is not there always does.
        let fields = text.matches("$$.Execution.Input.").count();
        let asked = text.matches("\"Variable\": \"$$.Execution.Input.run\", \"IsPresent\": true").count();
        assert_eq!(fields, asked, "{name} reads a field of its input");
        assert!(machine.state(&machine.graph.start_at).is_some());
    }
}

/// The inputs that the documentation shows are the ones that work.
#[tokio::test(flavor = "current_thread")]
async fn the_example_inputs_run() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../statemachine/examples");
    let example = |machine: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(folder.join(format!("{machine}.input.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let fleet = Fleet::new(1, 1, None, None).unwrap();
    let house = House::new(&fleet).unwrap();
    // In this order each finds the state it needs.
    for machine in ["rollout", "batch-rollback", "batch-upgrade"] {
        let arn = house.run_one(machine, machine, example(machine)).await.unwrap();
        let ended = house.service.describe_execution(&arn).unwrap();
        assert_eq!(ended.status.as_str(), "SUCCEEDED", "{machine}: {:?}", ended.cause);
    }
}
