//! A house in which much goes wrong, all of it decided by a seed: faults at calls and states, executions that are stopped,
//! two people at once, merge requests that are edited, closed and opened again, systems that are out, clusters that do not
//! follow. The same seed is the same story.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use guard_asl::{Step, StepFunctions};
use guard_world::{Regression, System, World};
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::faults::{Fault, Occasion, What};
use crate::fleet::Fleet;
use crate::functions::function_arn;
use crate::house::House;
use crate::invariants::{self, Broken};
use crate::story::StoryError;

/// Occasions among which faults are strewn: about as many as a journey has.
const OCCASIONS: usize = 3_000;

/// Minutes of a story in which people act.
const MINUTES: i64 = 120;

/// At a call: fails before, reply lost, happens twice, slow, throttled, stale, expired credential, killed.
pub const FAULTS: [Fault; 8] = [
    Fault::Fails("Transient"),
    Fault::LosesReply,
    Fault::ActsTwice,
    Fault::IsSlow,
    Fault::Fails("Throttled"),
    Fault::IsStale,
    Fault::Fails("Denied"),
    Fault::Dies,
];

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A person stops the n-th execution that was started.
    Stop(usize),
    /// A person starts the batch once more.
    StartUpgrade,
    /// A person takes the batch back.
    StartRollback,
    /// A person merges the newest request.
    Merge,
    /// A person closes it.
    Close,
    /// A person opens it again.
    Reopen,
    /// A person pushes another version to its branch.
    Edit,
    /// A person deletes its branch.
    DeleteBranch,
    /// A monitor of the n-th cluster fires.
    Fire(usize),
    /// Flux of the n-th cluster is suspended.
    Suspend(usize),
    /// Datadog has nothing to say any more.
    Silence,
    /// A system is out of reach for some minutes.
    Outage(u8, i64),
    /// Sweep is called, once more than its schedule does.
    Sweep,
}

/// A story that is about to be told.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// Where it comes from.
    pub seed: u64,
    /// Clusters of the fleet.
    pub clusters: usize,
    /// The cluster that does worse at the new version.
    pub regresses: Option<usize>,
    /// At which occasion what goes wrong.
    pub faults: BTreeMap<usize, Fault>,
    /// Who does what, minutes after the start.
    pub acts: Vec<(i64, Act)>,
}

/// How it ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// What was decided by the seed and happened, in order.
    pub trace: Vec<String>,
    /// Each execution that somebody started, and how it ended.
    pub ends: Vec<(String, String)>,
    /// Invariants that were broken.
    pub broken: Vec<Broken>,
}

impl Chaos {
    /// The story of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let clusters = random.random_range(1..=3);
        let regresses = random.random_bool(0.4).then(|| random.random_range(0..clusters));
        let mut faults = BTreeMap::new();
        for _ in 0..random.random_range(0..=6) {
            let fault = FAULTS[random.random_range(0..FAULTS.len())].clone();
            faults.insert(random.random_range(0..OCCASIONS), fault);
        }
        let mut acts = Vec::new();
        for _ in 0..random.random_range(0..=5) {
            let act = match random.random_range(0..17) {
                0..=3 => Act::Stop(random.random_range(0..6)),
                4 | 5 => Act::StartUpgrade,
                6 => Act::StartRollback,
                7 => Act::Merge,
                8 => Act::Close,
                9 => Act::Reopen,
                10 => Act::Edit,
                11 => Act::DeleteBranch,
                12 => Act::Fire(random.random_range(0..clusters)),
                13 => Act::Suspend(random.random_range(0..clusters)),
                14 => Act::Silence,
                15 => Act::Outage(random.random_range(0..3), random.random_range(1..30)),
                _ => Act::Sweep,
            };
            acts.push((random.random_range(0..MINUTES), act));
        }
        acts.sort_by_key(|(minute, _)| *minute);
        Self { seed, clusters, regresses, faults, acts }
    }

    /// Somebody changes what runs in clusters, or Git, past GUARD.
    fn has_meddlers(&self) -> bool {
        self.acts.iter().any(|(_, act)| match act {
            // And a request that is merged after its run has ended is followed by nobody.
            Act::Reopen | Act::Edit | Act::Suspend(_) | Act::Merge => true,
            Act::Stop(_)
            | Act::StartUpgrade
            | Act::StartRollback
            | Act::Close
            | Act::DeleteBranch
            | Act::Fire(_)
            | Act::Silence
            | Act::Outage(..)
            | Act::Sweep => false,
        })
    }

    /// Plays it to its end, with the sweeps after it.
    pub async fn play(&self) -> Result<Ended, StoryError> {
        let mut fleet = Fleet::new(self.clusters, self.seed, None, None)?;
        fleet.config.validation.soak_period_minutes = 20;
        let trace: Arc<Mutex<Vec<String>>> = Arc::default();
        let count = std::sync::atomic::AtomicUsize::new(0);
        let (faults, told) = (self.faults.clone(), Arc::clone(&trace));
        let hook = move |occasion: &Occasion| {
            let fault = faults.get(&count.fetch_add(1, std::sync::atomic::Ordering::Relaxed))?;
            lock(&told).push(line(occasion, fault));
            Some(fault.clone())
        };
        let house = House::with_faults(&fleet, hook)?;
        if let Some(n) = self.regresses {
            let regression = Regression {
                from_version: fleet.target.to_string(),
                error_factor: 30.0,
                latency_factor: 1.3,
            };
            house.world.regress(fleet.rows[n].cluster_id.as_str(), regression);
        }
        let start = house.service.now();
        for quarter in 1..=40 {
            let at = start + SignedDuration::from_mins(15 * quarter);
            house.service.schedule_invocation(at, &function_arn("sweep"), json!({}));
        }
        let input = json!({"batch_id": fleet.batches[0], "target_version": fleet.target});
        house.start("batch-upgrade", "run-0", input)?;
        let pending = Mutex::new(self.acts.clone());
        let act = |now: Timestamp| {
            while let Some(act) = due(&pending, start, now) {
                lock(&trace).push(format!("{now}  {act:?}"));
                perform(act, &fleet, &house.world, &house.service);
            }
        };
        house
            .run_watching(|step| match step {
                Step::Progress { at, .. } | Step::Invoked { at, .. } => act(*at),
                Step::Idle => {}
            })
            .await;
        // What was still to be done is done when all is quiet.
        while let Some(minute) = { lock(&pending).first().map(|(minute, _)| *minute) } {
            house.wait_until(start + SignedDuration::from_mins(minute)).await;
            act(start + SignedDuration::from_mins(minute));
            house.run_watching(|_| {}).await;
        }
        let mut broken = Vec::new();
        for _ in 0..3 {
            // One of the planned faults may hit a sweep; the next one makes up for it.
            if let Err(error) = house.sweep().await {
                lock(&trace).push(format!("a sweep failed: {}", error.error_message));
            }
        }
        broken.extend(invariants::broken(&house, &fleet, self.has_meddlers()).await?);
        if self.acts.iter().any(|(_, act)| *act == Act::Reopen) {
            // What a person opens again after a run has ended is theirs.
            broken.retain(|one| one.invariant != "one_request_a_change");
        }
        let ends = house
            .service
            .list_executions()
            .into_iter()
            .filter(|execution| execution.parent.is_none())
            .map(|execution| {
                let end = execution.error.unwrap_or_else(|| execution.status.as_str().to_owned());
                (execution.name, end)
            })
            .collect();
        let trace = lock(&trace).clone();
        Ok(Ended { trace, ends, broken })
    }

    /// The shortest story that still breaks the same invariant: faults and acts are left out one by one as long as it does.
    pub async fn shortest(&self, invariant: &str) -> Result<Self, StoryError> {
        let mut shortest = self.clone();
        let mut is_shorter = true;
        while is_shorter {
            is_shorter = false;
            let fewer_faults = shortest.faults.keys().copied().map(|at| {
                let mut fewer = shortest.clone();
                fewer.faults.remove(&at);
                fewer
            });
            let fewer_acts = (0..shortest.acts.len()).map(|n| {
                let mut fewer = shortest.clone();
                fewer.acts.remove(n);
                fewer
            });
            for fewer in fewer_faults.chain(fewer_acts).collect::<Vec<_>>() {
                let ended = fewer.play().await?;
                if ended.broken.iter().any(|broken| broken.invariant == invariant) {
                    shortest = fewer;
                    is_shorter = true;
                    break;
                }
            }
        }
        Ok(shortest)
    }
}

fn due(pending: &Mutex<Vec<(i64, Act)>>, start: Timestamp, now: Timestamp) -> Option<Act> {
    let mut pending = lock(pending);
    let (minute, act) = *pending.first()?;
    if start + SignedDuration::from_mins(minute) > now {
        return None;
    }
    pending.remove(0);
    Some(act)
}

fn perform(act: Act, fleet: &Fleet, world: &World, service: &StepFunctions) {
    let newest = world.merge_requests().into_iter().last();
    let cluster = |n: usize| fleet.rows.get(n).map(|row| row.cluster_id.to_string()).unwrap_or_default();
    let started = service.list_executions().len();
    match act {
        Act::Stop(n) => {
            if let Some(execution) = service.list_executions().get(n) {
                // One that has ended stays as it is.
                let _ = service.stop_execution(&execution.arn, "Stopped", "by a person");
            }
        }
        Act::StartUpgrade => {
            let input = json!({"batch_id": fleet.batches[0], "target_version": fleet.target});
            let _ = service.start_execution("batch-upgrade", Some(&format!("run-{started}")), input);
        }
        Act::StartRollback => {
            let input = json!({"batch_id": fleet.batches[0], "reason": "a person asks"});
            let _ = service.start_execution("batch-rollback", Some(&format!("back-{started}")), input);
        }
        Act::Merge | Act::Close => {
            if let Some(request) = newest {
                world.merge_request_by_person(request.iid, act == Act::Merge);
            }
        }
        Act::Reopen => {
            if let Some(request) = newest.filter(|request| request.state == "closed") {
                world.reopen(request.iid);
            }
        }
        Act::Edit => {
            if let Some(request) = newest.filter(|request| request.state == "opened")
                && let Some((path, _, Some(after))) = request.diffs.first()
            {
                let other = after.replace(&fleet.target.to_string(), "1.30.4");
                world.push(&request.source_branch, path, Some(&other), "rather this one");
            }
        }
        Act::DeleteBranch => {
            if let Some(request) = newest.filter(|request| request.state == "opened") {
                world.delete_branch(&request.source_branch);
            }
        }
        Act::Fire(n) => world.fire_monitor(&cluster(n), "mesh 5xx"),
        Act::Suspend(n) => world.suspend_flux(&cluster(n), true),
        Act::Silence => world.silence_metrics(None, true),
        Act::Outage(system, minutes) => {
            let system = match system {
                0 => System::GitLab,
                1 => System::Datadog,
                _ => System::Kubernetes(cluster(0)),
            };
            let now = service.now();
            world.outage(system, now, now + SignedDuration::from_mins(minutes), 503);
        }
        Act::Sweep => service.schedule_invocation(service.now(), &function_arn("sweep"), json!({})),
    }
}

fn line(occasion: &Occasion, fault: &Fault) -> String {
    let place = match &occasion.what {
        What::State => "the state".to_owned(),
        What::Invocation(name) => format!("invoking {name}"),
        What::Call { system, operation } => format!("{system}: {operation}"),
    };
    let (machine, state) = (occasion.machine.as_deref(), occasion.state.as_deref());
    format!("{}  {fault:?} at {}/{}, {place}", occasion.at, machine.unwrap_or("-"), state.unwrap_or("-"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
