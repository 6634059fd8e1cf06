//! The service around the machines: history, clock, names, observer, plain invocations.

use crate::world::{World, gives, only, raises, start, task};
use guard_asl::{ApiError, EdgeKind, Machine, Status, Step, StepFunctions, Transition, TransitionKind};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn small() -> Value {
    json!({"StartAt": "Ask", "States": {
        "Ask": {"Type": "Choice", "Default": "Skip", "Choices": [
            {"Variable": "$.go", "BooleanEquals": true, "Next": "Each"}
        ]},
        "Each": {
            "Type": "Map", "ItemsPath": "$.items", "ResultPath": null, "Next": "Pause",
            "ItemProcessor": {"StartAt": "Work", "States": {"Work": task("f", json!({}))}}
        },
        "Pause": {"Type": "Wait", "Seconds": 60, "Next": "Stop"},
        "Stop": {"Type": "Fail", "Error": "Halted"},
        "Skip": {"Type": "Pass", "Next": "Done"},
        "Done": {"Type": "Succeed"}
    }})
}

fn world() -> World {
    World::new().machine("m", &small()).function("f", |_, _| gives(json!(1), 2))
}

#[test]
fn the_history_speaks_the_services_words() {
    let world = world();
    let end = world.runs("m", json!({"go": true, "items": ["a"]}));
    assert_eq!(
        world.kinds(&end.arn),
        [
            "ExecutionStarted",
            "ChoiceStateEntered",
            "ChoiceStateExited",
            "MapStateEntered",
            "MapStateStarted",
            "MapIterationStarted",
            "TaskStateEntered",
            "TaskScheduled",
            "TaskStarted",
            "TaskSucceeded",
            "TaskStateExited",
            "MapIterationSucceeded",
            "MapStateSucceeded",
            "MapStateExited",
            "WaitStateEntered",
            "WaitStateExited",
            "FailStateEntered",
            "ExecutionFailed"
        ]
    );
    let end = world.runs("m", json!({"go": false}));
    assert_eq!(
        world.kinds(&end.arn),
        [
            "ExecutionStarted",
            "ChoiceStateEntered",
            "ChoiceStateExited",
            "PassStateEntered",
            "PassStateExited",
            "SucceedStateEntered",
            "SucceedStateExited",
            "ExecutionSucceeded"
        ]
    );
}

#[test]
fn events_are_counted_from_one_and_name_what_led_to_them() {
    let world = world();
    let end = world.runs("m", json!({"go": true, "items": ["a", "b"]}));
    let history = world.service.history(&end.arn);
    for (index, event) in history.iter().enumerate() {
        assert_eq!(event.id, index as u64 + 1);
        assert!(event.previous_id < event.id);
    }
    let of = |kind: &str| history.iter().filter(|event| event.kind == kind).collect::<Vec<_>>();
    let started = of("MapStateStarted")[0].id;
    assert!(of("MapIterationStarted").iter().all(|event| event.previous_id == started));
    assert_eq!(of("TaskScheduled")[0].details["parameters"], json!({"FunctionName": "f", "Payload": "a"}));
    assert_eq!(of("MapStateStarted")[0].details, json!({"length": 2}));
    assert_eq!(of("ExecutionFailed")[0].details["error"], "Halted");
    assert_eq!(of("ExecutionFailed")[0].at, start() + SignedDuration::from_secs(62));
}

#[test]
fn a_retry_is_scheduled_again_without_entering_again() {
    let retry = json!([{"ErrorEquals": ["Transient"]}]);
    let world =
        World::new().machine("m", &only(task("f", json!({"Retry": retry})))).function("f", |_, call| {
            if call.attempt == 0 { raises("Transient", "") } else { gives(json!(1), 0) }
        });
    let end = world.runs("m", json!({}));
    assert_eq!(
        world.kinds(&end.arn)[1..],
        [
            "TaskStateEntered",
            "TaskScheduled",
            "TaskStarted",
            "TaskFailed",
            "TaskScheduled",
            "TaskStarted",
            "TaskSucceeded",
            "TaskStateExited",
            "ExecutionSucceeded"
        ]
    );
}

#[test]
fn time_moves_only_by_events_and_by_run_until() {
    let world = World::new().machine("m", &only(json!({"Type": "Wait", "Seconds": 100, "End": true})));
    let clock = world.service.clock();
    let arn = world.starts("m", json!({}));
    assert_eq!(world.service.next_event_at(), Some(start()));
    world.run_for(40);
    assert_eq!(clock.now(), start() + SignedDuration::from_secs(40));
    assert_eq!(world.service.next_event_at(), Some(start() + SignedDuration::from_secs(100)));
    assert_eq!(world.describe(&arn).status, Status::Running);
    world.run_for(60);
    assert_eq!(world.describe(&arn).status, Status::Succeeded);
    assert_eq!((world.service.next_event_at(), world.step()), (None, Step::Idle));
    world.run_for(1000);
    assert_eq!(clock.now(), start() + SignedDuration::from_secs(1100));
}

#[test]
fn no_event_is_due_before_now() {
    let definition = only(json!({"Type": "Wait", "TimestampPath": "$.past", "End": true}));
    let world = World::new().machine("m", &definition);
    world.starts("m", json!({"past": "2020-01-01T00:00:00Z"}));
    world.service.schedule_invocation(start() - SignedDuration::from_secs(5), "f", json!({}));
    while let Some(due) = world.service.next_event_at() {
        assert_eq!(due, start());
        world.step();
    }
}

#[test]
fn a_function_may_read_the_clock_and_start_other_executions() {
    let world = World::new()
        .machine("other", &only(json!({"Type": "Succeed"})))
        .machine("m", &only(task("f", json!({}))))
        .function("f", |service: &StepFunctions, call| {
            assert_eq!(service.now(), call.at);
            let arn = service.start_execution("other", Some("from-inside"), json!(1)).expect("starts");
            gives(json!(arn), 3)
        });
    world.runs("m", json!({}));
    let names: Vec<_> =
        world.service.list_executions().into_iter().map(|end| (end.machine, end.status)).collect();
    assert_eq!(names, [("m".to_owned(), Status::Succeeded), ("other".to_owned(), Status::Succeeded)]);
}

#[test]
fn a_plain_invocation_runs_at_its_time_outside_of_executions() {
    let world = World::new().function("tick", |_, call| gives(call.payload.clone(), 9));
    let at = start() + SignedDuration::from_secs(60);
    world.service.schedule_invocation(at, "tick", json!({"n": 1}));
    let expected = Step::Invoked { at, function: "tick".to_owned(), outcome: Ok(json!({"n": 1})) };
    assert_eq!(world.step(), expected);
    assert_eq!((world.step(), world.service.now()), (Step::Idle, at));
    assert_eq!(world.calls()[0].execution_arn, None);
}

#[test]
fn start_execution_keeps_names_unique_and_is_idempotent_while_running() {
    let world = World::new().machine("m", &only(json!({"Type": "Wait", "Seconds": 10, "End": true})));
    let start = |input| world.service.start_execution("m", Some("x"), input);
    let arn = start(json!(1)).expect("starts");
    assert_eq!(start(json!(1)), Ok(arn.clone()));
    assert_eq!(start(json!(2)), Err(ApiError::ExecutionAlreadyExists(arn.clone())));
    world.settle();
    assert_eq!(start(json!(1)), Err(ApiError::ExecutionAlreadyExists(arn)));
    assert_eq!(
        world.service.start_execution("m", Some("a b"), json!(1)),
        Err(ApiError::InvalidName("a b".to_owned()))
    );
    assert!(matches!(
        world.service.start_execution("n", None, json!(1)),
        Err(ApiError::StateMachineDoesNotExist(_))
    ));
    assert_eq!(world.service.list_executions().len(), 1);
}

#[test]
fn stopping_twice_changes_nothing_and_an_unknown_execution_is_told() {
    let world = World::new().machine("m", &only(json!({"Type": "Wait", "Seconds": 10, "End": true})));
    let arn = world.starts("m", json!({}));
    world.run_for(1);
    world.service.stop_execution(&arn, "First", "one").expect("is known");
    world.service.stop_execution(&arn, "Second", "two").expect("is known");
    let end = world.describe(&arn);
    assert_eq!(
        (end.status, end.error.as_deref(), end.cause.as_deref()),
        (Status::Aborted, Some("First"), Some("one"))
    );
    assert_eq!(world.kinds(&arn)[2..], ["WaitStateAborted", "ExecutionAborted"]);
    assert_eq!(
        world.service.stop_execution("arn", "", ""),
        Err(ApiError::ExecutionDoesNotExist("arn".to_owned()))
    );
}

#[test]
fn a_definition_with_a_dangling_transition_or_a_used_name_is_refused() {
    let service = StepFunctions::new(1, start());
    let parse = |definition: Value| Machine::parse("m", &definition.to_string()).expect("is in the subset");
    let dangling = parse(json!({"StartAt": "Nowhere", "States": {"A": {"Type": "Pass", "Next": "B"}}}));
    let refused = service.create_state_machine(dangling).expect_err("dangling").to_string();
    assert!(refused.contains("StartAt Nowhere") && refused.contains("A -> B"), "{refused}");
    let whole = || parse(only(json!({"Type": "Succeed"})));
    assert!(service.create_state_machine(whole()).is_ok());
    assert_eq!(
        service.create_state_machine(whole()),
        Err(ApiError::StateMachineAlreadyExists("m".to_owned()))
    );
}

#[test]
fn an_observer_sees_each_state_and_the_edge_it_left_by_and_may_call_the_service() {
    let world = world();
    let seen: Arc<Mutex<Vec<Transition>>> = Arc::default();
    let (log, service) = (Arc::clone(&seen), world.service.clone());
    world.service.set_observer(Arc::new(move |transition| {
        assert!(service.describe_execution(&transition.execution_arn).is_some());
        log.lock().expect("not poisoned").push(transition.clone());
    }));
    world.runs("m", json!({"go": true, "items": ["a"]}));
    let seen = seen.lock().expect("not poisoned");
    let line = |transition: &Transition| {
        let state = transition.state.clone().unwrap_or_default();
        let what = match &transition.kind {
            TransitionKind::Exited(Some(edge)) => format!("-> {} {:?}", edge.to, edge.kind),
            TransitionKind::Exited(None) => "end".to_owned(),
            TransitionKind::Failed { error, .. } => error.clone(),
            other => format!("{other:?}"),
        };
        format!("{state} {what}")
    };
    assert_eq!(
        seen.iter().map(line).collect::<Vec<_>>(),
        [
            " Started",
            "Ask Entered",
            "Ask -> Each Rule(0)",
            "Each Entered",
            "Work Entered",
            "Work end",
            "Each -> Pause Next",
            "Pause Entered",
            "Pause -> Stop Next",
            "Stop Entered",
            "Stop Halted",
            " Ended"
        ]
    );
    assert_eq!(seen.last().map(|last| last.status), Some(Status::Failed));
    assert_eq!(
        seen.iter().find(|one| one.state.as_deref() == Some("Work")).and_then(|one| one.item),
        Some(0)
    );
}

#[test]
fn edges_and_states_of_a_machine_are_known() {
    let machine = Machine::parse("m", &small().to_string()).expect("is in the subset");
    let edges: Vec<_> = machine
        .edges()
        .into_iter()
        .map(|edge| format!("{}-{:?}-{}", edge.from, edge.kind, edge.to))
        .collect();
    assert_eq!(
        edges,
        ["Ask-Rule(0)-Each", "Ask-Default-Skip", "Each-Next-Pause", "Pause-Next-Stop", "Skip-Next-Done"]
    );
    assert_eq!(machine.states().count(), 7);
    assert_eq!(machine.state("Work").map(|state| state.type_name()), Some("Task"));
    assert_eq!(EdgeKind::Next, machine.edges()[2].kind);
}
