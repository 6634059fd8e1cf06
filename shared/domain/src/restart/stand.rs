//! Where one workload stands.

use super::{Obstacle, Restart};
use crate::{Finding, WorkloadFacts};

/// How it is with one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stand {
    /// Its proxies are at the version.
    Done,
    /// A restart does not help.
    Cannot(Obstacle),
    /// Its pods are being replaced, by GUARD or by somebody else.
    OnItsWay,
    /// It is to be restarted.
    Open {
        /// An earlier restart of GUARD's left it so. On the way back it waits for nothing but its old proxy, and is the first
        /// to be taken care of.
        is_broken: bool,
    },
    /// It is to be restarted, and this speaks against doing so now.
    Blocked(String),
    /// Its restart failed.
    Failed(Finding),
}

impl Stand {
    pub(super) fn of(restart: &Restart<'_>, workload: &WorkloadFacts) -> Self {
        let (counts, behind) = (&workload.counts, workload.pods_not_at(restart.target));
        if restart.is_marked(workload) {
            return match (counts.is_complete(), behind) {
                (true, 0) => Self::Done,
                // Whose pods nobody replaces by itself is complete with the old ones.
                (true, _) if !workload.outdated.is_empty() => Self::OnItsWay,
                (true, behind) => Self::Failed(not_updated(restart, workload, behind)),
                (false, _) => stuck(restart, workload).map_or(Self::OnItsWay, Self::Failed),
            };
        }
        // Restarted by others, or made since: what it has is what it should have.
        if behind == 0 {
            return Self::Done;
        }
        let namespaces = &restart.facts.namespaces;
        if !namespaces.contains_key(&workload.workload.namespace) {
            return Self::Blocked(
                "its namespace is not listed, so nobody knows whether its next pod has a proxy".into(),
            );
        }
        if let Some(obstacle) = Obstacle::of(workload, namespaces, restart.policy) {
            return Self::Cannot(obstacle);
        }
        let is_ours = workload.restart_mark.is_some();
        if !counts.is_complete() && !is_ours {
            // Whoever replaces its pods may finish; who does not get further was broken before.
            let since = workload.progress_at.unwrap_or(restart.started_at).max(restart.started_at);
            let is_broken = restart.now >= since + restart.patience();
            return if is_broken { Self::Cannot(Obstacle::Broken) } else { Self::OnItsWay };
        }
        let is_broken = !counts.is_complete();
        match closed_budget(restart, workload) {
            // A broken one has no pod to lose that serves anybody.
            Some(budget) if !is_broken => Self::Blocked(budget),
            _ => Self::Open { is_broken },
        }
    }
}

/// A budget that covers it and lets no pod go, where its restart takes pods away before new ones are there. Kubernetes asks
/// budgets on evictions only; GUARD asks before it lets a rollout do what an eviction may not.
fn closed_budget(restart: &Restart<'_>, workload: &WorkloadFacts) -> Option<String> {
    if super::limits::taken_by(workload) == 0 {
        return None;
    }
    let labels = &workload.template.labels;
    let mut covering =
        restart.facts.budgets.iter().filter(|one| one.selects(&workload.workload.namespace, labels));
    let closed = covering.find(|budget| budget.disruptions_allowed.unwrap_or_default() == 0)?;
    Some(format!("PodDisruptionBudget {closed} allows no disruption"))
}

fn not_updated(restart: &Restart<'_>, workload: &WorkloadFacts, behind: u32) -> Finding {
    Finding::blocking(
        "PROXY_NOT_UPDATED",
        format!("{}: {}", restart.cluster, workload.workload),
        format!("restarted and ready, but {behind} pods do not run proxy {}", restart.target),
        "look at the pod's injection labels and at istiod's injector",
    )
}

/// Its pods will not come up: Kubernetes says so, or nothing has happened for longer than policy allows.
fn stuck(restart: &Restart<'_>, workload: &WorkloadFacts) -> Option<Finding> {
    let counts = &workload.counts;
    let lasting = workload.troubles.iter().find(|(_, trouble)| trouble.is_lasting());
    let last = workload.progress_at.into_iter().chain(workload.marked_at).max();
    let is_late = restart.now >= last.unwrap_or(restart.started_at) + restart.patience();
    let why = match (lasting, workload.is_stuck, is_late) {
        (Some(_), _, _) => String::new(),
        (None, true, _) => ", its progressDeadlineSeconds have passed".to_owned(),
        (None, false, true) => {
            format!(
                ", for {} minutes nothing of it was made or became ready",
                restart.policy.restart_stuck_minutes
            )
        }
        (None, false, false) => return None,
    };
    let pod = lasting.or_else(|| workload.troubles.first_key_value());
    let pod = pod.map(|(name, trouble)| format!("; pod {name}: {trouble}")).unwrap_or_default();
    Some(Finding::blocking(
        "RESTART_STUCK",
        format!("{}: {}", restart.cluster, workload.workload),
        format!("{} of {} pods are ready{why}{pod}", counts.ready.min(counts.updated), counts.desired),
        "look at its pods and events",
    ))
}
