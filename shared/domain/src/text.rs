//! Every sentence of a merge request. One module, so that the voice stays the same and snapshots can hold it.

mod description;
mod escape;
mod notes;
mod prospects;
mod question;

pub use description::{Checked, Description};
pub use escape::escape;
pub use notes::{Note, UpgradeNotes};
pub use question::question;

use crate::manifest::unified_diff;
use crate::{ClusterId, Direction, FileContent, Finding, Plan, RunId};

/// The hidden mark by which GUARD knows its own merge requests: an HTML comment that GitLab does not show.
/// `subject` tells the requests of a run apart: `upgrade#001`, `rollback-1#001`.
pub fn marker(run_id: &RunId, subject: &str) -> String {
    format!("<!-- guard:{run_id}:{subject} -->")
}

/// Source branch of a merge request: of a batch, or of one cluster where each has its own.
pub fn branch(plan: &Plan, direction: Direction, cluster: Option<&ClusterId>) -> String {
    let version = plan.headline_version(direction).map_or_else(String::new, ToString::to_string);
    let cluster = cluster.map(|id| format!("-{id}")).unwrap_or_default();
    match direction {
        Direction::Upgrade => format!("feature/istio-{version}-{}{cluster}", plan.batch_id),
        Direction::Rollback => format!("rollback/istio-{version}-{}{cluster}", plan.batch_id),
    }
}

/// Title of a merge request.
pub fn title(plan: &Plan, direction: Direction, cluster: Option<&ClusterId>) -> String {
    let version = plan.headline_version(direction).map_or_else(String::new, ToString::to_string);
    let cluster = cluster.map(|id| format!(": {id}")).unwrap_or_default();
    match direction {
        Direction::Upgrade => format!("Istio upgrade to v{version} for {}{cluster}", plan.batch_id),
        Direction::Rollback => format!("[ROLLBACK] Istio back to v{version} for {}{cluster}", plan.batch_id),
    }
}

/// The diff of all files, for a dry run.
pub fn diff(before: &[FileContent], after: &[FileContent]) -> String {
    before
        .iter()
        .zip(after)
        .filter(|(a, b)| a != b)
        .map(|(a, b)| unified_diff(&a.path, &a.content, &b.content))
        .collect()
}

/// One paragraph from findings, worst first, for the place where a console shows why an execution ended.
pub fn findings(findings: &[Finding]) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let shown: Vec<String> = sorted.iter().take(10).map(ToString::to_string).collect();
    let more = sorted.len().saturating_sub(shown.len());
    if more == 0 { shown.join(" | ") } else { format!("{} | and {more} more", shown.join(" | ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::plan;

    #[test]
    fn names_follow_the_convention() {
        let plan = plan();
        assert_eq!(branch(&plan, Direction::Upgrade, None), "feature/istio-1.30.5-test");
        assert_eq!(title(&plan, Direction::Upgrade, None), "Istio upgrade to v1.30.5 for test");
        assert_eq!(branch(&plan, Direction::Rollback, None), "rollback/istio-1.29.3-test");
        assert_eq!(title(&plan, Direction::Rollback, None), "[ROLLBACK] Istio back to v1.29.3 for test");
    }
}
