//! Every sentence of a merge request. One module, so that the voice stays the same and snapshots can hold it.

use std::fmt::Write as _;

use crate::manifest::{Change, unified_diff};
use crate::{ClusterId, Direction, FileContent, Finding, Plan, PlannedCluster, RunId};

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

/// What the description is made of.
#[derive(Debug)]
pub struct Description<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Which request.
    pub direction: Direction,
    /// The clusters it reaches.
    pub clusters: &'a [&'a PlannedCluster],
    /// The scalars it changes.
    pub changes: &'a [Change],
    /// Findings that did not block, or the evidence for a rollback.
    pub evidence: &'a [String],
    /// See [`marker`].
    pub marker: &'a str,
}

impl Description<'_> {
    /// Markdown for one informed click.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail; the results are dropped knowingly.
        let _ = match self.direction {
            Direction::Upgrade => writeln!(
                text,
                "GUARD proposes this Istio upgrade. **A person merges it**; GUARD follows from there.\n"
            ),
            Direction::Rollback => writeln!(
                text,
                "**Emergency**: GUARD proposes to take these clusters back. Please merge soon.\n"
            ),
        };
        let _ = writeln!(text, "| cluster | environment | from | to | owner |\n|---|---|---|---|---|");
        for planned in self.clusters {
            let row = &planned.record;
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | @{} |",
                escape(row.cluster_id.as_str()),
                escape(&row.environment),
                planned.from(self.direction),
                planned.to(self.direction),
                escape(&row.owner_handle)
            );
        }
        let files: std::collections::BTreeSet<&str> =
            self.changes.iter().map(|change| change.file.as_str()).collect();
        let _ = writeln!(
            text,
            "\n{} versions change in {} files; nothing else is touched.\n",
            self.changes.len(),
            files.len()
        );
        if !self.evidence.is_empty() {
            let heading = match self.direction {
                Direction::Upgrade => "Checks",
                Direction::Rollback => "Evidence",
            };
            let _ = writeln!(text, "### {heading}");
            for line in self.evidence {
                let _ = writeln!(text, "- {}", escape(line));
            }
            text.push('\n');
        }
        if let Some(reason) = &self.plan.reason {
            let _ = writeln!(text, "Reason: {}\n", escape(reason));
        }
        let _ = match self.direction {
            Direction::Upgrade => writeln!(
                text,
                "After the merge GUARD follows Flux and istiod, restarts the workloads with sidecars, soaks for {} minutes and judges. If a cluster fails, GUARD opens a rollback request for it.\n",
                self.plan.config.validation.soak_period_minutes
            ),
            Direction::Rollback => writeln!(
                text,
                "After the merge GUARD follows Flux and istiod back to the old version and restarts the workloads a second time.\n"
            ),
        };
        let _ = writeln!(text, "Run `{}`", self.plan.run_id);
        text.push_str(self.marker);
        text
    }
}

/// User data inside Markdown: no markup, no mentions, no new lines.
fn escape(raw: &str) -> String {
    let mut clean = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '\n' | '\r' => clean.push(' '),
            '<' => clean.push_str("&lt;"),
            '|' | '*' | '`' | '[' | ']' | '\\' | '@' => {
                clean.push('\\');
                clean.push(c);
            }
            _ => clean.push(c),
        }
    }
    clean
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

    #[test]
    fn the_description_tells_reach_owner_and_plan_and_carries_the_marker() {
        let plan = plan();
        let clusters: Vec<&PlannedCluster> = plan.clusters.iter().collect();
        let text = Description {
            plan: &plan,
            direction: Direction::Upgrade,
            clusters: &clusters,
            changes: &[],
            evidence: &[],
            marker: "<!-- guard:run-1:upgrade#001 -->",
        }
        .render();
        assert!(text.contains("| c1 | test | 1.29.3 | 1.30.5 | @mesh-team |"), "{text}");
        assert!(text.contains("soaks for 60 minutes"), "{text}");
        assert!(text.ends_with("<!-- guard:run-1:upgrade#001 -->"), "{text}");
    }

    #[test]
    fn user_data_cannot_forge_markup_mentions_or_the_marker() {
        let mut plan = plan();
        plan.reason = Some("x --> <!-- guard:other:upgrade -->\n# @all".into());
        let clusters: Vec<&PlannedCluster> = plan.clusters.iter().collect();
        let text = Description {
            plan: &plan,
            direction: Direction::Rollback,
            clusters: &clusters,
            changes: &[],
            evidence: &[],
            marker: "<!-- guard:run-1:upgrade#001 -->",
        }
        .render();
        assert_eq!(text.matches("<!-- guard:").count(), 1, "{text}");
        assert!(text.contains("\\@all"), "{text}");
    }
}
