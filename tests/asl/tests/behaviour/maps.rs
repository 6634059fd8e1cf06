//! Inline Map.

use crate::world::{World, gives, merge, raises, task};
use guard_asl::{Order, Status, machine_arn};
use proptest::prelude::*;
use serde_json::{Value, json};

#[expect(clippy::needless_pass_by_value, reason = "a literal reads better without a borrow")]
fn map_of(state: Value, more: Value) -> Value {
    let map = json!({
        "Type": "Map", "ItemsPath": "$.items", "End": true,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Each", "States": {"Each": state}}
    });
    json!({"StartAt": "All", "States": {"All": merge(map, more), "Caught": {"Type": "Succeed"}}})
}

/// Each item is a number of seconds its function takes; the output is the item.
fn sleeper(more: Value) -> World {
    World::new()
        .machine("m", &map_of(task("f", json!({"OutputPath": "$.Payload"})), more))
        .function("f", |_, call| gives(call.payload.clone(), call.payload.as_u64().expect("a number")))
}

#[test]
fn results_keep_the_order_of_the_items() {
    let world = sleeper(json!({"ResultPath": "$.results"}));
    let end = world.runs("m", json!({"items": [3, 1, 2]}));
    assert_eq!(end.output, Some(json!({"items": [3, 1, 2], "results": [3, 1, 2]})));
    assert_eq!(world.elapsed(), 3, "all at the same time");
}

#[test]
fn no_items_give_an_empty_array() {
    let world = sleeper(json!({}));
    let end = world.runs("m", json!({"items": []}));
    assert_eq!(end.output, Some(json!([])));
    assert_eq!(world.kinds(&end.arn)[2..4], ["MapStateStarted", "MapStateSucceeded"]);
}

#[test]
fn concurrency_is_what_is_asked_for_and_forty_at_most() {
    let tens = |count| json!({"items": vec![10; count], "two": 2});
    for (fields, count, seconds) in [
        (json!({"MaxConcurrency": 1}), 4, 40),
        (json!({"MaxConcurrencyPath": "$.two"}), 4, 20),
        (json!({"MaxConcurrency": 0}), 40, 10),
        (json!({}), 41, 20),
        (json!({"MaxConcurrency": 100}), 81, 30),
    ] {
        let world = sleeper(fields.clone());
        assert_eq!(world.runs("m", tens(count)).status, Status::Succeeded);
        assert_eq!(world.elapsed(), seconds, "{fields}");
    }
}

#[test]
fn a_free_place_is_taken_at_once() {
    let world = sleeper(json!({"MaxConcurrency": 2}));
    world.runs("m", json!({"items": [10, 1, 1, 1]}));
    assert_eq!(world.called_at("f"), [0, 0, 1, 2]);
}

#[test]
fn the_item_selector_sees_the_item_and_the_maps_input() {
    let selector = json!({
        "index.$": "$$.Map.Item.Index", "item.$": "$$.Map.Item.Value.id", "run.$": "$.run",
        "name.$": "$$.Execution.Name"
    });
    let pass = json!({"Type": "Pass", "Parameters": {
        "got.$": "$", "index.$": "$$.Map.Item.Index", "value.$": "$$.Map.Item.Value"
    }, "End": true});
    let world = World::new().machine("m", &map_of(pass, json!({"ItemSelector": selector})));
    let arn = world
        .service
        .start_execution("m", Some("x"), json!({"items": [{"id": "a"}, {"id": "b"}], "run": "r"}))
        .expect("starts");
    world.settle();
    let one = |index: u64, id: &str| {
        json!({
            "got": {"index": index, "item": id, "run": "r", "name": "x"}, "index": index, "value": {"id": id}
        })
    };
    assert_eq!(world.describe(&arn).output, Some(json!([one(0, "a"), one(1, "b")])));
}

#[test]
fn one_failed_iteration_stops_its_siblings_and_fails_the_map_with_its_error() {
    let catch = json!([{"ErrorEquals": ["Rejected"], "ResultPath": "$.error", "Next": "Caught"}]);
    let definition = map_of(task("f", json!({})), json!({"Catch": catch}));
    let world = World::new().machine("m", &definition).function("f", |_, call| {
        if call.payload == json!(0) { raises("Rejected", "") } else { gives(json!(1), 100) }
    });
    let end = world.runs("m", json!({"items": [1, 0, 1]}));
    assert_eq!(end.output.expect("caught")["error"]["Error"], "Rejected");
    assert_eq!(world.elapsed(), 0, "the replies of the stopped siblings are dropped");
    let kinds = world.kinds(&end.arn);
    let count = |kind: &str| kinds.iter().filter(|other| *other == kind).count();
    assert_eq!(
        (count("MapIterationFailed"), count("MapIterationAborted"), count("MapStateFailed")),
        (1, 2, 1)
    );
}

#[test]
fn a_stopped_sibling_stops_its_nested_execution() {
    let parameters = json!({"StateMachineArn": machine_arn("child"), "Input": {}});
    let each = json!({
        "StartAt": "Which", "States": {
            "Which": {"Type": "Choice", "Default": "Nest", "Choices": [
                {"Variable": "$", "NumericEquals": 0, "Next": "Pause"}
            ]},
            "Pause": {"Type": "Wait", "Seconds": 10, "Next": "Give up"},
            "Give up": {"Type": "Fail", "Error": "GivenUp"},
            "Nest": {
                "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
                "Parameters": parameters, "End": true
            }
        }
    });
    let world = World::new()
        .machine("child", &crate::world::only(json!({"Type": "Wait", "Seconds": 1000, "End": true})))
        .machine("m", &map_of(json!({"Type": "Succeed"}), json!({"ItemProcessor": each})));
    let end = world.runs("m", json!({"items": [1, 0]}));
    assert_eq!(end.error.as_deref(), Some("GivenUp"));
    let child = &world.service.list_executions()[1];
    assert_eq!((child.machine.as_str(), child.status), ("child", Status::Aborted));
    assert_eq!(world.elapsed(), 10);
}

#[test]
fn a_retry_of_the_map_runs_every_iteration_again() {
    let retry = json!([{"ErrorEquals": ["Transient"], "IntervalSeconds": 5, "MaxAttempts": 1}]);
    let calls = std::sync::atomic::AtomicU64::new(0);
    let world = World::new()
        .machine("m", &map_of(task("f", json!({})), json!({"Retry": retry, "MaxConcurrency": 1})));
    let world = world.function("f", move |_, _| {
        let number = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if number == 1 { raises("Transient", "") } else { gives(json!(1), 0) }
    });
    assert_eq!(world.runs("m", json!({"items": [1, 2]})).status, Status::Succeeded);
    assert_eq!(world.called_at("f"), [0, 0, 5, 5]);
}

#[test]
fn a_runtime_error_in_an_iteration_loses_the_whole_execution() {
    let catch = json!([{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]);
    let broken = json!({"Type": "Pass", "InputPath": "$.missing", "End": true});
    let world = World::new().machine("m", &map_of(broken, json!({"Catch": catch})));
    let end = world.runs("m", json!({"items": [{}, {}]}));
    assert_eq!((end.status, end.error.as_deref()), (Status::Failed, Some("States.Runtime")));
    assert!(!world.service.is_busy());
}

#[test]
fn items_that_are_no_array_lose_the_execution() {
    let end = sleeper(json!({})).runs("m", json!({"items": {"a": 1}}));
    assert_eq!(end.error.as_deref(), Some("States.Runtime"));
}

#[test]
fn maps_nest_and_the_innermost_item_is_told() {
    let inner = json!({
        "Type": "Map", "End": true,
        "ItemProcessor": {"StartAt": "Leaf", "States": {
            "Leaf": {"Type": "Pass", "Parameters": {"i.$": "$$.Map.Item.Index", "v.$": "$"}, "End": true}
        }}
    });
    let world = World::new().machine("m", &map_of(inner, json!({})));
    let end = world.runs("m", json!({"items": [["a"], ["b", "c"]]}));
    assert_eq!(end.output, Some(json!([[{"i": 0, "v": "a"}], [{"i": 0, "v": "b"}, {"i": 1, "v": "c"}]])));
}

#[test]
fn the_seed_decides_the_order_of_what_happens_at_the_same_time() {
    let order = |seed| {
        let world = World::seeded(seed, Order::Seeded)
            .machine("m", &map_of(task("f", json!({"OutputPath": "$.Payload"})), json!({})))
            .function("f", |_, call| gives(call.payload.clone(), 1));
        let end = world.runs("m", json!({"items": [0, 1, 2, 3, 4, 5, 6, 7]}));
        assert_eq!(end.output, Some(json!([0, 1, 2, 3, 4, 5, 6, 7])), "whatever the order");
        world.calls().iter().map(|call| call.payload.as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    assert_ne!(order(1), [0, 1, 2, 3, 4, 5, 6, 7]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the seed: every item once, results in order, and never more at a time than asked for, so the
    /// time is that of handing the next item to the first free place.
    #[test]
    fn any_interleaving_gives_the_same_results_in_the_same_time(
        seed: u64, items in prop::collection::vec(0_u64..50, 0..60), most in 1_usize..12
    ) {
        let world = World::seeded(seed, Order::Seeded)
            .machine("m", &map_of(task("f", json!({"OutputPath": "$.Payload"})), json!({"MaxConcurrency": most})))
            .function("f", |_, call| gives(call.payload.clone(), call.payload.as_u64().unwrap_or_default()));
        let end = world.runs("m", json!({"items": items}));
        prop_assert_eq!(end.output, Some(json!(items)));
        prop_assert_eq!(world.calls().len(), items.len());
        let mut free = vec![0; most];
        for item in items {
            free.sort_unstable();
            free[0] += item;
        }
        let last = free.into_iter().max().unwrap_or_default();
        prop_assert_eq!(u64::try_from(world.elapsed()), Ok(last));
    }
}
