//! From the merge to the last proxy, and the whole way back: every journey that a cluster may take, each told by its name, and
//! what must hold in all of them, whatever goes wrong.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

mod faults;
mod journeys;

use std::collections::BTreeMap;

use guard_asl::TransitionKind;
use guard_domain::{Finding, RunId};
use guard_simulation::{Fleet, House};
use guard_tasks::RunRecords as _;
use guard_world::{WorkloadKind, WorkloadSpec, World};
use serde_json::json;

const CLUSTER: &str = "test-euw1-1";

/// One cluster that is upgraded.
fn fleet() -> Fleet {
    Fleet::new(1, 1, None, None).unwrap()
}

/// The same with these workloads.
fn with(workloads: Vec<WorkloadSpec>) -> Fleet {
    let mut fleet = fleet();
    fleet.world.clusters[0].workloads = workloads;
    fleet
}

/// Something that happens to the world.
type Bend = Box<dyn Fn(&World) + Send + Sync>;

struct Ended {
    house: House,
    /// `SUCCEEDED`, or the error's name.
    ending: String,
    cause: String,
}

/// Plays an upgrade in which something happens when a state is entered for the first time.
async fn upgrade(
    fleet: &Fleet,
    state: &'static str,
    meanwhile: impl Fn(&World) + Send + Sync + 'static,
) -> Ended {
    let house = House::new(fleet).unwrap();
    let world = house.world.clone();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    house.observe(move |transition| {
        let is_entry = matches!(transition.kind, TransitionKind::Entered);
        if is_entry
            && transition.state.as_deref() == Some(state)
            && !is_done.swap(true, std::sync::atomic::Ordering::Relaxed)
        {
            meanwhile(&world);
        }
    });
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    let ended = Ended::of(house, &arn);
    ended.holds(fleet);
    ended
}

impl Ended {
    fn of(house: House, arn: &str) -> Self {
        let execution = house.service.describe_execution(arn).unwrap();
        Self {
            ending: execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()),
            cause: execution.cause.unwrap_or_default(),
            house,
        }
    }

    /// What must hold whatever happens.
    fn holds(&self, fleet: &Fleet) {
        let (world, policy) = (&self.house.world, &fleet.config.policy);
        let mut restarts = BTreeMap::<_, u32>::new();
        let mut marks = BTreeMap::new();
        for roll in world.rolls(CLUSTER) {
            let workload = (roll.kind, roll.namespace.clone(), roll.name.clone());
            // A roll that leaves the mark as it was is somebody else's.
            if let Some(mark) = &roll.mark
                && marks.insert(workload.clone(), mark.clone()).as_ref() != Some(mark)
            {
                *restarts.entry((workload, mark.clone())).or_default() += 1;
            }
        }
        assert!(restarts.values().all(|count| *count == 1), "restarted twice: {restarts:?}");
        let mut evicted = BTreeMap::<_, u32>::new();
        for one in world.evictions(CLUSTER) {
            *evicted.entry((one.pod, one.proxy)).or_default() += 1;
        }
        assert!(evicted.values().all(|count| *count == 1), "evicted twice: {evicted:?}");
        let worst = world.worst_moments(CLUSTER);
        let within = |seen: usize, most: u32| seen <= most as usize;
        assert!(within(worst.cluster.pods, policy.max_unavailable_pods), "{worst:?}");
        assert!(within(worst.cluster.workloads, policy.max_unavailable_workloads), "{worst:?}");
        for here in worst.namespaces.values() {
            assert!(within(here.pods, policy.max_unavailable_pods_per_namespace), "{worst:?}");
            assert!(within(here.workloads, policy.max_unavailable_workloads_per_namespace), "{worst:?}");
        }
        assert_eq!(world.proxies_ahead_at_rest(CLUSTER), [] as [String; 0]);
    }

    /// Codes of the findings that a phase left in the run's record.
    async fn found(&self, phase: &str) -> Vec<Finding> {
        let run = RunId::parse("run-1").unwrap();
        let entry = self.house.store.entry(&run, &format!("findings#{CLUSTER}#{phase}")).await.unwrap();
        serde_json::from_value(entry.unwrap_or_default()).unwrap_or_default()
    }

    async fn codes(&self, phase: &str) -> Vec<String> {
        self.found(phase).await.into_iter().map(|finding| finding.code).collect()
    }

    /// Marks in the order in which they were set, without rolls of others.
    fn restarted(&self) -> Vec<String> {
        let ours = self.house.world.rolls(CLUSTER).into_iter().filter(|roll| roll.mark.is_some());
        ours.map(|roll| format!("{}/{}", roll.namespace, roll.name)).collect()
    }

    fn proxies(&self) -> Vec<String> {
        self.house.world.cluster(CLUSTER).unwrap().proxy_versions.into_keys().collect()
    }
}

fn deployment(name: &str, replicas: u32) -> WorkloadSpec {
    WorkloadSpec::new("shop", name, WorkloadKind::Deployment, replicas)
}
