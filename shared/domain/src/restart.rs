//! Which proxies are restarted next, so that every one of them comes to the version, once, and few at a time.
//!
//! The state is in the cluster itself: a pod template that carries this run's mark has been restarted by it. So a
//! second call, a lost reply or a crash in the middle never restarts a workload twice.

mod canary;
mod limits;
mod obstacle;
mod stand;

use jiff::Timestamp;

use crate::restart_plan::RestartPlan;
use crate::{
    DataPlaneFacts, Direction, Finding, IstioVersion, PodRef, PolicyConfig, RunId, Severity, WorkloadFacts,
    WorkloadRef,
};

pub use canary::{Canaries, Canary};
pub use obstacle::Obstacle;

pub(crate) use limits::taken_by;

use limits::Room;
use stand::Stand;

/// What is decided on.
#[derive(Debug, Clone, Copy)]
pub struct Restart<'a> {
    /// The cluster's name.
    pub cluster: &'a str,
    /// The version that every proxy is to run.
    pub target: &'a IstioVersion,
    /// The mark of this run and direction.
    pub mark: &'a str,
    /// When the restarts began.
    pub started_at: Timestamp,
    /// The time.
    pub now: Timestamp,
    /// Rules.
    pub policy: &'a PolicyConfig,
    /// The workloads that go first, where they were chosen already.
    pub canaries: Option<&'a Canaries>,
    /// What runs.
    pub facts: &'a DataPlaneFacts,
}

/// Progress of the restarts of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartStep {
    /// The workloads that go first. They are remembered before any of them is marked.
    pub canaries: Canaries,
    /// Mark these now.
    pub mark: Vec<WorkloadRef>,
    /// Evict these now: their workloads replace no pod by themselves.
    pub evict: Vec<PodRef>,
    /// Workloads that need nothing more.
    pub done: usize,
    /// Workloads with proxies that a restart can bring to the version.
    pub total: usize,
    /// Minutes that the rest takes, predicted.
    pub minutes_left: u32,
    /// What is awaited, for people; empty when all is done.
    pub waiting_for: Vec<String>,
    /// Why the restarts stop here. Blocking: the change does harm. Unknown: a person must look.
    pub stop: Vec<Finding>,
    /// Proxies that a restart does not bring to the version: told, and no reason to go back.
    pub stragglers: Vec<Finding>,
    /// The workload whose pods and events say more about why they stop.
    pub culprit: Option<WorkloadRef>,
}

impl RestartStep {
    /// Every proxy that can be is at the version.
    pub fn is_done(&self) -> bool {
        self.waiting_for.is_empty() && self.stop.is_empty()
    }
}

/// The mark of one run and direction, the value of the restart annotation.
pub fn mark(run_id: &RunId, direction: Direction) -> String {
    format!("{run_id}/{}", direction.as_str())
}

/// Decides the next step: one workload of each shape first, the first of them alone; then, once these have stayed ready for
/// a while, as many at a time as policy, budgets and their own progress allow.
pub fn next(restart: &Restart<'_>) -> RestartStep {
    let stands: Vec<(&WorkloadFacts, Stand)> =
        restart.facts.workloads.iter().map(|one| (one, Stand::of(restart, one))).collect();
    let canaries = match restart.canaries {
        Some(chosen) => chosen.clone(),
        None => Canaries::choose(&stands),
    }
    .seen(restart);
    let mut step = RestartStep {
        canaries,
        mark: Vec::new(),
        evict: Vec::new(),
        done: 0,
        total: 0,
        minutes_left: 0,
        waiting_for: Vec::new(),
        stop: Vec::new(),
        stragglers: obstacle::strays(restart.cluster, &restart.facts.strays).into_iter().collect(),
        culprit: None,
    };
    let are_enough = are_enough(restart, &stands);
    for (workload, stand) in &stands {
        match stand {
            Stand::Done => step.done += 1,
            Stand::Cannot(obstacle) => {
                let told = obstacle.told(restart.cluster, workload, restart.target);
                let is_tolerated = obstacle.is_owners_choice() || are_enough;
                let severity = if is_tolerated { Severity::Warning } else { Severity::Unknown };
                step.stragglers.push(Finding { severity, ..told });
                continue;
            }
            Stand::Failed(finding) => {
                step.culprit.get_or_insert_with(|| workload.workload.clone());
                step.stop.push(finding.clone());
            }
            Stand::OnItsWay | Stand::Open { .. } | Stand::Blocked(_) => {
                step.waiting_for.push(workload.workload.to_string());
            }
        }
        step.total += 1;
    }
    step.stop.extend(step.canaries.lost(restart, &stands));
    let rest: Vec<WorkloadFacts> = stands
        .iter()
        .filter(|(_, stand)| matches!(stand, Stand::OnItsWay | Stand::Open { .. } | Stand::Blocked(_)))
        .map(|(workload, _)| (*workload).clone())
        .collect();
    step.minutes_left = RestartPlan::of(&rest, &[], restart.policy).minutes;
    if !step.stop.is_empty() {
        return step;
    }
    match step.canaries.turn(restart, &stands) {
        canary::Turn::Watch(until) => {
            step.waiting_for.push(format!("the first workloads to stay ready until {until}"));
        }
        canary::Turn::First(group) => begin(restart, &mut step, &stands, |workload| group.contains(workload)),
        canary::Turn::Others => begin(restart, &mut step, &stands, |_| true),
    }
    if step.mark.is_empty() && step.evict.is_empty() && step.stop.is_empty() {
        step.stop.extend(blocked_for_good(restart, &stands));
    }
    step
}

/// The data plane's contract: of the proxies that a restart should bring to the version, as many are not kept from it as
/// policy asks for. What its owner keeps back is none of them.
fn are_enough(restart: &Restart<'_>, stands: &[(&WorkloadFacts, Stand)]) -> bool {
    let (mut all, mut kept) = (0_u64, 0_u64);
    for (workload, stand) in stands {
        match stand {
            Stand::Cannot(why) if why.is_owners_choice() => {}
            Stand::Cannot(_) => {
                all += u64::from(workload.pods());
                kept += u64::from(workload.pods_not_at(restart.target));
            }
            _ => all += u64::from(workload.pods()),
        }
    }
    (all - kept) * 100 >= all * u64::from(restart.policy.min_proxies_at_target_percent)
}

/// Takes what there is room for, what an earlier restart left broken first.
fn begin(
    restart: &Restart<'_>,
    step: &mut RestartStep,
    stands: &[(&WorkloadFacts, Stand)],
    is_its_turn: impl Fn(&WorkloadRef) -> bool,
) {
    let mut room = Room::left(restart.policy, stands);
    // Pods of workloads that are marked already go on being replaced, one at a time each.
    for (workload, stand) in stands {
        if matches!(stand, Stand::OnItsWay) && restart.is_marked(workload) {
            let next = workload.outdated.first();
            step.evict.extend(next.filter(|_| workload.counts.ready >= workload.counts.desired).cloned());
        }
    }
    let mut open: Vec<(&WorkloadFacts, bool)> = stands
        .iter()
        .filter_map(|(workload, stand)| match stand {
            Stand::Open { is_broken } => Some((*workload, *is_broken)),
            _ => None,
        })
        .filter(|(workload, _)| is_its_turn(&workload.workload))
        .collect();
    open.sort_by(|(a, a_is_broken), (b, b_is_broken)| {
        b_is_broken.cmp(a_is_broken).then_with(|| a.workload.cmp(&b.workload))
    });
    for (workload, is_broken) in open {
        if room.take(workload, is_broken) {
            step.mark.push(workload.workload.clone());
        }
    }
}

/// Nothing is on its way, and what is left has been held back for longer than a restart may take.
fn blocked_for_good(restart: &Restart<'_>, stands: &[(&WorkloadFacts, Stand)]) -> Option<Finding> {
    let is_moving = |stand: &Stand| matches!(stand, Stand::OnItsWay | Stand::Open { .. } | Stand::Failed(_));
    if stands.iter().any(|(_, stand)| is_moving(stand)) {
        return None;
    }
    let (workload, why) = stands.iter().find_map(|(workload, stand)| match stand {
        Stand::Blocked(why) => Some((workload, why)),
        _ => None,
    })?;
    let last = stands.iter().filter_map(|(workload, _)| workload.progress_at).max();
    let since = last.map_or(restart.started_at, |last| last.max(restart.started_at));
    let others = stands.iter().filter(|(_, stand)| matches!(stand, Stand::Blocked(_))).count() - 1;
    let and_more = if others == 0 { String::new() } else { format!("; {others} more wait") };
    (restart.now >= since + restart.patience()).then(|| {
        Finding::unknown(
            "RESTART_BLOCKED",
            format!("{}: {}", restart.cluster, workload.workload),
            format!("{why}{and_more}"),
            "ask its owner; with room in the budget, or a strategy that adds a pod before it takes one, start again",
        )
    })
}

impl Restart<'_> {
    /// Its pod template carries this run's mark.
    fn is_marked(&self, workload: &WorkloadFacts) -> bool {
        workload.restart_mark.as_deref() == Some(self.mark)
    }

    /// How long a restart may come no further.
    fn patience(&self) -> jiff::SignedDuration {
        jiff::SignedDuration::from_mins(self.policy.restart_stuck_minutes.into())
    }
}

#[cfg(test)]
mod tests;
