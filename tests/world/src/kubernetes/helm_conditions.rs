//! The conditions of a HelmRelease, as the helm-controller writes them.

use jiff::Timestamp;
use serde_json::Value;

use super::flux_objects::condition;
use crate::cluster::Cluster;
use crate::flux::{Failure, Phase, Release, ReleaseKey};

/// How long each half of an endless correction of drift lasts.
const DRIFT: i64 = 30;

pub(super) fn of(cluster: &Cluster, key: &ReleaseKey, release: &Release, now: Timestamp) -> Vec<Value> {
    let (namespace, name) = (key.0.as_str(), key.1.as_str());
    let (at, working, observed) =
        (release.since, release.seen(release.working_on), release.seen(release.observed));
    let generation = release.seen(release.generation);
    let last = release.history.first();
    let (verb, reason) = match last.map(|one| one.number) {
        Some(number) if number > 1 => ("upgrade", "UpgradeSucceeded"),
        _ => ("install", "InstallSucceeded"),
    };
    let (chart, version) = last.map_or(("", ""), |one| (one.chart.as_str(), one.version.as_str()));
    match &release.phase {
        Phase::Settled if cluster.flux.troubles.drifting.contains(key) => {
            drift(namespace, name, release, now)
        }
        Phase::Settled => {
            let message = format!(
                "Helm {verb} succeeded for release {namespace}/{name}.v{} with chart {chart}@{version}",
                last.map_or(0, |one| one.number)
            );
            vec![
                condition("Ready", "True", reason, &message, at, observed),
                condition("Released", "True", reason, &message, at, observed),
            ]
        }
        Phase::Blocked(why) => vec![
            condition("Reconciling", "True", "ProgressingWithRetry", why, at, generation),
            condition("Ready", "False", "DependencyNotReady", why, at, generation),
        ],
        Phase::NoChart(reason, why) => vec![
            condition("Reconciling", "True", "ProgressingWithRetry", why, at, generation),
            condition("Ready", "False", reason, why, at, generation),
        ],
        Phase::Upgrading => {
            let message = format!(
                "Running '{}' action with timeout of 5m0s",
                if release.history.is_empty() { "install" } else { "upgrade" }
            );
            vec![
                condition("Reconciling", "True", "Progressing", &message, at, working),
                condition("Ready", "Unknown", "Progressing", &message, at, working),
            ]
        }
        Phase::Failed(failure) => failed(failure, release, observed),
    }
}

fn failed(failure: &Failure, release: &Release, observed: u64) -> Vec<Value> {
    let Failure { why, retries, rolled_back } = failure;
    let told = |kind: &str, status: &str, reason: &str, message: &str| {
        condition(kind, status, reason, message, release.since, observed)
    };
    // Ready says what was done last: what is remediated is not ready.
    let (reason, message) = match rolled_back {
        Some(back) => ("RollbackSucceeded", back),
        None => ("UpgradeFailed", why),
    };
    let mut all =
        vec![told("Ready", "False", reason, message), told("Released", "False", "UpgradeFailed", why)];
    if let Some(back) = rolled_back {
        all.push(told("Remediated", "True", "RollbackSucceeded", back));
    }
    all.push(if *retries {
        told("Reconciling", "True", "ProgressingWithRetry", message)
    } else {
        let stalled = format!("Failed to upgrade after {} attempt(s)", release.failures);
        told("Stalled", "True", "RetriesExceeded", &stalled)
    });
    all
}

/// Drift is corrected, and comes back: at no moment it is ready.
fn drift(namespace: &str, name: &str, release: &Release, now: Timestamp) -> Vec<Value> {
    let observed = release.seen(release.observed);
    let half = now.as_second().div_euclid(DRIFT);
    let at = Timestamp::from_second(half * DRIFT).unwrap_or(now);
    let number = release.history.first().map_or(0, |one| one.number);
    let message = format!(
        "Cluster state of release {namespace}/{name}.v{number} has drifted from the desired state:\n\
         MutatingWebhookConfiguration/istio-sidecar-injector changed (0 additions, 4 changes, 0 removals)"
    );
    let action = "Running 'correct cluster drift' action with timeout of 5m0s";
    if half % 2 == 0 {
        vec![
            condition("Reconciling", "True", "Progressing", action, at, observed),
            condition("Ready", "Unknown", "Progressing", action, at, observed),
            condition("Drifted", "True", "DriftDetected", &message, at, observed),
        ]
    } else {
        vec![
            condition("Reconciling", "True", "ProgressingWithRetry", "must requeue", at, observed),
            condition("Ready", "False", "ProgressingWithRetry", "must requeue", at, observed),
            condition("Drifted", "False", "DriftCorrected", "Cluster state has been corrected", at, observed),
        ]
    }
}
