//! `lambda:invoke.waitForTaskToken` and the SendTask calls.

use crate::world::{World, gives, merge, only, raises};
use guard_asl::{ApiError, Status, StepFunctions};
use serde_json::{Value, json};

fn waiting(more: Value) -> Value {
    let state = json!({
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": "ask", "Payload": {"token.$": "$$.Task.Token"}},
        "ResultPath": "$.answer", "End": true
    });
    only(merge(state, more))
}

/// A world in which `ask` only takes the token, in one second.
fn world(more: Value) -> World {
    World::new().machine("m", &waiting(more)).function("ask", |_, _| gives(json!("ignored"), 1))
}

fn token(world: &World) -> String {
    world.calls().last().expect("asked").payload["token"].as_str().expect("text").to_owned()
}

#[test]
fn what_is_sent_is_the_result_and_the_reply_of_the_function_is_not() {
    let world = world(json!({"TimeoutSeconds": 1000}));
    let arn = world.starts("m", json!({"a": 1}));
    world.run_for(500);
    assert_eq!(world.describe(&arn).status, Status::Running);
    world.service.send_task_success(&token(&world), json!({"merged": true})).expect("waits");
    world.settle();
    let end = world.describe(&arn);
    assert_eq!(end.output, Some(json!({"a": 1, "answer": {"merged": true}})));
    assert_eq!(end.stop.expect("ended").duration_since(end.start).as_secs(), 500);
    let kinds = world.kinds(&arn);
    assert_eq!(kinds[2..6], ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]);
}

#[test]
fn a_failure_that_is_sent_is_the_states_error() {
    let world = world(json!({}));
    let arn = world.starts("m", json!({}));
    world.run_for(5);
    world.service.send_task_failure(&token(&world), "MergeRequestClosed", "by hand").expect("waits");
    world.settle();
    let end = world.describe(&arn);
    assert_eq!((end.error.as_deref(), end.cause.as_deref()), (Some("MergeRequestClosed"), Some("by hand")));
}

#[test]
fn the_function_itself_may_answer_at_once() {
    let world =
        World::new().machine("m", &waiting(json!({}))).function("ask", |service: &StepFunctions, call| {
            let token = call.payload["token"].as_str().expect("text");
            service.send_task_success(token, json!("already merged")).expect("waits");
            gives(json!("ignored"), 1)
        });
    assert_eq!(world.runs("m", json!({})).output, Some(json!({"answer": "already merged"})));
    assert_eq!(world.elapsed(), 0, "nobody waits for the function's own reply then");
}

#[test]
fn an_error_of_the_function_fails_the_state() {
    let world =
        World::new().machine("m", &waiting(json!({}))).function("ask", |_, _| raises("Rejected", "no"));
    assert_eq!(world.runs("m", json!({})).error.as_deref(), Some("Rejected"));
}

#[test]
fn a_token_is_good_once() {
    let world = world(json!({}));
    world.starts("m", json!({}));
    world.run_for(5);
    let token = token(&world);
    world.service.send_task_success(&token, json!(1)).expect("waits");
    for sent in [
        world.service.send_task_success(&token, json!(2)),
        world.service.send_task_failure(&token, "E", ""),
        world.service.send_task_heartbeat(&token),
    ] {
        assert_eq!(sent, Err(ApiError::TaskTimedOut(token.clone())));
    }
    let unknown = "token-0".to_owned();
    assert_eq!(world.service.send_task_heartbeat(&unknown), Err(ApiError::TaskDoesNotExist(unknown)));
    let nonsense = "nonsense".to_owned();
    assert_eq!(world.service.send_task_success(&nonsense, json!(1)), Err(ApiError::InvalidToken(nonsense)));
}

#[test]
fn each_attempt_has_its_own_token() {
    let retry = json!([{"ErrorEquals": ["States.Timeout"], "MaxAttempts": 1}]);
    let world = world(json!({"TimeoutSeconds": 10, "Retry": retry}));
    let arn = world.starts("m", json!({}));
    world.run_for(5);
    let first = token(&world);
    world.run_for(10);
    let second = token(&world);
    assert_ne!(first, second);
    assert_eq!(world.service.send_task_success(&first, json!(1)), Err(ApiError::TaskTimedOut(first)));
    world.service.send_task_success(&second, json!(2)).expect("waits");
    world.settle();
    assert_eq!(world.describe(&arn).output, Some(json!({"answer": 2})));
}

#[test]
fn a_missed_heartbeat_fails_the_state_before_its_time_out() {
    let world = world(json!({"TimeoutSeconds": 1000, "HeartbeatSeconds": 60}));
    let end = world.runs("m", json!({}));
    assert_eq!(end.error.as_deref(), Some("States.HeartbeatTimeout"));
    assert_eq!(world.elapsed(), 60);
}

#[test]
fn a_heartbeat_gives_another_span_but_no_more_time_out() {
    let world = world(json!({"TimeoutSeconds": 100, "HeartbeatSecondsPath": "$.beat"}));
    let arn = world.starts("m", json!({"beat": 40}));
    world.run_for(30);
    world.service.send_task_heartbeat(&token(&world)).expect("waits");
    world.run_for(35);
    assert_eq!(world.describe(&arn).status, Status::Running, "40 s after the beat at 30 s is 70 s");
    world.service.send_task_heartbeat(&token(&world)).expect("waits");
    world.settle();
    assert_eq!(world.describe(&arn).error.as_deref(), Some("States.Timeout"));
    assert_eq!(world.elapsed(), 100);
}

#[test]
fn a_heartbeat_that_stops_again_is_missed() {
    let world = world(json!({"TimeoutSeconds": 1000, "HeartbeatSeconds": 60}));
    let arn = world.starts("m", json!({}));
    world.run_for(30);
    world.service.send_task_heartbeat(&token(&world)).expect("waits");
    world.settle();
    assert_eq!(world.describe(&arn).error.as_deref(), Some("States.HeartbeatTimeout"));
    assert_eq!(world.elapsed(), 90);
}

#[test]
fn a_missed_heartbeat_is_caught_as_a_time_out() {
    let mut definition = waiting(json!({
        "HeartbeatSeconds": 60, "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Caught"}]
    }));
    definition["States"]["Caught"] = json!({"Type": "Succeed"});
    let world = World::new().machine("m", &definition).function("ask", |_, _| gives(json!(1), 1));
    assert_eq!(world.runs("m", json!({})).status, Status::Succeeded);
}

#[test]
fn a_token_of_a_stopped_execution_is_closed() {
    let world = world(json!({}));
    let arn = world.starts("m", json!({}));
    world.run_for(5);
    world.service.stop_execution(&arn, "Cancelled", "by hand").expect("is known");
    let token = token(&world);
    assert_eq!(world.service.send_task_success(&token, json!(1)), Err(ApiError::TaskTimedOut(token)));
}

#[test]
fn too_large_an_answer_is_refused_and_the_task_still_waits() {
    let world = world(json!({}));
    let arn = world.starts("m", json!({}));
    world.run_for(5);
    let large = json!("x".repeat(guard_asl::MAX_STATE_BYTES));
    let refused = world.service.send_task_success(&token(&world), large);
    assert_eq!(refused, Err(ApiError::InvalidOutput(guard_asl::MAX_STATE_BYTES + 2)));
    assert_eq!(world.describe(&arn).status, Status::Running);
}
