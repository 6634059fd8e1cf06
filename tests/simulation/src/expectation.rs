//! How each scenario must end: in the world, in the registry, in Git and in the locks.

use guard_domain::ClusterStatus as S;

use crate::fleet::Fleet;
use crate::report::{ClusterLine, Report};
use crate::scenario::Scenario;

/// One cluster's end.
struct Wanted<'a> {
    status: S,
    /// Version in the registry.
    registry: &'a str,
    /// Version of istiod.
    istiod: &'a str,
    /// Version of every proxy.
    proxies: &'a str,
    /// Most rolling restarts of a workload.
    restarts: u32,
}

/// A whole end.
struct End {
    /// `SUCCEEDED`, or the error's name.
    ending: &'static str,
    /// States of the merge requests, oldest first.
    requests: &'static [&'static str],
    /// Whether the batch's locks are held on purpose.
    is_locked: bool,
    /// What people are told, in this order; reminders together.
    told: &'static [&'static str],
    /// What the pager still calls for in the end.
    calls_for: &'static [&'static str],
}

const MERGE: &str = "Waiting for a merge";
const REMINDER: &str = "Rollback not merged";

/// Where the end of a batch is not as the scenario says, in words.
pub(crate) fn surprises(scenario: Scenario, fleet: &Fleet, report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let (start, target) = (fleet.start.to_string(), fleet.target.to_string());
    let end = end(scenario);
    let ended = report.error.as_deref().unwrap_or(&report.execution_status);
    expect(&mut found, "the execution", ended, end.ending);
    let victims = fleet.victims();
    let first = victims.first();
    for line in report.clusters.iter().filter(|line| fleet.is_in_first_batch(&line.cluster_id)) {
        let is_victim = victims.contains(&line.cluster_id);
        let wanted = wanted(scenario, (&start, &target), is_victim, first == Some(&line.cluster_id));
        compare(&mut found, line, &wanted);
    }
    let states: Vec<&str> = report.merge_requests.iter().map(|request| request.state.as_str()).collect();
    expect(&mut found, "the merge requests", &states.join(", "), &end.requests.join(", "));
    let locks = if end.is_locked { fleet.first_batch().count() + 1 } else { 0 };
    expect(&mut found, "the number of held locks", &report.held_locks.len().to_string(), &locks.to_string());
    expect(&mut found, "what people were told", &told(report).join(", "), &end.told.join(", "));
    let open: Vec<&str> = report.open_incidents.iter().filter_map(|key| key.rsplit('/').next()).collect();
    expect(&mut found, "the open incidents", &open.join(", "), &end.calls_for.join(", "));
    found
}

/// The occasions in the chat room.
fn told(report: &Report) -> Vec<&str> {
    let chat = report.notifications.iter().filter(|line| line.channel == "chat");
    let mut occasions: Vec<&str> = chat
        .filter_map(|line| line.text.split(':').next())
        .map(|title| if title.starts_with(REMINDER) { REMINDER } else { title })
        .collect();
    occasions.dedup_by(|next, last| *next == REMINDER && *last == REMINDER);
    occasions
}

/// Where the end of a rollout over several batches is not as the scenario says.
pub(crate) fn rollout_surprises(scenario: Scenario, fleet: &Fleet, report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let (start, target) = (fleet.start.to_string(), fleet.target.to_string());
    let goes_on = end(scenario).ending == "SUCCEEDED";
    let ended = report.error.as_deref().unwrap_or(&report.execution_status);
    expect(&mut found, "the rollout", ended, if goes_on { "SUCCEEDED" } else { "Halted" });
    let victims = fleet.victims();
    for line in &report.clusters {
        let wanted = if goes_on {
            Wanted { status: S::Healthy, registry: &target, istiod: &target, proxies: &target, restarts: 1 }
        } else if fleet.is_in_first_batch(&line.cluster_id) {
            let is_victim = victims.contains(&line.cluster_id);
            wanted(scenario, (&start, &target), is_victim, victims.first() == Some(&line.cluster_id))
        } else {
            // The batches after the failed one never began.
            Wanted { status: S::Healthy, registry: &start, istiod: &start, proxies: &start, restarts: 0 }
        };
        compare(&mut found, line, &wanted);
    }
    found
}

fn expect(found: &mut Vec<String>, what: &str, is: &str, wanted: &str) {
    if is != wanted {
        found.push(format!("{what}: `{is}`, expected `{wanted}`"));
    }
}

fn compare(found: &mut Vec<String>, line: &ClusterLine, wanted: &Wanted<'_>) {
    let id = &line.cluster_id;
    expect(found, &format!("{id}: status"), line.status.as_str(), wanted.status.as_str());
    expect(found, &format!("{id}: version in the registry"), &line.registry_version, wanted.registry);
    expect(found, &format!("{id}: istiod"), line.istiod_version.as_deref().unwrap_or("mixed"), wanted.istiod);
    let proxies: Vec<&str> = line.proxies.keys().map(String::as_str).collect();
    expect(found, &format!("{id}: proxies"), &proxies.join(" and "), wanted.proxies);
    expect(
        found,
        &format!("{id}: rolling restarts"),
        &line.restarts.to_string(),
        &wanted.restarts.to_string(),
    );
}

fn end(scenario: Scenario) -> End {
    let well = |requests, told| End { ending: "SUCCEEDED", requests, is_locked: false, told, calls_for: &[] };
    let closed = |ending| End { ending, ..well(&["closed"], &[MERGE]) };
    match scenario {
        Scenario::Clean | Scenario::MergedWhileClosing | Scenario::ExternalCause | Scenario::TwoStarts => {
            well(&["merged"], &[MERGE])
        }
        // The question was answered: nobody is called for it any more.
        Scenario::MarginalAsksAPerson => well(&["merged"], &[MERGE, "Waiting for a person"]),
        Scenario::Regression | Scenario::RolloutStuck | Scenario::RestartStuck => End {
            ending: "RolledBack",
            calls_for: &["rolled-back"],
            ..well(&["merged", "merged"], &[MERGE, MERGE, "Rolled back"])
        },
        Scenario::PreCheckFails => {
            End { ending: "GateFailed", calls_for: &["gate-failed"], ..well(&[], &["Gate failed"]) }
        }
        Scenario::MrClosed => closed("MergeRequestClosed"),
        Scenario::MrExpired => closed("MergeRequestExpired"),
        Scenario::FluxSuspended | Scenario::DatadogDown => End {
            ending: "Halted",
            is_locked: true,
            calls_for: &["halted"],
            ..well(&["merged"], &[MERGE, "Halted"])
        },
        Scenario::RollbackUnmerged => End {
            ending: "RollbackFailed",
            is_locked: true,
            calls_for: &["rollback-failed"],
            ..well(&["merged", "opened"], &[MERGE, MERGE, REMINDER, "Rollback failed"])
        },
        Scenario::RollbackFails => End {
            ending: "RollbackFailed",
            is_locked: true,
            calls_for: &["rollback-failed"],
            ..well(&["merged", "merged"], &[MERGE, MERGE, "Rollback failed"])
        },
        Scenario::DryRun => well(&[], &[]),
    }
}

fn wanted<'a>(
    scenario: Scenario,
    (start, target): (&'a str, &'a str),
    is_victim: bool,
    is_first: bool,
) -> Wanted<'a> {
    let at =
        |status, registry, istiod, proxies, restarts| Wanted { status, registry, istiod, proxies, restarts };
    let untouched = |status| at(status, start, start, start, 0);
    let healthy = at(S::Healthy, target, target, target, 1);
    let back = |restarts| at(S::FailedUpgradeRolledBack, start, start, start, restarts);
    // A batch that stopped after its merge stands where it came to.
    let frozen = at(S::Upgrading, start, target, target, 1);
    match scenario {
        Scenario::Regression if is_victim => back(2),
        Scenario::RolloutStuck if is_first => back(0),
        Scenario::RestartStuck if is_first => back(2),
        Scenario::Clean
        | Scenario::MergedWhileClosing
        | Scenario::ExternalCause
        | Scenario::MarginalAsksAPerson
        | Scenario::TwoStarts
        | Scenario::Regression
        | Scenario::RolloutStuck
        | Scenario::RestartStuck => healthy,
        Scenario::PreCheckFails if is_first => untouched(S::PreCheckFailed),
        Scenario::PreCheckFails => untouched(S::PreCheckPassed),
        Scenario::MrClosed | Scenario::MrExpired => untouched(S::Pending),
        Scenario::DryRun => untouched(S::Healthy),
        Scenario::FluxSuspended if is_first => untouched(S::Upgrading),
        Scenario::RollbackUnmerged | Scenario::RollbackFails if is_victim => {
            Wanted { status: S::RollbackRequired, ..frozen }
        }
        Scenario::FluxSuspended
        | Scenario::DatadogDown
        | Scenario::RollbackUnmerged
        | Scenario::RollbackFails => frozen,
    }
}
