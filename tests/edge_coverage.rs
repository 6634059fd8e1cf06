//! Every edge of every machine is taken by some story or some fault: a Choice branch or a Catch that nothing takes is
//! either dead or untested, and this names it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use guard_asl::{Edge, Transition, TransitionKind};
use guard_simulation::{Fault, FaultHook, Fleet, House, Scenario, Story, machines};
use guard_tasks::ErrorName;
use guard_tests::hooks::{map_states, once_at, task_states};
use guard_world::{Answer, System};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Edges taken so far, in words.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<BTreeSet<String>>>);

fn words(machine: &str, edge: &Edge) -> String {
    format!("{machine}: {} -> {} ({:?})", edge.from, edge.to, edge.kind)
}

impl Taken {
    fn saw(&self, transition: &guard_asl::Transition) {
        if let TransitionKind::Exited(Some(edge)) = &transition.kind {
            self.0.lock().unwrap().insert(words(&transition.machine, edge));
        }
    }

    fn watch(&self, house: &House) {
        let taken = self.clone();
        house.observe(move |transition| taken.saw(transition));
    }

    /// Plays a scenario, with some states failing once.
    async fn story(&self, scenario: Scenario, clusters: usize, batches: usize, places: &[(&str, &str)]) {
        let fleet = Fleet::new(clusters, 1, None, None).unwrap().in_batches(batches).unwrap();
        self.hooked(scenario, fleet, once_at(places, Fault::fails(ErrorName::Internal))).await;
    }

    async fn hooked(&self, scenario: Scenario, fleet: Fleet, hook: impl FaultHook + 'static) {
        let story = Story::with_faults(scenario, fleet, hook).unwrap();
        let taken = self.clone();
        story.observe(move |transition| taken.saw(transition));
        story.play().await.unwrap();
    }

    /// Runs `batch-rollback` by hand on a healthy batch, with some states failing once.
    async fn by_hand(&self, places: &[(&str, &str)]) {
        let fleet = Fleet::new(1, 1, None, None).unwrap();
        let hook = once_at(places, Fault::fails(ErrorName::Internal));
        let house = House::with_faults(&fleet, hook).unwrap();
        house.run_one("batch-upgrade", "up", upgrade()).await.unwrap();
        self.watch(&house);
        house.run_one("batch-rollback", "run-1", back()).await.unwrap();
    }

    /// Plays a scenario over one cluster, and does something whenever a state is entered.
    async fn interfered(
        &self,
        scenario: Scenario,
        change: impl FnOnce(&mut Fleet),
        act: impl Fn(&Fleet, &House, &Transition) + Send + Sync + 'static,
    ) {
        let mut fleet = Fleet::new(1, 1, None, None).unwrap();
        change(&mut fleet);
        let story = Arc::new(Story::new(scenario, fleet).unwrap());
        let (taken, inner) = (self.clone(), Arc::downgrade(&story));
        story.observe(move |transition| {
            taken.saw(transition);
            if let (TransitionKind::Entered, Some(story)) = (&transition.kind, inner.upgrade()) {
                act(story.fleet(), story.house(), transition);
            }
        });
        story.play().await.unwrap();
    }

    async fn input(&self, machine: &str, input: Value) {
        let house = House::new(&Fleet::new(1, 1, None, None).unwrap()).unwrap();
        self.watch(&house);
        house.run_one(machine, "run-1", input).await.unwrap();
    }
}

fn upgrade() -> Value {
    json!({"batch_id": "test", "target_version": "1.30.5"})
}

fn back() -> Value {
    json!({"batch_id": "test", "reason": "by hand"})
}

/// Edges that no run takes, each with its reason.
const OUT_OF_REACH: [&str; 1] = [
    // restart-proxies never answers `unknown` today. A Choice needs a Default, and it must not be a failure.
    "cluster-converge: AreProxiesBack -> ProxiesUnknown (Default)",
];

/// Somebody pushes the cluster's files with another version.
fn push(fleet: &Fleet, house: &House, branch: &str, version: &str) {
    for name in ["base", "gateway", "istiod"] {
        let path = format!("clusters/test-euw1-1/istio/{name}.yaml");
        let text = fleet.world.files[&path].replace("1.29.8", version);
        house.world.push(branch, &path, Some(&text), "by hand");
    }
}

fn is_at(transition: &Transition, state: &str) -> bool {
    transition.state.as_deref() == Some(state)
}

/// Stops an execution when it enters this state.
fn stop_at(state: &'static str) -> impl Fn(&Fleet, &House, &Transition) + Send + Sync + 'static {
    move |_, house, transition| {
        if is_at(transition, state) {
            house.service.stop_execution(&transition.execution_arn, "Stopped", "by a person").unwrap();
        }
    }
}

async fn scenarios(taken: &Taken) {
    for scenario in Scenario::ALL {
        taken.story(scenario, 2, 1, &[]).await;
    }
    for scenario in [Scenario::Clean, Scenario::Regression] {
        taken.story(scenario, 2, 2, &[]).await;
    }
}

async fn faults(taken: &Taken) {
    for (machine, state) in task_states().unwrap() {
        let place = [(machine.as_str(), state.as_str())];
        taken.story(Scenario::Clean, 1, 1, &place).await;
        taken.story(Scenario::Regression, 1, 1, &place).await;
        if machine == "batch-rollback" {
            taken.by_hand(&place).await;
        }
    }
    // The iterations of a Map catch everything themselves; what is left is what only AWS could raise.
    for (machine, state) in map_states().unwrap() {
        taken.story(Scenario::Regression, 1, 1, &[(&machine, &state)]).await;
        taken.story(Scenario::Clean, 1, 1, &[(&machine, &state)]).await;
    }
    for state in ["AwaitDecision", "DecideAnswer"] {
        taken.story(Scenario::MarginalAsksAPerson, 2, 1, &[("batch-upgrade", state)]).await;
    }
    // Nobody hears the answer: the state's own time-out ends the waiting.
    let unheard = once_at(&[("batch-upgrade", "AwaitDecision")], Fault::IsSlow);
    let fleet = Fleet::new(2, 1, None, None).unwrap();
    taken.hooked(Scenario::MarginalAsksAPerson, fleet, unheard).await;
    for (scenario, state) in [
        (Scenario::MrClosed, "SettleClosed"),
        (Scenario::MrExpired, "SettleExpired"),
        (Scenario::PreCheckFails, "SettleGateFailed"),
        (Scenario::RollbackUnmerged, "SettleRollbackFailed"),
        (Scenario::FluxSuspended, "SettleStopped"),
        (Scenario::DryRun, "PreviewChange"),
    ] {
        taken.story(scenario, 1, 1, &[("batch-upgrade", state)]).await;
    }
    taken
        .story(
            Scenario::Clean,
            1,
            1,
            &[("batch-upgrade", "DecidePreCheck"), ("batch-upgrade", "SettleHalted")],
        )
        .await;
    taken
        .by_hand(&[
            ("batch-rollback", "OpenRollbackMergeRequest"),
            ("batch-rollback", "SettleRollbackFailed"),
        ])
        .await;
    taken.story(Scenario::Clean, 2, 2, &[("rollout", "NextBatch")]).await;
}

async fn interference(taken: &Taken) {
    let unchanged = |_: &mut Fleet| {};
    // A version that differs when the files are read again; what was merged is another one than was proposed.
    for scenario in [Scenario::Clean, Scenario::DryRun] {
        let drift = |fleet: &Fleet, house: &House, transition: &Transition| {
            if is_at(transition, "DecidePreCheck") {
                push(fleet, house, "main", "1.29.7");
            }
        };
        taken.interfered(scenario, unchanged, drift).await;
    }
    let edit = |fleet: &Fleet, house: &House, transition: &Transition| {
        if is_at(transition, "AwaitUpgradeMerge") {
            push(fleet, house, "feature/istio-1.30.5-test", "1.30.4");
        }
    };
    taken.interfered(Scenario::Clean, unchanged, edit).await;
    // Of two requests one is merged and the other closed.
    let two = |fleet: &mut Fleet| {
        *fleet = Fleet::new(2, 1, None, None).unwrap().in_projects(2);
        fleet.world.person.upgrade = Answer::Ignore;
    };
    let half = |fleet: &Fleet, house: &House, transition: &Transition| {
        if is_at(transition, "AwaitUpgradeMerge") {
            for (row, merge) in fleet.rows.iter().zip([true, false]) {
                house.world.merge_request_of_project_by_person(&row.gitlab_repo, 1, merge);
            }
        }
    };
    taken.interfered(Scenario::Clean, two, half).await;
    // More requests fail as soon as the new istiod is there.
    let errors = |_: &Fleet, house: &House, transition: &Transition| {
        if is_at(transition, "GateControlPlane") {
            let now = house.service.now();
            house.world.shock(now, now + SignedDuration::from_mins(30), 30.0, 1.0);
        }
    };
    taken.interfered(Scenario::Clean, unchanged, errors).await;
    // Nobody knows whether they do.
    let silence = |_: &Fleet, house: &House, transition: &Transition| {
        if is_at(transition, "GateControlPlane") {
            house.world.outage(System::Datadog, house.service.now(), Timestamp::MAX, 503);
        }
    };
    taken.interfered(Scenario::Clean, unchanged, silence).await;
    // A version that goes back during the soak.
    let back = |fleet: &Fleet, house: &House, transition: &Transition| {
        if is_at(transition, "Soak") {
            push(fleet, house, "main", "1.29.8");
        }
    };
    taken.interfered(Scenario::Clean, unchanged, back).await;
    // GitLab out of reach when nobody merges the way back: the state's own time-out ends the waiting.
    let out = |fleet: &mut Fleet| fleet.world.person.rollback = Answer::Ignore;
    let outage = |_: &Fleet, house: &House, transition: &Transition| {
        if is_at(transition, "AwaitRollbackMerge") {
            house.world.outage(
                System::GitLab,
                house.service.now() + SignedDuration::from_mins(1),
                Timestamp::MAX,
                503,
            );
        }
    };
    taken.interfered(Scenario::Regression, out, outage).await;
    // Children that a person stops.
    taken.interfered(Scenario::Clean, unchanged, stop_at("WatchRollout")).await;
    taken.interfered(Scenario::Regression, unchanged, stop_at("OpenRollbackMergeRequest")).await;
    let stop_back = |_: &Fleet, house: &House, transition: &Transition| {
        if is_at(transition, "WatchRollout") && transition.execution.contains("-rollback-") {
            house.service.stop_execution(&transition.execution_arn, "Stopped", "by a person").unwrap();
        }
    };
    taken.interfered(Scenario::Regression, unchanged, stop_back).await;
}

/// The same request, started twice.
async fn again(taken: &Taken) {
    for (machine, input) in [
        ("rollout", json!({"target_version": "1.30.5", "request_id": "r"})),
        ("batch-upgrade", json!({"batch_id": "test", "target_version": "1.30.5", "request_id": "r"})),
        ("batch-rollback", json!({"batch_id": "test", "reason": "by hand", "request_id": "r"})),
    ] {
        let house = House::new(&Fleet::new(1, 1, None, None).unwrap()).unwrap();
        if machine == "batch-rollback" {
            house.run_one("batch-upgrade", "up", upgrade()).await.unwrap();
        }
        taken.watch(&house);
        for name in ["run-1", "run-2"] {
            house.run_one(machine, name, input.clone()).await.unwrap();
        }
    }
}

/// A run that was stopped in its soak is gone on with; what it says first may be lost.
async fn resumed(taken: &Taken) {
    for places in [&[][..], &[("batch-upgrade", "DecideResume")]] {
        let hook = once_at(places, Fault::fails(ErrorName::Internal));
        let house = House::with_faults(&Fleet::quick(1, 1).unwrap(), hook).unwrap();
        stopped_and_resumed(taken, &house).await;
    }
}

async fn stopped_and_resumed(taken: &Taken, house: &House) {
    let root = house.start("batch-upgrade", "run-1", upgrade()).unwrap();
    let service = house.service.clone();
    house.observe(move |transition| {
        if transition.kind == TransitionKind::Entered && is_at(transition, "Soak") {
            service.stop_execution(&root, "Stopped", "by a person").unwrap();
        }
    });
    house.run().await;
    house.sweep().await.unwrap();
    taken.watch(house);
    let mut input = upgrade();
    input["resume"] = "run-1".into();
    house.run_one("batch-upgrade", "run-2", input).await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn every_edge_is_taken() {
    let taken = Taken::default();
    scenarios(&taken).await;
    faults(&taken).await;
    interference(&taken).await;
    for machine in ["batch-upgrade", "batch-rollback", "rollout"] {
        taken.input(machine, json!({})).await;
    }
    taken.input("batch-upgrade", json!({"batch_id": "test", "target_version": "1.29.8"})).await;
    taken.input("batch-rollback", back()).await;
    again(&taken).await;
    resumed(&taken).await;

    let known: BTreeSet<String> = machines()
        .unwrap()
        .iter()
        .flat_map(|machine| machine.edges().iter().map(|edge| words(&machine.name, edge)).collect::<Vec<_>>())
        .collect();
    let taken = taken.0.lock().unwrap();
    let left: Vec<&String> =
        known.difference(&taken).filter(|edge| !OUT_OF_REACH.contains(&edge.as_str())).collect();
    assert!(left.is_empty(), "{} of {} edges are taken by nothing:\n{left:#?}", left.len(), known.len());
}
