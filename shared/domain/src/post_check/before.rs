//! What the pre-check left, for the comparison.

use std::collections::BTreeMap;

use crate::checks::{AFTER, Subject};
use crate::{ClusterFacts, ControlPlaneFacts, Finding, Severity};

/// What is compared with the state after the change.
#[derive(Debug, Clone, Default)]
pub struct Before<'a> {
    /// What the pre-check found.
    pub findings: &'a [Finding],
    /// Restarts of Istio's container, by pod; pods that had none are not here.
    pub restarts: BTreeMap<String, u32>,
    /// istiod's counters, where they could be read.
    pub control_plane: Option<&'a ControlPlaneFacts>,
}

/// Restarts worth keeping: a mesh has thousands of proxies, and few of them restart.
pub fn restarts(facts: &ClusterFacts) -> BTreeMap<String, u32> {
    let pods = facts.mesh.as_ref().map(Vec::as_slice).unwrap_or_default();
    pods.iter().filter(|pod| pod.restarts > 0).map(|pod| (pod.name.clone(), pod.restarts)).collect()
}

/// What the checks find now and did not find before. Where nothing is known of before, nobody knows whether it is new:
/// then it is told and decides nothing.
pub(super) fn what_is_new(subject: &Subject<'_>, before: Option<&Before<'_>>) -> Vec<Finding> {
    let now = subject.findings_of(&AFTER);
    match before {
        Some(before) => {
            let was_there = |finding: &Finding| {
                let same = |old: &&Finding| (&old.code, &old.subject) == (&finding.code, &finding.subject);
                before.findings.iter().any(|old| same(&old))
            };
            now.into_iter().filter(|finding| !was_there(finding)).collect()
        }
        None => now.into_iter().map(unknown_age).collect(),
    }
}

fn unknown_age(finding: Finding) -> Finding {
    if finding.severity == Severity::Blocking {
        let message = format!("{} (whether it was so before the change is not known)", finding.message);
        return Finding { severity: Severity::Warning, message, ..finding };
    }
    finding
}
