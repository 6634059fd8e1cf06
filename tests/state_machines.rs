//! The state machines as they stand in the repository: parsed, linted, and in step with the functions.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeSet;
use std::path::Path;

use guard_asl::{LintProblem, LintRule, Machine, Resource, StateKind, Template, lint, lint_types};
use guard_simulation::{
    FUNCTIONS, Fleet, House, MACHINES, STARTED_BY_PEOPLE, contracts, function_arn, lint_rules, machine,
    machines,
};
use guard_tasks::Contract;
use serde_json::Value;

fn told(problems: impl IntoIterator<Item = LintProblem>) -> Vec<String> {
    problems.into_iter().map(|problem| problem.to_string()).collect()
}

#[test]
fn every_machine_keeps_the_rules_of_the_house() {
    let rules = lint_rules().unwrap();
    let problems = told(machines().unwrap().iter().flat_map(|machine| lint(machine, &rules)));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_path_leads_somewhere_and_every_payload_fits() {
    let machines = machines().unwrap();
    let report = lint_types(&machines, &contracts().unwrap());
    let problems = told(report.problems);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let states: usize = machines.iter().map(|machine| machine.states().count()).sum();
    assert_eq!(report.inputs.len(), states, "data comes to every state");
    assert!(report.paths > states, "{} paths in {states} states", report.paths);
}

/// The machines, one of them with its text bent: behind the head of a state the first `from` becomes `to`.
fn bent(name: &str, state: &str, from: &str, to: &str) -> Vec<Machine> {
    let bend = |text: &str| {
        let (before, rest) = text.split_once(&format!("\"{state}\": {{")).unwrap();
        let bent = rest.replacen(from, to, 1);
        assert_ne!(bent, rest, "{name}: {from} is not in {state} any more");
        format!("{before}\"{state}\": {{{bent}")
    };
    let machines = MACHINES.iter().map(|(other, text)| {
        let text = if *other == name { bend(text) } else { (*text).to_owned() };
        machine(other, &text).unwrap_or_else(|error| panic_with(&error.to_string()))
    });
    machines.collect()
}

fn panic_with(message: &str) -> ! {
    #[expect(clippy::panic, reason = "the test's own failure")]
    {
        panic!("{message}")
    }
}

/// A machine, one of its states, what is bent there; then where which rule must say what.
type Bend = (&'static str, &'static str, &'static str, &'static str, LintRule, &'static str, &'static str);

const UP: &str = "batch-upgrade";
const BACK: &str = "batch-rollback";
const CONVERGE: &str = "cluster-converge";

const BENDS: [Bend; 28] = [
    // A field renamed in a ResultSelector.
    (
        UP,
        "DecidePreCheck",
        "\"decision.$\"",
        "\"verdict.$\"",
        LintRule::PathProduced,
        "batch-upgrade, state IsPreCheckPassed",
        "DecidePreCheck -> IsPreCheckPassed",
    ),
    (
        UP,
        "PreCheck",
        "\"cluster_id.$\": \"$.Payload.cluster_id\", ",
        "",
        LintRule::PayloadKeys,
        "batch-upgrade, state DecidePreCheck",
        "Parameters.Payload.results[].cluster_id",
    ),
    // A ResultSelector that keeps what does not exist.
    (
        UP,
        "JudgeSoak",
        "$.Payload.summary",
        "$.Payload.sumary",
        LintRule::PathProduced,
        "batch-upgrade, state JudgeSoak",
        "Payload has no sumary, but ",
    ),
    (
        UP,
        "Converge",
        "$.Output.verdict",
        "$.Output.outcome",
        LintRule::PathProduced,
        "batch-upgrade, state Converge",
        "Output has no outcome, but ",
    ),
    (
        BACK,
        "PlanRollback",
        "$.Payload.nested",
        "$.nested",
        LintRule::PathProduced,
        "batch-rollback, state PlanRollback",
        "no nested",
    ),
    // ResultPath gone: the result takes the input's place.
    (
        UP,
        "DecideConverge",
        "\"ResultPath\": \"$.gate\",",
        "",
        LintRule::PathProduced,
        "batch-upgrade, state WhatNext",
        "DecideConverge -> WhatNext",
    ),
    (
        CONVERGE,
        "WatchRollout",
        "\"ResultPath\": \"$.error\", ",
        "",
        LintRule::PathProduced,
        "cluster-converge, state CouldNotTell",
        "WatchRollout -> CouldNotTell",
    ),
    // An edge past the state that produces a field.
    (
        UP,
        "IsMergeRequestOpen",
        "\"Next\": \"AwaitUpgradeMerge\"",
        "\"Next\": \"HowDidTheRequestEnd\"",
        LintRule::PathProduced,
        "batch-upgrade, state HowDidTheRequestEnd",
        "IsMergeRequestOpen -> HowDidTheRequestEnd",
    ),
    (
        CONVERGE,
        "HasArrived",
        "\"Default\": \"FoundNoAnswer\"",
        "\"Default\": \"Converged\"",
        LintRule::PathProduced,
        "cluster-converge, state Converged",
        "HasArrived -> Converged",
    ),
    // What a child is passed, and what it gives.
    (
        UP,
        "Converge",
        "\"direction\": \"upgrade\",",
        "",
        LintRule::PathProduced,
        "cluster-converge, state WatchRollout",
        "batch-upgrade, state Converge -> WatchRollout",
    ),
    (
        UP,
        "ConvergeClusters",
        "\"$.pace.poll_seconds\"",
        "\"$.run.run_id\"",
        LintRule::QuantityIsWhole,
        "cluster-converge, state WaitForWorkloads",
        "$.poll_seconds",
    ),
    (
        CONVERGE,
        "CouldNotTell",
        "\"verdict\": \"unknown\", ",
        "",
        LintRule::PathProduced,
        "batch-rollback, state Converge",
        "verdict is not there on every route",
    ),
    // What a person gives is not known.
    (
        UP,
        "PlanBatch",
        "$$.Execution.Input",
        "$$.Execution.Input.batch_id",
        LintRule::PathProduced,
        "batch-upgrade, state PlanBatch",
        "may be anything",
    ),
    (
        "rollout",
        "NextBatch",
        "\"$.last_batch\"",
        "\"$.next.batch_id\"",
        LintRule::PathProduced,
        "rollout, state NextBatch",
        "BeginRollout -> NextBatch",
    ),
    (
        UP,
        "PlanBatch",
        "[\"Rejected\"], ",
        "[\"Rejected\"], \"ResultPath\": \"$.error\", ",
        LintRule::ResultPlaced,
        "batch-upgrade, state PlanBatch",
        "Catch[0].ResultPath $.error",
    ),
    // Payloads.
    (
        CONVERGE,
        "WatchRollout",
        "\"direction.$\": \"$.direction\",",
        "",
        LintRule::PayloadKeys,
        "cluster-converge, state WatchRollout",
        "Parameters.Payload.direction: is required, and missing",
    ),
    (
        UP,
        "PreCheck",
        "\"retry_count.$\": \"$$.State.RetryCount\"",
        "\"retries.$\": \"$$.State.RetryCount\"",
        LintRule::PayloadKeys,
        "batch-upgrade, state PreCheck",
        "Parameters.Payload.meta.retry_count: is required, and missing",
    ),
    (
        UP,
        "JudgeSoak",
        "\"meta\": {\"state.$\": \"$$.State.Name\", \"retry_count.$\": \"$$.State.RetryCount\"},",
        "",
        LintRule::PayloadKeys,
        "batch-upgrade, state JudgeSoak",
        "Parameters.Payload.meta: is required, and missing",
    ),
    (
        UP,
        "JudgeSoak",
        "\"Payload\": {",
        "\"Payload\": {\"batch\": \"x\", ",
        LintRule::PayloadKeys,
        "batch-upgrade, state JudgeSoak",
        "Parameters.Payload.batch: is unknown there",
    ),
    (
        UP,
        "DecidePreCheck",
        "\"gate\": \"pre_check\"",
        "\"gate\": \"pre_chek\"",
        LintRule::PayloadFits,
        "batch-upgrade, state DecidePreCheck",
        "Parameters.Payload.gate: is \"pre_chek\", and must be ",
    ),
    (
        UP,
        "SettleHealthy",
        "\"$.gate.summary\"",
        "\"$.gate.clusters\"",
        LintRule::PayloadFits,
        "batch-upgrade, state SettleHealthy",
        "Parameters.Payload.reason ($.gate.clusters)",
    ),
    (
        UP,
        "AwaitUpgradeMerge",
        "\"direction\": \"upgrade\"",
        "\"direction\": null",
        LintRule::PayloadFits,
        "batch-upgrade, state AwaitUpgradeMerge",
        "is null, and must be ",
    ),
    (
        UP,
        "JudgeSoak",
        "lambda:invoke\"",
        "lambda:invoke.waitForTaskToken\"",
        LintRule::ContractKnown,
        "batch-upgrade, state JudgeSoak",
        "keeps no token",
    ),
    // Numbers, texts, arrays.
    (
        UP,
        "Soak",
        "$.pace.look_seconds",
        "$.run.run_id",
        LintRule::QuantityIsWhole,
        "batch-upgrade, state Soak",
        "SecondsPath reads $.run.run_id, which is a string",
    ),
    (
        UP,
        "StartRollback",
        "$.gate.rollback_name",
        "$.gate.clusters",
        LintRule::TextIsString,
        "batch-upgrade, state StartRollback",
        "Parameters.Name ($.gate.clusters)",
    ),
    (
        UP,
        "PreCheckClusters",
        "\"ItemsPath\": \"$.clusters\"",
        "\"ItemsPath\": \"$.run\"",
        LintRule::ItemsAreArray,
        "batch-upgrade, state PreCheckClusters",
        "$.run",
    ),
    // Rules of a Choice.
    (
        UP,
        "IsHealthy",
        "\"healthy\"",
        "\"heathy\"",
        LintRule::RuleCanHold,
        "batch-upgrade, state IsHealthy",
        "$.gate.decision = heathy): it can never hold; $.gate.decision is ",
    ),
    (
        UP,
        "HowItEnded",
        "$.settled.merged_meanwhile",
        "$.settled.outcome",
        LintRule::ComparisonFits,
        "batch-upgrade, state HowItEnded",
        "with false or true",
    ),
];

#[test]
fn the_lint_sees_a_bend_of_every_kind() {
    let contracts = contracts().unwrap();
    let mut rules = BTreeSet::new();
    for (name, state, from, to, rule, place, says) in BENDS {
        let problems = lint_types(&bent(name, state, from, to), &contracts).problems;
        let is_seen = problems.iter().any(|problem| {
            let text = problem.to_string();
            problem.rule == rule && text.starts_with(place) && text.contains(says)
        });
        let found = told(problems);
        assert!(is_seen, "{name}, {state}, {from} -> {to}: {rule:?} is not told, but:\n{}", found.join("\n"));
        rules.insert(rule);
    }
    assert_eq!(rules.len(), 10, "each rule of the types is bent: {rules:?}");
}

/// What another rule took already never gets there.
#[test]
fn a_rule_behind_one_that_takes_the_same_is_seen() {
    let machines = bent(UP, "WhatNext", "\"post_check\"", "\"soak\"");
    let problems = told(lint_types(&machines, &contracts().unwrap()).problems);
    let [problem] = problems.as_slice() else { panic_with(&problems.join("\n")) };
    assert!(problem.contains("an earlier rule takes it"), "{problem}");
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

/// Functions that no state calls, and who does.
const CALLED_BY_NO_STATE: [(&str, &str); 4] = [
    ("watch-merges", "EventBridge, every minute"),
    ("merge-webhook", "GitLab, through its function URL"),
    ("answer-decision", "a person"),
    ("sweep", "EventBridge, after an execution ended badly and by schedule"),
];

/// Task, function, folder and state are one word, and each is there.
#[test]
fn every_task_has_a_function_and_a_state_and_back() {
    let mut called = BTreeSet::new();
    let mut waits = BTreeSet::new();
    for machine in machines().unwrap() {
        for state in machine.states() {
            if let StateKind::Task(task) = &state.kind
                && let Some(Template::Literal(Value::String(name))) = task.parameters.field("FunctionName")
            {
                called.insert(name.clone());
                if task.resource == Resource::InvokeWithToken {
                    waits.insert(name.clone());
                }
            }
        }
    }
    let arns = |names: &[&str]| names.iter().map(|name| function_arn(name)).collect::<BTreeSet<String>>();
    let tasks = Contract::all();
    let all = arns(&tasks.iter().map(|contract| contract.task).collect::<Vec<_>>());
    let others = arns(&CALLED_BY_NO_STATE.map(|(name, _)| name));
    assert!(others.is_subset(&all) && others.is_disjoint(&called), "a state calls one of {others:?}");
    assert_eq!(called, &all - &others, "states and tasks");
    assert_eq!(arns(&FUNCTIONS), all, "functions of the simulation and tasks");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
    let folders: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| function_arn(entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    assert_eq!(folders, all, "folders of functions and tasks");

    let keeps_token: Vec<&str> =
        tasks.iter().filter(|task| task.token_answer.is_some()).map(|contract| contract.task).collect();
    assert_eq!(waits, arns(&keeps_token), "states that wait for a token and tasks that keep one");
}

/// Rule 7 of the house: a missing path in the input of a person is a `States.Runtime` that nothing catches.
#[test]
fn machines_that_people_start_take_their_input_whole() {
    for name in STARTED_BY_PEOPLE {
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
