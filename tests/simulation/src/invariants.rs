//! What must hold however a run ended, and whatever went wrong on the way: checked on everything that the stores took,
//! on the world, the registry and the run records, when nothing runs any more and a sweep has been.

mod seen;

use std::collections::{BTreeMap, BTreeSet};

use guard_domain::{BatchId, ClusterId, ClusterRecord, ClusterStatus as S, Direction, IstioVersion, RunId};
use guard_tasks::ledger::{MergeRequestEntry, OutcomeEntry, SoakEntry};
use guard_tasks::{Lease, TaskError, VersionChange};

use crate::fleet::Fleet;
use crate::history::Written;
use crate::house::House;
use seen::Seen;

/// An invariant that was broken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    /// Which, by its name in [`ALL`].
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
}

type Check = fn(&Seen) -> Vec<String>;

/// Every invariant by its name.
pub const ALL: [(&str, Check); 10] = [
    ("one_run_a_cluster", one_run_a_cluster),
    ("waves_wait", waves_wait),
    ("no_start_beside_a_failure", no_start_beside_a_failure),
    ("one_request_a_change", one_request_a_change),
    ("restarted_once", restarted_once),
    ("back_or_held", back_or_held),
    ("no_pass_without_data", no_pass_without_data),
    ("locks_end", locks_end),
    ("proxies_not_ahead", proxies_not_ahead),
    ("moves_are_explained", moves_are_explained),
];

/// Checks all of them.
pub async fn broken(house: &House, fleet: &Fleet, has_meddlers: bool) -> Result<Vec<Broken>, TaskError> {
    let seen = Seen::of(house, fleet, has_meddlers).await?;
    let found = ALL
        .iter()
        .flat_map(|(invariant, check)| check(&seen).into_iter().map(|what| Broken { invariant, what }));
    Ok(found.collect())
}

/// Of all runs only the one that holds a cluster changes it, and it holds it from its first change to its last.
fn one_run_a_cluster(seen: &Seen) -> Vec<String> {
    let mut holders: BTreeMap<&ClusterId, &Lease> = BTreeMap::new();
    let mut broken = Vec::new();
    for written in &seen.history {
        match written {
            Written::Took { lease, clusters } => {
                for id in clusters {
                    holders.insert(id, lease);
                }
            }
            Written::Freed(lease) => holders.retain(|_, holder| *holder != lease),
            Written::Moved { lease, change } => {
                if holders.get(&change.cluster_id) != Some(&lease) {
                    let holder = holders.get(&change.cluster_id).map(|held| held.run_id.as_str());
                    broken.push(format!(
                        "{} was moved to {} by {}, while {holder:?} held it",
                        change.cluster_id, change.to, lease.run_id
                    ));
                }
            }
            Written::Noted { .. } | Written::ByHand { .. } => {}
        }
    }
    broken
}

/// No cluster gets a merge request before every batch that its own waits for is healthy at the version.
fn waves_wait(seen: &Seen) -> Vec<String> {
    let mut broken = Vec::new();
    for (before, lease, change) in seen.replayed() {
        let Some(VersionChange::Aim(target)) = &change.version else { continue };
        let is_ready = |id: &&ClusterId| {
            before.get(*id).is_none_or(|(status, version)| *status == S::Healthy && version >= target)
        };
        broken.extend(seen.before(&change.cluster_id).filter(|id| !is_ready(id)).map(|id| {
            format!(
                "{} got a request of {} before {id} was healthy at {target}",
                change.cluster_id, lease.run_id
            )
        }));
    }
    broken
}

/// Nothing begins in a batch while a cluster of it, or of one that it waits for, has failed and is not settled.
fn no_start_beside_a_failure(seen: &Seen) -> Vec<String> {
    let mut broken = Vec::new();
    for (before, lease, change) in seen.replayed() {
        if change.to != S::PreCheckRunning {
            continue;
        }
        let own = seen.batch_of(&change.cluster_id).into_iter().flat_map(|batch| seen.of_batch(batch));
        // A person may write a status in the very moment in which a run begins.
        let is_open = |id: &&ClusterId| {
            !seen.by_hand.contains(*id) && before.get(*id).is_some_and(|(status, _)| status.needs_an_owner())
        };
        let open = own.chain(seen.before(&change.cluster_id)).filter(is_open);
        broken.extend(open.map(|id| {
            format!("{} began for {} while {id} was in the middle", lease.run_id, change.cluster_id)
        }));
    }
    broken
}

/// One merge request for each change of a run and each group of its clusters, however often opening it was tried; none of
/// a run that came to its end before its merge can be merged any more, and no branch is left of it.
fn one_request_a_change(seen: &Seen) -> Vec<String> {
    let requests = seen.house.world.merge_requests();
    let branches = seen.house.world.branches();
    let mut broken = two_ways_back(seen);
    for (run, entries) in &seen.records {
        let outcome: Option<OutcomeEntry> = seen.entry(run, "outcome");
        for (name, value) in entries.iter().filter(|(name, _)| name.starts_with("merge-request#")) {
            let Ok(entry) = serde_json::from_value::<MergeRequestEntry>(value.clone()) else {
                broken.push(format!("{name} of {run} does not decode"));
                continue;
            };
            let ours: Vec<_> =
                requests.iter().filter(|request| request.description.contains(&entry.marker)).collect();
            if ours.len() > 1 {
                broken.push(format!("{name} of {run} was opened {} times", ours.len()));
            }
            let is_over = name.starts_with("merge-request#upgrade#") && outcome.is_some();
            let branch = &entry.source_branch;
            let is_nobodys = !requests.iter().any(|request| request.source_branch == *branch);
            if is_over && is_nobodys && !seen.has_meddlers && branches.contains_key(branch) {
                broken
                    .push(format!("{run} is over, and left branch {branch}, from which nothing was opened"));
            }
            let open = ours.iter().filter(|request| is_over && request.state == "opened");
            broken
                .extend(open.map(|request| format!("{run} is over, and {} can be merged", request.web_url)));
        }
    }
    broken
}

/// A person who is to take a cluster back finds one request for it, whichever run opened it.
fn two_ways_back(seen: &Seen) -> Vec<String> {
    let requests = seen.house.world.merge_requests();
    let is_open = |page: &str| requests.iter().any(|one| one.web_url == page && one.state == "opened");
    let mut ways: BTreeMap<ClusterId, BTreeSet<String>> = BTreeMap::new();
    for (name, value) in seen.records.values().flatten() {
        if name.starts_with("merge-request#rollback-")
            && let Ok(entry) = serde_json::from_value::<MergeRequestEntry>(value.clone())
            && let Some(opened) = entry.opened.filter(|opened| is_open(&opened.web_url))
        {
            for id in entry.clusters {
                ways.entry(id).or_default().insert(opened.web_url.clone());
            }
        }
    }
    let many = ways.into_iter().filter(|(_, pages)| pages.len() > 1 && !seen.has_meddlers);
    many.map(|(id, pages)| format!("{id} has {} open requests that take it back: {pages:?}", pages.len()))
        .collect()
}

/// A workload is restarted at most once for each direction that a run took its cluster.
fn restarted_once(seen: &Seen) -> Vec<String> {
    let mut ways: BTreeSet<(&ClusterId, &RunId, Direction)> = BTreeSet::new();
    for (lease, change) in seen.moves() {
        let direction = match change.to {
            S::Upgrading => Direction::Upgrade,
            S::RollbackRequired => Direction::Rollback,
            _ => continue,
        };
        // A run that goes on with another one goes its way.
        let run = seen.began.get(&lease.run_id).unwrap_or(&lease.run_id);
        ways.insert((&change.cluster_id, run, direction));
    }
    let mut broken = Vec::new();
    for id in seen.house.world.cluster_ids() {
        let by_hand = seen.history.iter().filter(
            |written| matches!(written, Written::ByHand { cluster_id, .. } if cluster_id.as_str() == id),
        );
        // Whose status says that it is on its way is taken there, whoever wrote it.
        let most = ways.iter().filter(|(cluster, ..)| cluster.as_str() == id).count() + by_hand.count();
        let Some(cluster) = seen.house.world.cluster(&id) else { continue };
        for workload in cluster.workloads {
            if workload.restarts as usize > most {
                broken.push(format!(
                    "{}/{} of {id} was restarted {} times, for {most} ways",
                    workload.namespace, workload.name, workload.restarts
                ));
            }
        }
    }
    broken
}

/// Every cluster ends in a told status: back and truly there, healthy and truly there, untouched, or in the middle behind
/// the lock of a run whose record says so and that people heard of.
fn back_or_held(seen: &Seen) -> Vec<String> {
    let held: BTreeMap<String, String> = seen.house.store.held_locks().into_iter().collect();
    let mut broken = Vec::new();
    for row in seen.rows.iter().filter(|row| !seen.by_hand.contains(&row.cluster_id)) {
        let id = &row.cluster_id;
        match row.status {
            S::MrCreated | S::PreCheckRunning => {
                broken.push(format!("{id} is {} and nothing runs", row.status));
            }
            S::Upgrading | S::PostCheckRunning | S::RollbackRequired => {
                let arn = held.get(&format!("cluster#{id}"));
                let run = arn.and_then(|arn| RunId::parse(arn.rsplit(':').next()?).ok());
                let Some(run) = run else {
                    broken.push(format!("{id} is {} and nobody holds it", row.status));
                    continue;
                };
                // One that died while it was about to go on with another one has nothing to say: the other has.
                let run = if seen.has_entry(&run, "plan") { run } else { seen.last_of(id).unwrap_or(run) };
                let outcome: Option<OutcomeEntry> = seen.entry(&run, "outcome");
                let word = outcome.map(|outcome| outcome.outcome).unwrap_or_default();
                if !["stopped", "rollback_failed"].contains(&word.as_str()) {
                    broken.push(format!("{id} is {}, and {run} that holds it ended as `{word}`", row.status));
                }
                if !seen.has_entry(&run, "notified#halted#")
                    && !seen.has_entry(&run, "notified#rollback-failed#")
                {
                    broken.push(format!("{id} is {}, and nobody was told by {run}", row.status));
                }
            }
            S::Healthy | S::FailedUpgradeRolledBack => broken.extend(seen.elsewhere(row)),
            S::Pending | S::PreCheckPassed | S::PreCheckFailed => {}
        }
    }
    broken
}

/// A cluster that reached its version was judged on data of its soak, and passed its post-check: both by the run that says
/// so, and before it said so.
fn no_pass_without_data(seen: &Seen) -> Vec<String> {
    let mut noted: BTreeSet<(&RunId, String)> = BTreeSet::new();
    let mut broken = Vec::new();
    for written in &seen.history {
        match written {
            Written::Noted { lease, name } => _ = noted.insert((&lease.run_id, name.clone())),
            Written::Moved { lease, change } if change.to == S::Healthy => {
                let id = &change.cluster_id;
                if !noted.contains(&(&lease.run_id, format!("soak#{id}"))) {
                    broken
                        .push(format!("{id} became healthy by {} without a look at its soak", lease.run_id));
                }
                let soak: Option<SoakEntry> = seen.entry(&lease.run_id, "soak");
                if soak.is_some_and(|soak| seen.house.world.was_silent(id.as_str(), soak.from, soak.until)) {
                    broken.push(format!(
                        "{id} became healthy by {}, and Datadog has nothing of its soak",
                        lease.run_id
                    ));
                }
                let lines = seen.audit.get(&lease.run_id);
                let says = |words: &str| {
                    let start = format!("{id}: {words}");
                    lines.is_some_and(|lines| lines.iter().any(|line| line.what.starts_with(&start)))
                };
                for words in ["soak pass", "post-check pass"] {
                    if !says(words) {
                        broken.push(format!("{id} became healthy by {} without a {words}", lease.run_id));
                    }
                }
            }
            Written::Took { .. } | Written::Freed(_) | Written::Moved { .. } | Written::ByHand { .. } => {}
        }
    }
    broken
}

/// Fences only grow, whoever writes holds the newest, and at the end only those locks are held behind which a cluster is
/// in the middle.
fn locks_end(seen: &Seen) -> Vec<String> {
    let mut newest: BTreeMap<String, &Lease> = BTreeMap::new();
    let mut broken = Vec::new();
    for written in &seen.history {
        match written {
            Written::Took { lease, clusters } => {
                let names = clusters.iter().map(|id| format!("cluster#{id}"));
                for name in names.chain([format!("batch#{}", lease.batch_id)]) {
                    let before = newest.insert(name.clone(), lease);
                    if before.is_some_and(|before| before != lease && before.fence >= lease.fence) {
                        broken.push(format!(
                            "{name}: the fence of {} is not above the one before",
                            lease.run_id
                        ));
                    }
                }
            }
            Written::Moved { lease, .. } | Written::Noted { lease, .. } => {
                if newest.get(&format!("batch#{}", lease.batch_id)) != Some(&lease) {
                    broken.push(format!("{} wrote with a fence that is not the newest", lease.run_id));
                }
            }
            Written::Freed(_) | Written::ByHand { .. } => {}
        }
    }
    // Where a person put a cluster right by hand, the lock stays until the next start takes it over.
    let is_in_the_middle = |batch: &str| {
        let mut rows = seen.fleet.rows.iter().filter(|row| row.batch_id.as_str() == batch);
        let by_hand = rows.any(|row| seen.by_hand.contains(&row.cluster_id));
        let mut rows = seen.rows.iter().filter(|row| row.batch_id.as_str() == batch);
        by_hand || rows.any(|row| row.status.needs_an_owner())
    };
    for (name, arn) in seen.house.store.held_locks() {
        let of_cluster = name.strip_prefix("cluster#").and_then(|id| ClusterId::parse(id).ok());
        let batch = match &of_cluster {
            Some(id) => seen.batch_of(id).map(BatchId::as_str),
            None => name.strip_prefix("batch#"),
        };
        if batch.is_some_and(|batch| !is_in_the_middle(batch)) {
            broken.push(format!("{name} is held by {arn}, which has ended, and nothing is in the middle"));
        }
    }
    broken
}

/// Where a cluster was taken back, no proxy is newer than its istiod.
fn proxies_not_ahead(seen: &Seen) -> Vec<String> {
    let mut broken = Vec::new();
    let is_back = |row: &&ClusterRecord| {
        row.status == S::FailedUpgradeRolledBack
            && !seen.has_meddlers
            && !seen.by_hand.contains(&row.cluster_id)
    };
    let back = seen.rows.iter().filter(is_back);
    for row in back {
        let Some(cluster) = seen.house.world.cluster(row.cluster_id.as_str()) else { continue };
        let istiod = cluster.istiod_version.as_deref().and_then(|version| IstioVersion::parse(version).ok());
        let ahead = cluster.proxy_versions.keys().filter(|version| {
            let proxy = IstioVersion::parse(version).ok();
            proxy.is_none() || istiod.is_none() || proxy > istiod
        });
        broken.extend(ahead.map(|version| {
            format!("{}: a proxy runs {version}, istiod {:?}", row.cluster_id, cluster.istiod_version)
        }));
    }
    broken
}

/// For each status that a cluster got, the audit log of the run that gave it has a line that says why.
fn moves_are_explained(seen: &Seen) -> Vec<String> {
    let mut broken = BTreeSet::new();
    for (lease, change) in seen.moves() {
        let id = &change.cluster_id;
        let own = format!("{id}: ");
        let words: &[&str] = match change.to {
            S::PreCheckRunning => &["planned "],
            S::PreCheckPassed | S::PostCheckRunning | S::FailedUpgradeRolledBack => &[&own],
            S::PreCheckFailed => &[&own, "settled as "],
            S::MrCreated => &["opened upgrade merge request ", "withdrew ", "merged: "],
            S::Upgrading => &["merged: ", "goes on with run "],
            S::Healthy | S::Pending => &["settled as "],
            S::RollbackRequired => &[&own, "planned the way back ", "taking back ", "goes on with run "],
        };
        let lines = seen.audit.get(&lease.run_id);
        let is_told = lines.is_some_and(|lines| {
            lines.iter().any(|line| words.iter().any(|start| line.what.starts_with(start)))
        });
        if !is_told {
            broken.insert(format!("{id} became {} by {}, and no line says why", change.to, lease.run_id));
        }
    }
    broken.into_iter().collect()
}
