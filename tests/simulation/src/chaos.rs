//! A house in which much goes wrong, all of it decided by a seed: faults at calls and states, executions that are stopped,
//! two people at once, merge requests that are edited, closed, opened again and pushed over, systems that are out, clusters
//! that do not follow or die, rows that a person wrote, clocks that are off. The same seed is the same story.

mod acts;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use guard_asl::Step;
use guard_world::{Answer, Person, Regression};
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

pub use acts::Act;

use crate::faults::{Fault, Occasion, What};
use crate::fleet::Fleet;
use crate::functions::{FUNCTIONS, function_arn};
use crate::house::House;
use crate::invariants::{self, Broken};
use crate::story::StoryError;

/// Occasions of a journey, for each of its clusters: faults are strewn among as many.
const OCCASIONS: usize = 800;

/// Minutes of a story in which people act.
const MINUTES: i64 = 120;

/// Seconds by which a function's clock may be off. Lambda's are kept within milliseconds; longer than this and AWS refuses
/// its signatures in the end.
const SECONDS_OFF: i64 = 120;

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

/// A story that is about to be told.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// Where it comes from.
    pub seed: u64,
    /// Clusters of the fleet.
    pub clusters: usize,
    /// Batches that wait for each other.
    pub batches: usize,
    /// The cluster that does worse at the new version.
    pub regresses: Option<usize>,
    /// How whoever looks at merge requests answers them.
    pub person: Person,
    /// Seconds by which functions' clocks are off.
    pub clocks: BTreeMap<&'static str, i64>,
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
        let batches = if clusters > 1 && random.random_bool(0.4) { 2 } else { 1 };
        let regresses = random.random_bool(0.4).then(|| random.random_range(0..clusters));
        let mut answer = |most: u64| {
            let after = Duration::from_mins(random.random_range(1..=most));
            match random.random_range(0..12) {
                0 => Answer::Ignore,
                1 => Answer::Close { after },
                _ => Answer::Merge { after },
            }
        };
        let person = Person { upgrade: answer(40), rollback: answer(20) };
        let mut clocks = BTreeMap::new();
        if random.random_bool(0.3) {
            clocks = FUNCTIONS
                .into_iter()
                .map(|name| (name, random.random_range(-SECONDS_OFF..=SECONDS_OFF)))
                .collect();
        }
        let mut faults = BTreeMap::new();
        for _ in 0..random.random_range(0..=6) {
            let fault = FAULTS[random.random_range(0..FAULTS.len())].clone();
            faults.insert(random.random_range(0..OCCASIONS * clusters), fault);
        }
        let acts = (0..random.random_range(0..=5)).flat_map(|_| {
            let (act, minute) = (Act::draw(&mut random, clusters, batches), random.random_range(0..MINUTES));
            // Two people at once.
            let times = if act.is_a_start() && random.random_bool(0.3) { 2 } else { 1 };
            vec![(minute, act); times]
        });
        let mut acts: Vec<(i64, Act)> = acts.collect();
        acts.sort_by_key(|(minute, _)| *minute);
        Self { seed, clusters, batches, regresses, person, clocks, faults, acts }
    }

    /// What is decided before anything happens.
    pub fn in_words(&self) -> String {
        let Self { clusters, batches, regresses, person, clocks, faults, acts, .. } = self;
        let worse =
            regresses.map_or("none does worse".to_owned(), |n| format!("number {} does worse", n + 1));
        let answers = |answer: Answer| match answer {
            Answer::Merge { after } => format!("merged after {} min", after.as_secs() / 60),
            Answer::Close { after } => format!("closed after {} min", after.as_secs() / 60),
            Answer::Ignore => "ignored".to_owned(),
        };
        let clocks = if clocks.is_empty() { "right" } else { "off" };
        format!(
            "{clusters} clusters in {batches} batches, of which {worse}; upgrades are {}, rollbacks {}; clocks are \
             {clocks}; {} faults, {} acts",
            answers(person.upgrade),
            answers(person.rollback),
            faults.len(),
            acts.len()
        )
    }

    /// Somebody changes what runs in clusters, or Git, past GUARD.
    fn has_meddlers(&self) -> bool {
        self.acts.iter().any(|(_, act)| act.meddles())
    }

    /// The fleet, and the house around it.
    fn house(&self, trace: &Arc<Mutex<Vec<String>>>) -> Result<(Fleet, House), StoryError> {
        let mut fleet = Fleet::quick(self.clusters, self.seed)?;
        fleet.world.person = self.person;
        if self.batches > 1 {
            fleet = fleet.in_batches(self.batches)?;
        }
        let count = AtomicUsize::new(0);
        let (faults, told) = (self.faults.clone(), Arc::clone(trace));
        let hook = move |occasion: &Occasion| {
            let fault = faults.get(&count.fetch_add(1, Ordering::Relaxed))?;
            lock(&told).push(line(occasion, fault));
            Some(fault.clone())
        };
        let house = House::with_faults(&fleet, hook)?;
        for (function, seconds) in &self.clocks {
            house.set_clock_off(function, SignedDuration::from_secs(*seconds));
        }
        if let Some(n) = self.regresses {
            let regression = Regression {
                from_version: fleet.target.to_string(),
                error_factor: 30.0,
                latency_factor: 1.3,
            };
            house.world.regress(fleet.rows[n].cluster_id.as_str(), regression);
        }
        Ok((fleet, house))
    }

    /// Plays it to its end, with the sweeps after it.
    pub async fn play(&self) -> Result<Ended, StoryError> {
        let trace: Arc<Mutex<Vec<String>>> = Arc::default();
        let (fleet, house) = self.house(&trace)?;
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
                act.perform(&fleet, &house);
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
            let right_clocks =
                (!shortest.clocks.is_empty()).then(|| Self { clocks: BTreeMap::new(), ..shortest.clone() });
            for fewer in fewer_faults.chain(fewer_acts).chain(right_clocks).collect::<Vec<_>>() {
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
