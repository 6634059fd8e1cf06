//! The description of a merge request: what a person reads before one informed click.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{UpgradeNotes, escape};
use crate::manifest::Change;
use crate::notification::execution_page;
use crate::restart_plan::RestartPlan;
use crate::soak::Prospect;
use crate::{ClusterId, Direction, Finding, Plan, PlannedCluster, Severity, TrafficWindow, Verdict};

/// Changed values that are listed; the request's own diff shows all.
const CHANGES_LISTED: usize = 60;

/// Lines of findings and evidence; all of them are in the run record.
const LINES_LISTED: usize = 40;

/// What the pre-check of one cluster had to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Its verdict.
    pub verdict: Verdict,
    /// What it found.
    pub findings: Vec<Finding>,
    /// Traffic in the time before it that is as long as the soak.
    pub baseline: Option<TrafficWindow>,
    /// What the soak can see, where that is known.
    pub prospect: Option<Prospect>,
    /// What the restart of its proxies will be, where that is known.
    pub restart: Option<RestartPlan>,
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
    /// The pre-checks, for an upgrade.
    pub checks: &'a [Checked],
    /// Pre-checks of clusters of the batch that it leaves out.
    pub left_out: &'a [Checked],
    /// Why it must go back, for a rollback.
    pub evidence: &'a [String],
    /// Number of requests that the change is cut into; a person should know of the others.
    pub requests: usize,
    /// See [`super::marker`].
    pub marker: &'a str,
}

/// Appends a line. Writing to a text cannot fail.
macro_rules! line {
    ($text:expr) => { $text.push('\n') };
    ($text:expr, $($word:tt)*) => { _ = writeln!($text, $($word)*) };
}

impl Description<'_> {
    /// Markdown. Everything that people or clusters said is escaped; every line begins with words of ours.
    pub fn render(&self) -> String {
        let mut text = String::new();
        self.head(&mut text);
        self.changes(&mut text);
        self.versions_only(&mut text);
        self.reach(&mut text);
        match self.direction {
            Direction::Upgrade => {
                self.checks(&mut text);
                self.left_out(&mut text);
                text.push_str(&super::prospects::render(self.plan, self.checks));
                self.way_back(&mut text);
                self.notes(&mut text);
            }
            Direction::Rollback => {
                self.evidence(&mut text);
                line!(text, "### After the merge\n");
                line!(
                    text,
                    "GUARD follows Flux and istiod back to the old version and restarts the workloads a second time: without that the proxies would stay ahead of the control plane. Then it verifies every cluster.\n"
                );
            }
        }
        self.links(&mut text);
        text.push_str(self.marker);
        text
    }

    fn head(&self, text: &mut String) {
        match self.direction {
            Direction::Upgrade => {
                line!(
                    text,
                    "GUARD proposes this Istio upgrade. **A person merges it**; GUARD follows from there.\n"
                );
            }
            Direction::Rollback => {
                line!(
                    text,
                    "**Emergency**: GUARD proposes to take these clusters back. Please merge soon.\n"
                );
            }
        }
        if let Some(reason) = &self.plan.reason {
            line!(text, "Reason: {}\n", escape(reason));
        }
        if self.requests > 1 {
            line!(
                text,
                "This is one of {} merge requests of batch {}. GUARD goes on when all of them are merged; if one is closed, the others are taken back.\n",
                self.requests,
                escape(self.plan.batch_id.as_str())
            );
        }
        line!(text, "| cluster | environment | from | to | owner |\n|---|---|---|---|---|");
        for planned in self.clusters {
            let row = &planned.record;
            line!(
                text,
                "| {} | {} | {} | {} | {} |",
                escape(row.cluster_id.as_str()),
                escape(&row.environment),
                planned.from(self.direction),
                planned.to(self.direction),
                escape(&row.owner_handle)
            );
        }
        line!(text);
    }

    fn changes(&self, text: &mut String) {
        let mut files: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
        for change in self.changes {
            files.entry(&change.file).or_default().push(change);
        }
        line!(text, "### What changes\n");
        for change in self.changes.iter().take(CHANGES_LISTED) {
            line!(
                text,
                "- {} line {}, {}, {}: {} to {}",
                escape(&change.file),
                change.line,
                escape(&change.object),
                escape(&change.path),
                escape(&change.from.text),
                escape(&change.to.text)
            );
        }
        more(text, self.changes.len(), CHANGES_LISTED, "changes, in the diff");
        line!(
            text,
            "\n{} values change in {} files; nothing else is touched: GUARD read each file again after the edit and compared it as data.\n",
            self.changes.len(),
            files.len()
        );
    }

    /// Of an upgrade that GUARD has no record of, only the version can be taken back.
    fn versions_only(&self, text: &mut String) {
        let unknown = self.clusters.iter().filter(|planned| self.plan.undone(planned).is_none());
        let names: Vec<String> = unknown.map(|planned| escape(planned.record.cluster_id.as_str())).collect();
        if !names.is_empty() {
            line!(
                text,
                "**Versions only**: GUARD has no record of the upgrade that brought the version that runs in {}. Settings that changed with it, addresses that moved and ranges that were pinned stay as they are; look at them before you merge.\n",
                names.join(", ")
            );
        }
    }

    fn reach(&self, text: &mut String) {
        let names: Vec<String> =
            self.clusters.iter().map(|planned| escape(planned.record.cluster_id.as_str())).collect();
        line!(text, "### What it reaches\n");
        line!(
            text,
            "The changed files are read by {} clusters: {}. No other cluster of the registry reads them. Flux applies the change to all of them as soon as it sees the merge; workloads are restarted later, by GUARD, step by step.\n",
            names.len(),
            names.join(", ")
        );
    }

    fn checks(&self, text: &mut String) {
        line!(text, "### Pre-checks\n");
        let mut lines = Vec::new();
        for check in self.checks {
            let restart = check.restart.as_ref().map(|plan| format!("; {}", plan.in_words()));
            let restart = restart.unwrap_or_default();
            lines.push(format!("{}: {}{restart}", escape(check.cluster_id.as_str()), check.verdict));
            let told = check.findings.iter().filter(|finding| finding.severity == Severity::Warning);
            lines.extend(told.map(|finding| escape(&finding.to_string())));
        }
        list(text, &lines);
    }

    fn left_out(&self, text: &mut String) {
        if self.left_out.is_empty() {
            return;
        }
        line!(text, "### Left out\n");
        line!(
            text,
            "These clusters of the batch failed their pre-checks, each for a cause of its own. Nothing changes in them; start the batch again when they are mended.\n"
        );
        let cause = |check: &Checked| {
            let told = Finding::decisive(&check.findings).map(ToString::to_string).unwrap_or_default();
            format!("{}: {}", escape(check.cluster_id.as_str()), escape(&told))
        };
        list(text, &self.left_out.iter().map(cause).collect::<Vec<_>>());
    }

    fn way_back(&self, text: &mut String) {
        line!(text, "### The way back\n");
        line!(
            text,
            "If a cluster fails, GUARD opens a `[ROLLBACK]` request for it that puts the values above back into the files as they are then, and refuses where somebody changed one of them meanwhile. After its merge istiod goes back first, then the workloads are restarted a second time. By hand: `guard rollback --batch {} --reason '...'`.\n",
            self.plan.batch_id
        );
    }

    fn notes(&self, text: &mut String) {
        let Ok(notes) = UpgradeNotes::built_in() else { return };
        let spans = self.clusters.iter().map(|planned| (&planned.old, &planned.new));
        let Some((old, new)) = spans.min_by_key(|(old, _)| *old) else { return };
        let crossed: Vec<String> = notes
            .crossed(old, new)
            .map(|note| format!("{}: {} ({})", note.minor, note.text, escape(&note.source)))
            .collect();
        if crossed.is_empty() {
            return;
        }
        line!(text, "### Istio's notes\n");
        line!(text, "Of the minor lines that are reached; as of {}, and not complete.\n", notes.as_of);
        list(text, &crossed);
    }

    fn evidence(&self, text: &mut String) {
        if self.evidence.is_empty() {
            return;
        }
        line!(text, "### Evidence\n");
        list(text, &self.evidence.iter().map(|one| escape(one)).collect::<Vec<_>>());
    }

    fn links(&self, text: &mut String) {
        if let Some(page) = execution_page(&self.plan.execution_arn) {
            line!(text, "[Execution in the console]({page})\n");
        }
        line!(text, "Run `{}`", self.plan.run_id);
    }
}

fn list(text: &mut String, lines: &[String]) {
    for one in lines.iter().take(LINES_LISTED) {
        line!(text, "- {one}");
    }
    more(text, lines.len(), LINES_LISTED, "lines, in the run record");
    line!(text);
}

fn more(text: &mut String, all: usize, shown: usize, what: &str) {
    if all > shown {
        line!(text, "- and {} more {what}", all - shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IstioVersion;
    use crate::manifest::{ChangeKind, Scalar};
    use crate::plan::fixtures::plan;
    use proptest::prelude::*;
    use serde_json::json;

    const MARKER: &str = "<!-- guard:run-1:upgrade#001 -->";

    fn change(word: &str) -> Change {
        Change {
            file: format!("clusters/c1/{word}.yaml"),
            document: 0,
            object: format!("HelmRelease istio-system/{word}"),
            path: "spec.chart.spec.version".into(),
            line: 9,
            component: None,
            kind: ChangeKind::ChartVersion,
            from: Scalar { value: json!("1.29.3"), text: format!("\"{word}\"") },
            to: Scalar { value: json!("1.30.5"), text: word.into() },
            back: None,
            also: Vec::new(),
        }
    }

    /// A description in which everything that somebody else wrote is this word.
    fn rendered(word: &str, direction: Direction) -> String {
        let mut plan = plan();
        plan.reason = Some(word.into());
        for planned in &mut plan.clusters {
            planned.record.owner_handle = word.into();
            planned.record.environment = word.into();
        }
        let clusters: Vec<&PlannedCluster> = plan.clusters.iter().collect();
        let check = |planned: &&PlannedCluster| Checked {
            cluster_id: planned.record.cluster_id.clone(),
            verdict: Verdict::Pass,
            findings: vec![Finding::warning("ANALYZER", word, word, word)],
            baseline: None,
            prospect: None,
            restart: None,
        };
        let checks: Vec<Checked> = clusters.iter().map(check).collect();
        Description {
            plan: &plan,
            direction,
            clusters: &clusters,
            changes: &[change(word)],
            checks: &checks,
            left_out: &checks[..1],
            evidence: &[word.to_owned()],
            requests: 1,
            marker: MARKER,
        }
        .render()
    }

    #[test]
    fn it_tells_what_where_who_why_and_the_way_back_and_ends_with_the_marker() {
        let text = rendered("mesh-team", Direction::Upgrade);
        for words in [
            "| c1 | mesh-team | 1.29.3 | 1.30.5 | mesh-team |",
            "- clusters\\/c1\\/mesh-team.yaml line 9, HelmRelease istio-system\\/mesh-team, spec.chart.spec.version: ",
            "1 values change in 1 files",
            "read by 2 clusters: c1, c2",
            "- c1: pass",
            "| c1 | no data | no data |",
            "for 60 minutes",
            "guard rollback --batch test",
            "1.30: Gateway API CRDs must be v1.5",
            "[Execution in the console](https://",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        assert!(text.ends_with(MARKER), "{text}");
        let back = rendered("mesh-team", Direction::Rollback);
        assert!(back.contains("| c1 | mesh-team | 1.30.5 | 1.29.3 | mesh-team |"), "{back}");
        assert!(
            back.contains("### Evidence")
                && back.contains("a second time")
                && !back.contains("Istio's notes")
        );
    }

    #[test]
    fn few_requests_are_called_few_and_no_data_is_not_called_none() {
        let plan = plan();
        let clusters: Vec<&PlannedCluster> = plan.clusters.iter().collect();
        let window = |requests| TrafficWindow { requests, errors: 3.0, ..TrafficWindow::default() };
        let checks: Vec<Checked> = [Some(window(250_000.0)), Some(window(12.0))]
            .into_iter()
            .zip(&clusters)
            .map(|(baseline, planned)| Checked {
                cluster_id: planned.record.cluster_id.clone(),
                verdict: Verdict::Pass,
                findings: Vec::new(),
                baseline,
                prospect: None,
                restart: Some(RestartPlan { workloads: 6, pods: 17, minutes: 4, ..RestartPlan::default() }),
            })
            .collect();
        let text = Description {
            plan: &plan,
            direction: Direction::Upgrade,
            clusters: &clusters,
            changes: &[],
            checks: &checks,
            left_out: &[],
            evidence: &[],
            requests: 3,
            marker: MARKER,
        }
        .render();
        assert!(text.contains("| c1 | 250000 | 3 | not known |"), "{text}");
        assert!(text.contains("c1: pass; to restart: 6 workloads, 17 pods, about 4 minutes"), "{text}");
        assert!(
            text.contains("| c2 | 12 (fewer than 1000: such a window says nothing) | 3 | not known |"),
            "{text}"
        );
        assert!(text.contains("one of 3 merge requests of batch test"), "{text}");
    }

    #[test]
    fn a_large_batch_stays_readable() {
        let mut plan = plan();
        let one = plan.clusters[0].clone();
        plan.clusters = (0..200)
            .map(|n| {
                let mut planned = one.clone();
                planned.record.cluster_id = ClusterId::parse(&format!("c{n:03}")).unwrap();
                planned.old = IstioVersion::parse("1.29.3").unwrap();
                planned
            })
            .collect();
        let clusters: Vec<&PlannedCluster> = plan.clusters.iter().collect();
        let changes: Vec<Change> = (0..600).map(|n| change(&format!("f{n}"))).collect();
        let evidence: Vec<String> = (0..100).map(|n| format!("e{n}")).collect();
        let text = Description {
            plan: &plan,
            direction: Direction::Rollback,
            clusters: &clusters,
            changes: &changes,
            checks: &[],
            left_out: &[],
            evidence: &evidence,
            requests: 1,
            marker: MARKER,
        }
        .render();
        assert!(text.contains("- and 540 more changes, in the diff"), "{text}");
        assert!(text.contains("- and 60 more lines, in the run record"), "{text}");
        assert!(text.len() < 60_000, "{}", text.len());
    }

    proptest! {
        /// Whatever people and clusters say: the same lines, one marker, no mention, no quick action.
        #[test]
        fn user_data_changes_no_line_and_forges_nothing(
            word in "(?s)[@/#<>!|`\\-\\n\r\u{2028}\\[\\]()a-z: ]{0,60}|(?s).{0,40}",
            is_upgrade in any::<bool>(),
        ) {
            let direction = if is_upgrade { Direction::Upgrade } else { Direction::Rollback };
            let (text, plain) = (rendered(&word, direction), rendered("x", direction));
            prop_assert_eq!(text.lines().count(), plain.lines().count(), "{}", text);
            prop_assert_eq!(text.matches("<!--").count(), 1, "{}", text);
            prop_assert!(text.ends_with(MARKER));
            prop_assert!(!text.lines().any(|line| line.trim_start().starts_with('/')), "{}", text);
            // Bars that are not taken for text: the tables have the columns that they had.
            let bars = |text: &str| text.replace("\\\\", "").replace("\\|", "").matches('|').count();
            prop_assert_eq!(bars(&text), bars(&plain), "{}", text);
            let mentions = text.replace("\\\\", "").replace("\\@", "");
            prop_assert!(!mentions.contains('@'), "{}", text);
        }
    }
}
