//! What the lint says of the machines' data, compared with the data of runs: an input that the inferred type of its
//! state does not hold would mean that the lint reasons wrongly.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeSet;

use guard_asl::{TypeReport, lint_types};
use guard_simulation::{Fault, Fleet, House, Scenario, Story, contracts, machines};
use guard_tasks::ErrorName;
use guard_tests::hooks::{once_at, task_states};
use guard_world::Answer;
use serde_json::json;

type Places = BTreeSet<(String, String)>;

fn report() -> TypeReport {
    lint_types(&machines().unwrap(), &contracts().unwrap())
}

/// Every input and output in the histories of a house is of its type. Gives the states that were entered.
fn compare(house: &House, report: &TypeReport, told: &str) -> Places {
    let mut seen = Places::new();
    for execution in house.service.list_executions() {
        let machine = execution.arn.rsplit(':').nth(1).unwrap().to_owned();
        for event in house.service.history(&execution.arn) {
            if !event.kind.ends_with("StateEntered") {
                continue;
            }
            let state = event.details["name"].as_str().unwrap().to_owned();
            let input = &event.details["input"];
            let place = (machine.clone(), state);
            let of = report.inputs.get(&place).unwrap();
            assert!(of.admits(input), "{told}: {place:?} is {of}, and got {input}");
            seen.insert(place);
        }
        if execution.status == guard_asl::Status::Succeeded {
            let (of, output) = (&report.outputs[&machine], execution.output.unwrap());
            assert!(of.admits(&output), "{told}: {machine} ends with {of}, and gave {output}");
        }
    }
    seen
}

/// Enough of the states that the comparison means something; `edge_coverage` is where every edge is asked for.
fn assert_most(seen: &Places, report: &TypeReport, percent: usize) {
    let all: Places = report.inputs.keys().cloned().collect();
    let unseen: Vec<_> = all.difference(seen).collect();
    assert!(
        seen.len() * 100 >= all.len() * percent,
        "only {} of {} states: {unseen:?}",
        seen.len(),
        all.len()
    );
}

#[tokio::test(flavor = "current_thread")]
async fn every_input_of_every_scenario_is_of_the_type_that_the_lint_inferred() {
    let report = report();
    let mut seen = Places::new();
    for scenario in Scenario::ALL {
        let story = Story::new(scenario, Fleet::new(3, 1, None, None).unwrap()).unwrap();
        story.play().await.unwrap();
        seen.extend(compare(story.house(), &report, scenario.name()));
    }
    for scenario in [Scenario::Clean, Scenario::Regression] {
        let fleet = Fleet::new(4, 1, None, None).unwrap().in_batches(2).unwrap();
        let story = Story::new(scenario, fleet).unwrap();
        story.play().await.unwrap();
        seen.extend(compare(story.house(), &report, "two batches"));
    }
    // Of two requests one is merged and the other closed.
    let mut fleet = Fleet::new(2, 1, None, None).unwrap().in_projects(2);
    fleet.world.person.upgrade = Answer::Ignore;
    let house = House::new(&fleet).unwrap();
    let world = house.world.clone();
    house.observe(move |transition| {
        if transition.state.as_deref() == Some("AwaitUpgradeMerge") {
            for (row, merge) in fleet.rows.iter().zip([true, false]) {
                world.merge_request_of_project_by_person(&row.gitlab_repo, 1, merge);
            }
        }
    });
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    house.run_one("batch-upgrade", "half", input).await.unwrap();
    seen.extend(compare(&house, &report, "half merged"));
    let house = House::new(&Fleet::new(1, 1, None, None).unwrap()).unwrap();
    for (machine, name, input) in [
        ("batch-upgrade", "up", json!({"batch_id": "test", "target_version": "1.30.5"})),
        ("batch-rollback", "back", json!({"batch_id": "test", "reason": "by hand"})),
        ("batch-upgrade", "text", json!("no object")),
        ("rollout", "empty", json!({})),
    ] {
        house.run_one(machine, name, input).await.unwrap();
    }
    seen.extend(compare(&house, &report, "by hand"));
    assert_most(&seen, &report, 75);
}

/// Whatever a state's Catcher passes on is data too.
#[tokio::test(flavor = "current_thread")]
async fn every_input_after_every_error_is_of_the_type_that_the_lint_inferred() {
    let report = report();
    let mut seen = Places::new();
    for place in task_states().unwrap() {
        let places = [(place.0.as_str(), place.1.as_str())];
        let batches = if place.0 == "rollout" { 2 } else { 1 };
        let fleet = Fleet::new(batches, 1, None, None).unwrap().in_batches(batches).unwrap();
        let is_on_the_way_back = place.0 == "batch-rollback" || place.1.contains("Rollback");
        let scenario = if is_on_the_way_back { Scenario::Regression } else { Scenario::Clean };
        let hook = once_at(&places, Fault::fails(ErrorName::Internal));
        let story = Story::with_faults(scenario, fleet, hook).unwrap();
        story.play().await.unwrap();
        seen.extend(compare(story.house(), &report, &format!("{place:?} fails")));
    }
    assert_most(&seen, &report, 60);
}

/// A comparison that cannot fail would prove nothing.
#[tokio::test(flavor = "current_thread")]
async fn an_input_that_is_not_of_its_type_is_seen() {
    let story = Story::new(Scenario::Clean, Fleet::new(1, 1, None, None).unwrap()).unwrap();
    story.play().await.unwrap();
    let right = report();
    let place = ("batch-upgrade".to_owned(), "WhatNext".to_owned());
    let data: Vec<_> = story
        .house()
        .service
        .list_executions()
        .iter()
        .flat_map(|execution| story.house().service.history(&execution.arn))
        .filter(|event| event.kind.ends_with("StateEntered") && event.details["name"] == "WhatNext")
        .map(|event| event.details["input"].clone())
        .collect();
    assert!(!data.is_empty());
    for input in data {
        assert!(right.inputs[&place].admits(&input));
        for (pointer, wrong) in [
            ("/gate/decision", json!("heathy")),
            ("/pace/look_seconds", json!("600")),
            ("/run/fence", json!(-1)),
            ("/run", json!(null)),
            ("/clusters/0", json!({"cluster_id": "a"})),
        ] {
            let mut bent = input.clone();
            *bent.pointer_mut(pointer).unwrap() = wrong.clone();
            assert!(!right.inputs[&place].admits(&bent), "{pointer} is {wrong}");
        }
    }
}
