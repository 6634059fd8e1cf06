//! `startExecution.sync:2`, and StopExecution through it.

use crate::world::{World, gives, merge, only, raises, task};
use guard_asl::{Status, execution_arn, machine_arn};
use serde_json::{Value, json};

fn nested(machine: &str, more: Value) -> Value {
    let state = json!({
        "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": machine_arn(machine), "Name": "child-1", "Input.$": "$.input"},
        "End": true
    });
    merge(state, more)
}

fn waits(seconds: u64) -> Value {
    only(json!({"Type": "Wait", "Seconds": seconds, "End": true}))
}

fn parent_and_child(parent: &Value, child: &Value) -> World {
    World::new().machine("child", child).machine("parent", parent)
}

#[test]
fn the_parent_gets_the_childs_description_with_its_output_as_json() {
    let world = parent_and_child(&only(nested("child", json!({}))), &waits(30));
    let end = world.runs("parent", json!({"input": {"cluster": "a"}}));
    let child = execution_arn("child", "child-1");
    assert_eq!(
        end.output,
        Some(json!({
            "ExecutionArn": child, "Input": {"cluster": "a"}, "InputDetails": {"Included": true},
            "Name": "child-1", "StartDate": 1_767_600_000_000_u64, "StateMachineArn": machine_arn("child"),
            "Status": "SUCCEEDED", "StopDate": 1_767_600_030_000_u64,
            "Output": {"cluster": "a"}, "OutputDetails": {"Included": true}
        }))
    );
    assert_eq!(world.describe(&child).parent, Some(end.arn.clone()));
    assert_eq!(
        world.kinds(&end.arn)[2..6],
        ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]
    );
}

#[test]
fn a_failed_child_is_task_failed_with_its_description_as_cause() {
    let mut parent =
        only(nested("child", json!({"Catch": [{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]})));
    parent["States"]["Caught"] = json!({"Type": "Succeed"});
    let child = only(json!({"Type": "Fail", "Error": "GateFailed", "Cause": "not healthy"}));
    let world = parent_and_child(&parent, &child);
    let output = world.runs("parent", json!({"input": {}})).output.expect("caught");
    assert_eq!(output["Error"], "States.TaskFailed");
    let cause: Value = serde_json::from_str(output["Cause"].as_str().expect("text")).expect("JSON");
    assert_eq!(
        (&cause["Error"], &cause["Cause"], &cause["Status"]),
        (&json!("GateFailed"), &json!("not healthy"), &json!("FAILED"))
    );
}

#[test]
fn a_stopped_or_timed_out_child_is_task_failed_too() {
    let world = parent_and_child(&only(nested("child", json!({}))), &waits(1000));
    let parent = world.starts("parent", json!({"input": {}}));
    world.run_for(10);
    world
        .service
        .stop_execution(&execution_arn("child", "child-1"), "Cancelled", "by hand")
        .expect("is known");
    world.settle();
    let end = world.describe(&parent);
    assert_eq!(end.error.as_deref(), Some("States.TaskFailed"));
    assert!(end.cause.expect("told").contains(r#""Status":"ABORTED""#));

    let child = merge(waits(1000), json!({"TimeoutSeconds": 5}));
    let end =
        parent_and_child(&only(nested("child", json!({}))), &child).runs("parent", json!({"input": {}}));
    assert!(end.cause.expect("told").contains(r#""Status":"TIMED_OUT""#));
}

#[test]
fn stopping_the_parent_reaches_every_generation() {
    let world = World::new()
        .machine("grandchild", &waits(1000))
        .machine(
            "child",
            &only(nested(
                "grandchild",
                json!({"Parameters": {"StateMachineArn": machine_arn("grandchild")}}),
            )),
        )
        .machine("parent", &only(nested("child", json!({}))));
    let parent = world.starts("parent", json!({"input": {}}));
    world.run_for(10);
    world.service.stop_execution(&parent, "Cancelled", "by hand").expect("is known");
    world.settle();
    let ends = world.service.list_executions();
    assert_eq!(ends.len(), 3);
    assert!(ends.iter().all(|end| end.status == Status::Aborted), "{ends:?}");
    assert_eq!(ends[0].error.as_deref(), Some("Cancelled"));
    assert_eq!(world.elapsed(), 10, "nothing is left that would move the clock");
    let kinds = world.kinds(&parent);
    assert_eq!(kinds[kinds.len() - 2..], ["TaskStateAborted", "ExecutionAborted"]);
}

#[test]
fn the_child_is_stopped_when_its_task_times_out() {
    let world = parent_and_child(&only(nested("child", json!({"TimeoutSeconds": 20}))), &waits(1000));
    let end = world.runs("parent", json!({"input": {}}));
    assert_eq!(end.error.as_deref(), Some("States.Timeout"));
    let child = world.describe(&execution_arn("child", "child-1"));
    assert_eq!((child.status, child.stop), (Status::Aborted, end.stop));
}

#[test]
fn the_same_name_and_input_join_the_running_child() {
    let world = parent_and_child(&only(nested("child", json!({}))), &waits(30));
    let (first, second) =
        (world.starts("parent", json!({"input": 1})), world.starts("parent", json!({"input": 1})));
    world.settle();
    let outputs = [world.describe(&first).output, world.describe(&second).output];
    assert!(outputs[0].is_some());
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!(world.service.list_executions().len(), 3, "two parents, one child");
}

#[test]
fn a_name_used_before_is_an_error_of_the_task() {
    let world = parent_and_child(&only(nested("child", json!({}))), &waits(30));
    let name = "StepFunctions.ExecutionAlreadyExistsException";
    let (first, other) =
        (world.starts("parent", json!({"input": 1})), world.starts("parent", json!({"input": 2})));
    world.settle();
    assert_eq!(world.describe(&first).status, Status::Succeeded);
    assert_eq!(world.describe(&other).error.as_deref(), Some(name), "another input");
    let late = world.runs("parent", json!({"input": 1}));
    assert_eq!(late.error.as_deref(), Some(name), "the child has ended");
}

#[test]
fn a_machine_that_is_not_there_is_an_error_of_the_task() {
    let end = World::new()
        .machine("parent", &only(nested("nowhere", json!({}))))
        .runs("parent", json!({"input": {}}));
    assert_eq!(end.error.as_deref(), Some("StepFunctions.StateMachineDoesNotExistException"));
}

#[test]
fn a_child_may_be_asked_for_again() {
    let retry = json!([{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 60, "MaxAttempts": 1}]);
    let parameters = json!({"StateMachineArn": machine_arn("child"), "Input": {}});
    let parent = only(nested("child", json!({"Retry": retry, "Parameters": parameters})));
    let world = parent_and_child(&parent, &only(task("f", json!({"OutputPath": "$.Payload"}))));
    let calls = std::sync::atomic::AtomicU64::new(0);
    let world = world.function("f", move |_, _| {
        let is_first = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        if is_first { raises("Transient", "") } else { gives(json!("done"), 1) }
    });
    assert_eq!(world.runs("parent", json!({})).output.expect("succeeded")["Output"], "done");
    assert_eq!(world.called_at("f"), [0, 60]);
}

#[test]
fn a_task_may_stop_the_execution_that_runs_it() {
    let world = World::new().machine("m", &only(task("f", json!({})))).function("f", |service, call| {
        let arn = call.execution_arn.as_deref().expect("of an execution");
        service.stop_execution(arn, "Cancelled", "from inside").expect("is known");
        gives(json!(1), 5)
    });
    let end = world.runs("m", json!({}));
    assert_eq!((end.status, end.cause.as_deref()), (Status::Aborted, Some("from inside")));
    assert_eq!(world.elapsed(), 0);
}
