//! Faults that a test injects at an attempt at a state.

use crate::world::{World, gives, merge, only, task};
use guard_asl::{AttemptFault, Status, execution_arn, machine_arn};
use serde_json::{Value, json};
use std::sync::Arc;

/// The first attempt at the state `Only` of the machine goes wrong.
fn first(world: &World, machine: &'static str, fault: AttemptFault) {
    world.service.set_faults(Arc::new(move |attempt| {
        (attempt.machine == machine && attempt.state == "Only" && attempt.number == 0).then(|| fault.clone())
    }));
}

fn retried(error: &str) -> Value {
    json!({"TimeoutSeconds": 60, "Retry": [{"ErrorEquals": [error], "IntervalSeconds": 5, "MaxAttempts": 1}]})
}

fn works(state: Value) -> World {
    World::new().function("f", |_, _| gives(json!("done"), 1)).machine("m", &only(task("f", state)))
}

/// Fault, error that is tried again, calls of the function, seconds until the end.
#[test]
fn a_task_acts_as_often_as_its_fault_says() {
    for (fault, error, calls, seconds) in [
        (AttemptFault::Fail("Transient".into()), "Transient", 1, 6),
        (AttemptFault::LoseResult("Lambda.Unknown".into()), "Lambda.Unknown", 2, 7),
        (AttemptFault::ActTwice, "Transient", 2, 1),
        (AttemptFault::TimeOut, "States.Timeout", 2, 66),
    ] {
        let world = works(retried(error));
        first(&world, "m", fault.clone());
        let end = world.runs("m", json!({}));
        assert_eq!(end.status, Status::Succeeded, "{fault:?}: {end:?}");
        assert_eq!((world.calls().len(), world.elapsed()), (calls, seconds), "{fault:?}");
    }
}

#[test]
fn a_fault_is_an_error_like_any_other() {
    let world = works(json!({}));
    first(&world, "m", AttemptFault::Fail("Denied".into()));
    let end = world.runs("m", json!({}));
    assert_eq!((end.status, end.error.as_deref()), (Status::Failed, Some("Denied")));
    assert!(world.kinds(&end.arn).contains(&"TaskFailed".to_owned()));
}

#[test]
fn a_stopped_execution_is_aborted_before_the_state_acts() {
    let world = works(json!({}));
    first(&world, "m", AttemptFault::Stop);
    let end = world.runs("m", json!({}));
    assert_eq!((end.status, world.calls().len()), (Status::Aborted, 0));
}

#[test]
fn a_map_may_fail_as_a_whole() {
    let map = json!({
        "Type": "Map", "ItemsPath": "$", "End": true,
        "ItemProcessor": {"StartAt": "Inner", "States": {"Inner": {"Type": "Pass", "End": true}}},
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    });
    let mut machine = only(merge(map, json!({})));
    machine["States"]["Caught"] = json!({"Type": "Succeed"});
    let world = World::new().machine("m", &machine);
    first(&world, "m", AttemptFault::Fail("States.BranchFailed".into()));
    assert_eq!(
        world.runs("m", json!([1])).output,
        Some(json!({"Error": "States.BranchFailed", "Cause": "injected"}))
    );
}

fn parent(more: Value) -> World {
    let state = json!({
        "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": machine_arn("child"), "Name": "child-1"}, "TimeoutSeconds": 60, "End": true
    });
    let child = only(json!({"Type": "Wait", "Seconds": 30, "End": true}));
    World::new().machine("child", &child).machine("m", &only(merge(state, more)))
}

#[test]
fn a_nested_start_that_is_made_twice_starts_one_child() {
    let world = parent(json!({}));
    first(&world, "m", AttemptFault::ActTwice);
    assert_eq!(world.runs("m", json!({})).status, Status::Succeeded);
    assert_eq!((world.service.list_executions().len(), world.elapsed()), (2, 30));
}

#[test]
fn the_result_of_a_child_may_be_lost_or_come_too_late() {
    for (fault, error, seconds) in [
        (AttemptFault::LoseResult("States.TaskFailed".into()), "States.TaskFailed", 30),
        (AttemptFault::TimeOut, "States.Timeout", 60),
    ] {
        let world = parent(json!({}));
        first(&world, "m", fault);
        let end = world.runs("m", json!({}));
        assert_eq!((end.error.as_deref(), world.elapsed()), (Some(error), seconds));
        assert_eq!(world.describe(&execution_arn("child", "child-1")).status, Status::Succeeded);
    }
}

#[test]
fn an_answer_to_a_token_that_times_out_is_not_heard() {
    let wait = json!({
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "TimeoutSeconds": 60,
        "Parameters": {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}}, "End": true
    });
    let world = World::new()
        .function("f", |service, call| {
            let token = call.payload["token"].as_str().expect("a token");
            assert!(service.send_task_success(token, json!("too late")).is_err());
            gives(json!({}), 1)
        })
        .machine("m", &only(wait));
    first(&world, "m", AttemptFault::TimeOut);
    let end = world.runs("m", json!({}));
    assert_eq!((end.error.as_deref(), world.elapsed()), (Some("States.Timeout"), 60));
}
