//! Every loop of every machine, and what ends it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeSet;

use guard_asl::{Machine, Quantity, Resource, StateKind, Template, WaitSpan};
use guard_domain::control_plane_gate::Watch;
use guard_domain::plan::watch_seconds;
use guard_domain::{BatchId, Config, Direction, MAX_CLUSTERS, Plan, RunId};
use guard_simulation::machines;
use jiff::{SignedDuration, Timestamp};

const UP: &str = "batch-upgrade";
const CONVERGE: &str = "cluster-converge";

/// How a loop comes to its end.
enum Bound {
    /// The task on it says so once a deadline of the plan has passed, after so many turns at the most.
    Deadline { task: &'static str, pause: &'static str, turns: fn(&Plan) -> u64 },
    /// Each turn starts another machine, for something that is not done twice.
    Once { nested: &'static str, most: Option<usize>, why: &'static str },
    /// Each turn ends at a gate that takes every cluster of the turn out of it; `guard_domain::Progress` proves that.
    Gate { gate: &'static str, why: &'static str },
    /// Each turn waits for a person, about something that is asked once.
    Answer { token: &'static str, why: &'static str },
}

/// Why nobody is asked for ever.
const ANSWERED: &str = "every cluster that was asked about leaves the soak with the answer, or without one";

/// Every loop of every machine. A new one is added here with what bounds it.
const LOOPS: [(&str, &[&str], Bound); 10] = [
    (
        UP,
        &["TakeClustersToConverge", "PauseBeforeConverge", "ConvergeClusters", "DecideConverge", "WhatNext"],
        Bound::Gate {
            gate: "DecideConverge",
            why: "who was followed has a verdict, and none is followed twice",
        },
    ),
    (
        UP,
        &["WhatNext", "Soak", "JudgeSoak"],
        Bound::Deadline {
            task: "JudgeSoak",
            pause: "$.pace.look_seconds",
            // Each extension begins with the look that grants it, up to one pause late.
            turns: |plan| {
                steady(plan.longest_soak_minutes(), plan.pace().look_seconds)
                    + u64::from(plan.config.policy.soak_extensions_max)
            },
        },
    ),
    (
        UP,
        &["WhatNext", "AwaitDecision", "DecideAnswer"],
        Bound::Answer { token: "AwaitDecision", why: ANSWERED },
    ),
    (
        UP,
        &["WhatNext", "AwaitDecision", "NoteUnanswered", "DecideAnswer"],
        Bound::Answer { token: "AwaitDecision", why: ANSWERED },
    ),
    (
        UP,
        &["WhatNext", "StartRollback", "DecideAfterRollback"],
        Bound::Once {
            nested: "StartRollback",
            most: Some(MAX_CLUSTERS),
            why: "a rollback takes a cluster back, or fails the run",
        },
    ),
    (
        UP,
        &[
            "WhatNext",
            "PostCheckClusters",
            "DecidePostCheck",
            "IsHealthy",
            "StartRollback",
            "DecideAfterRollback",
        ],
        Bound::Once {
            nested: "StartRollback",
            most: Some(MAX_CLUSTERS),
            why: "a rollback takes a cluster back, or fails the run",
        },
    ),
    (
        CONVERGE,
        &["WatchRollout", "HasArrived", "WaitForFlux"],
        Bound::Deadline {
            task: "WatchRollout",
            pause: "$.seen.wait_seconds",
            turns: |plan| {
                let poll = plan.pace().poll_seconds;
                let deadline = u64::from(plan.config.validation.flux_sync_timeout_minutes) * 60;
                turns_until(deadline, |elapsed| watch_seconds(elapsed, poll))
            },
        },
    ),
    (
        CONVERGE,
        &["GateControlPlane", "IsControlPlaneWell", "WaitForControlPlane"],
        Bound::Deadline {
            task: "GateControlPlane",
            pause: "$.gate.wait_seconds",
            turns: |plan| {
                let minutes = plan.config.policy.control_plane_watch_minutes;
                let watch = Watch::of(Direction::Upgrade, Timestamp::UNIX_EPOCH, minutes);
                turns_until(u64::from(minutes) * 120, |elapsed| {
                    watch.pause_seconds(Timestamp::UNIX_EPOCH + elapsed)
                })
            },
        },
    ),
    (
        CONVERGE,
        &["RestartProxies", "AreProxiesBack", "WaitForWorkloads"],
        Bound::Deadline {
            task: "RestartProxies",
            pause: "$.poll_seconds",
            turns: |plan| steady(plan.config.policy.restart_timeout_minutes, plan.pace().poll_seconds),
        },
    ),
    (
        "rollout",
        &["NextBatch", "IsThereABatch", "StartBatch", "RememberBatch"],
        Bound::Once {
            nested: "StartBatch",
            most: None,
            why: "each batch is started once; there are as many turns as batches",
        },
    ),
];

/// Rule 8 of the house: no loop passes 250 turns.
const MOST_TURNS: u64 = 250;

#[test]
fn every_loop_is_known_and_bounded() {
    let machines = machines().unwrap();
    let found: BTreeSet<(&str, Vec<String>)> = machines
        .iter()
        .flat_map(|machine| machine.graphs().into_iter().map(|graph| (machine.name.as_str(), graph)))
        .flat_map(|(name, graph)| graph.cycles().into_iter().map(move |cycle| (name, cycle)))
        .collect();
    let known: BTreeSet<(&str, Vec<String>)> = LOOPS
        .iter()
        .map(|(name, states, _)| (*name, states.iter().map(|state| (*state).to_owned()).collect()))
        .collect();
    assert_eq!(found, known, "loops of the machines, and loops whose bound is told in LOOPS");
    for (name, states, bound) in &LOOPS {
        let machine = machines.iter().find(|machine| machine.name == *name).unwrap();
        match bound {
            Bound::Deadline { task, pause, .. } => ends_by_deadline(machine, states, task, pause),
            Bound::Gate { gate, why } => {
                let kind = &machine.state(gate).unwrap().kind;
                let is_call = matches!(kind, StateKind::Task(task) if task.resource == Resource::Invoke);
                assert!(is_call && states.contains(gate), "{gate}: {why}");
            }
            Bound::Answer { token, why } => {
                let kind = &machine.state(token).unwrap().kind;
                let is_token =
                    matches!(kind, StateKind::Task(task) if task.resource == Resource::InvokeWithToken);
                assert!(is_token && states.contains(token), "{token}: {why}");
            }
            Bound::Once { nested, most, why } => {
                let kind = &machine.state(nested).unwrap().kind;
                let starts =
                    matches!(kind, StateKind::Task(task) if task.resource == Resource::StartExecutionSync);
                assert!(starts, "{nested}: {why}");
                assert!(states.contains(nested), "{nested} is on the loop");
                assert!(most.is_none_or(|most| most as u64 <= MOST_TURNS), "{nested}: {why}");
            }
        }
    }
}

/// The loop waits for as long as the plan says, calls its task, and can be left right after it.
fn ends_by_deadline(machine: &Machine, states: &[&str], task: &str, pause: &str) {
    let kind = |name: &str| &machine.state(name).unwrap().kind;
    let is_call = matches!(kind(task), StateKind::Task(task) if task.resource == Resource::Invoke);
    assert!(is_call && states.contains(&task), "{task} is a task of the loop");
    let waits: Vec<&WaitSpan> = states
        .iter()
        .filter_map(|name| match kind(name) {
            StateKind::Wait(wait) => Some(&wait.span),
            _ => None,
        })
        .collect();
    assert!(
        matches!(waits.as_slice(), [WaitSpan::Seconds(Quantity::Path(path))] if path.to_string() == pause),
        "{states:?} wait for {waits:?}"
    );
    let after = machine.state(task).unwrap().edges();
    let is_left = after.iter().filter(|edge| states.contains(&edge.to.as_str())).any(|edge| {
        machine.state(&edge.to).unwrap().edges().iter().any(|edge| !states.contains(&edge.to.as_str()))
    });
    assert!(is_left, "{states:?} is left by what {task} says");
}

/// The children wait for what the plan of their parents says, too.
#[test]
fn every_child_polls_at_the_pace_of_the_plan() {
    let mut passed = 0;
    for machine in machines().unwrap() {
        for state in machine.states() {
            if let StateKind::Map(map) = &state.kind
                && let Some(selector) = &map.item_selector
                && let Some(Template::Path(path)) = selector.field("poll_seconds")
            {
                assert_eq!(path.to_string(), "$.pace.poll_seconds", "{}, {}", machine.name, state.name);
                passed += 1;
            }
        }
    }
    assert_eq!(passed, 2, "upgrade and rollback follow their clusters");
}

#[test]
fn no_loop_passes_250_turns_whatever_the_configuration() {
    // What the configuration's own check lets through, the ends and the middle.
    let values = [1, 15, 60, 1_440, 43_199, 43_200];
    for soak in values {
        for other in values {
            for look in [1, 10, 43_200] {
                let mut config = Config::default();
                config.validation.soak_period_minutes = soak;
                config.policy.soak_data_grace_minutes = other;
                config.validation.flux_sync_timeout_minutes = other;
                config.policy.restart_timeout_minutes = soak;
                config.policy.control_plane_watch_minutes = other.clamp(5, 240);
                config.policy.soak_look_minutes = look;
                config.policy.soak_extension_minutes = other;
                config.policy.soak_extensions_max = 20;
                assert!(config.problems().is_empty(), "{:?}", config.problems());
                let plan = plan(config);
                for (name, states, bound) in &LOOPS {
                    if let Bound::Deadline { turns, .. } = bound {
                        let turns = turns(&plan);
                        assert!(
                            turns <= MOST_TURNS,
                            "{name} {states:?}: {turns} turns with {:?}",
                            plan.pace()
                        );
                    }
                }
            }
        }
    }
}

/// The first look comes before the first pause, the last one after the deadline.
fn steady(minutes: u32, seconds: u64) -> u64 {
    (u64::from(minutes) * 60).div_ceil(seconds) + 1
}

/// The same with pauses of different lengths.
fn turns_until(deadline: u64, pause: impl Fn(SignedDuration) -> u64) -> u64 {
    let (mut elapsed, mut turns) = (0, 1);
    while elapsed < deadline {
        elapsed += pause(SignedDuration::from_secs(elapsed.try_into().unwrap())).max(1);
        turns += 1;
    }
    turns
}

fn plan(config: Config) -> Plan {
    Plan {
        run_id: RunId::parse("run-1").unwrap(),
        execution_arn: String::new(),
        direction: Direction::Upgrade,
        batch_id: BatchId::parse("test").unwrap(),
        started_at: Timestamp::UNIX_EPOCH,
        reason: None,
        clusters: Vec::new(),
        controls: Vec::new(),
        target_branch: "main".to_owned(),
        upgrade_spec: None,
        resumes: None,
        config,
    }
}
