//! The words of every notification. One module, so that the voice stays the same and snapshots can hold it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Fact, Link, Next, Notification, NotificationKind, Urgency, execution_page};
use crate::{ClusterId, Direction, IstioVersion, Plan, text};

/// Clusters that are named; of the others only the number is told.
const CLUSTERS_NAMED: usize = 10;

/// Findings that are shown; all of them are in the run record.
const FINDINGS_SHOWN: usize = 10;

/// Merge requests that are linked.
const LINKS: usize = 10;

/// Characters of a sentence, which may hold findings.
const LONGEST_SENTENCE: usize = 1_000;

/// Characters of one finding.
const LONGEST_FINDING: usize = 300;

impl Notification {
    /// A gate said no before anything was changed.
    pub fn gate_failed(plan: &Plan, why: &str, findings: Vec<String>) -> Self {
        let title = format!("Gate failed: {}", headline(plan, plan.direction));
        Self {
            findings: shorten(findings),
            next: vec![start_again(plan, "Mend what was found, then start again.")],
            ..base(NotificationKind::GateFailed, Urgency::Warning, plan, plan.direction, title, why)
        }
    }

    /// A merge request is open. A rollback is an emergency: clusters are failing until somebody merges.
    pub fn waiting_for_merge(
        plan: &Plan,
        direction: Direction,
        clusters: &[ClusterId],
        merge_request_urls: &[String],
        until: Timestamp,
    ) -> Self {
        let (urgency, sentence) = match direction {
            Direction::Upgrade => (
                Urgency::Info,
                "The pre-checks passed. A person reads the merge request and merges it; GUARD follows from there.",
            ),
            Direction::Rollback => (
                Urgency::Error,
                "Clusters go back to the old version once a person merges this request. Please merge it soon.",
            ),
        };
        let title = format!("Waiting for a merge: {}", text::title(plan, direction, None));
        let mut told = base(NotificationKind::WaitingForMerge, urgency, plan, direction, title, sentence);
        told.name_clusters(clusters);
        if direction == Direction::Upgrade {
            let all = plan.clusters.iter().map(|planned| planned.record.cluster_id.as_str());
            let left_out: Vec<&str> =
                all.filter(|id| !clusters.iter().any(|one| one.as_str() == *id)).collect();
            if !left_out.is_empty() {
                told.fact("left out after their pre-checks", left_out.join(", "));
            }
        }
        told.fact("waits until", minute(until));
        told.links_to("merge request", merge_request_urls);
        told.next = vec![
            Next { words: "Read the merge request and merge or close it.", command: None },
            follow(plan),
        ];
        told
    }

    /// A rollback request that nobody merged for this long.
    pub fn rollback_unmerged(
        plan: &Plan,
        clusters: &[ClusterId],
        merge_request_urls: &[String],
        waited: SignedDuration,
        until: Timestamp,
    ) -> Self {
        let title = format!("Rollback not merged for {}: batch {}", length(waited), plan.batch_id);
        let sentence = "Clusters that failed with the new version still run it. Nothing goes back before a person \
                        merges the rollback request.";
        let kind = NotificationKind::RollbackUnmerged;
        let mut told = base(kind, Urgency::Error, plan, Direction::Rollback, title, sentence);
        told.name_clusters(clusters);
        told.fact("waits until", minute(until));
        told.links_to("merge request", merge_request_urls);
        told.next = vec![Next { words: "Merge the rollback request.", command: None }, follow(plan)];
        told
    }

    /// The judge asks a person.
    pub fn waiting_for_person(
        plan: &Plan,
        clusters: &[ClusterId],
        reasons: Vec<String>,
        until: Timestamp,
    ) -> Self {
        let title = format!("Waiting for a person: the soak of batch {}", plan.batch_id);
        let sentence = "The soak is too close to call and its extensions are used up. Look at the clusters, then \
                        approve or reject: the first answer counts.";
        let kind = NotificationKind::WaitingForPerson;
        let mut told = base(kind, Urgency::Warning, plan, plan.direction, title, sentence);
        told.name_clusters(clusters);
        told.fact("waits until", minute(until));
        told.findings = shorten(reasons);
        let answer = |word: &str| Some(format!("guard {word} --batch {} --reason '...'", plan.batch_id));
        told.next = vec![
            Next { words: "They are well enough: go on.", command: answer("approve") },
            Next { words: "They are not: take them back.", command: answer("reject") },
        ];
        told
    }

    /// Clusters are back at the old version. A rollback that a person asked for calls nobody.
    pub fn rolled_back(plan: &Plan, why: &str, evidence: Vec<String>, merge_request_urls: &[String]) -> Self {
        let urgency = match plan.direction {
            Direction::Upgrade => Urgency::Error,
            Direction::Rollback => Urgency::Info,
        };
        let title = format!("Rolled back: {}", headline(plan, plan.direction));
        let mut told = base(NotificationKind::RolledBack, urgency, plan, plan.direction, title, why);
        told.findings = shorten(evidence);
        told.links_to("rollback request", merge_request_urls);
        told.next = vec![
            Next { words: "Find the cause before the next try.", command: None },
            Next {
                words: "Versions and statuses of the batch.",
                command: Some(format!("guard list --batch {}", plan.batch_id)),
            },
        ];
        told
    }

    /// The way back did not work.
    pub fn rollback_failed(plan: &Plan, why: &str, merge_request_urls: &[String]) -> Self {
        let title = format!("Rollback failed: batch {}", plan.batch_id);
        let kind = NotificationKind::RollbackFailed;
        let mut told = base(kind, Urgency::Critical, plan, Direction::Rollback, title, why);
        told.links_to("rollback request", merge_request_urls);
        told.next = vec![
            Next {
                words: "A person must come: docs/runbook.md, section RollbackFailed. The locks stay.",
                command: None,
            },
            go_on(plan),
            state_of(plan),
        ];
        told
    }

    /// The run stopped without an answer, before or after its merge.
    pub fn halted(plan: &Plan, why: &str, is_after_merge: bool) -> Self {
        let title = format!("Halted: {}", headline(plan, plan.direction));
        let mut told = base(NotificationKind::Halted, Urgency::Critical, plan, plan.direction, title, why);
        told.next = if is_after_merge {
            let mut next = vec![
                Next {
                    words: "The change is under way and the locks stay. Look at the clusters: docs/runbook.md, \
                            section Halted.",
                    command: None,
                },
                go_on(plan),
            ];
            if plan.direction == Direction::Upgrade {
                next.push(take_back(plan, "Or take back what it left in the middle."));
            }
            next.push(state_of(plan));
            next
        } else {
            vec![start_again(plan, "Nothing was changed. Mend the cause, then start again.")]
        };
        told
    }

    fn fact(&mut self, name: &'static str, value: impl Into<String>) {
        self.facts.push(Fact { name, value: value.into() });
    }

    /// The first few of them, before the other links.
    fn links_to(&mut self, title: &'static str, urls: &[String]) {
        let links = urls.iter().take(LINKS).map(|url| Link { title, url: url.clone() });
        self.links.splice(0..0, links);
    }

    /// These clusters instead of all of the plan.
    fn name_clusters(&mut self, clusters: &[ClusterId]) {
        let value = names(clusters.iter());
        if let Some(fact) = self.facts.iter_mut().find(|fact| fact.name == "clusters") {
            fact.value = value;
        }
    }
}

/// What every notification holds.
fn base(
    kind: NotificationKind,
    urgency: Urgency,
    plan: &Plan,
    direction: Direction,
    title: String,
    sentence: &str,
) -> Notification {
    let from: BTreeSet<&IstioVersion> = plan.clusters.iter().map(|planned| planned.from(direction)).collect();
    let to: BTreeSet<&IstioVersion> = plan.clusters.iter().map(|planned| planned.to(direction)).collect();
    let mut told = Notification {
        kind,
        urgency,
        run_id: plan.run_id.clone(),
        batch_id: plan.batch_id.clone(),
        title,
        sentence: clip(sentence, LONGEST_SENTENCE),
        facts: Vec::new(),
        findings: Vec::new(),
        links: Vec::new(),
        next: Vec::new(),
    };
    told.fact("batch", plan.batch_id.as_str());
    told.fact("versions", format!("{} to {}", listed(&from), listed(&to)));
    told.fact("clusters", names(plan.clusters.iter().map(|planned| &planned.record.cluster_id)));
    told.fact("execution", plan.execution_arn.as_str());
    if let Some(url) = execution_page(&plan.execution_arn) {
        told.links.push(Link { title: "execution in the console", url });
    }
    told
}

fn headline(plan: &Plan, direction: Direction) -> String {
    let version = plan.headline_version(direction).map_or_else(String::new, ToString::to_string);
    format!("Istio {version} for {}", plan.batch_id)
}

fn start_again(plan: &Plan, words: &'static str) -> Next {
    let batch = &plan.batch_id;
    let command = match plan.headline_version(plan.direction) {
        Some(version) if plan.direction == Direction::Upgrade => {
            format!("guard run --batch {batch} --target-version {version}")
        }
        _ => format!("guard rollback --batch {batch} --reason '...'"),
    };
    Next { words, command: Some(command) }
}

/// With a run that ended in the middle, from some minutes after its end on.
fn go_on(plan: &Plan) -> Next {
    const WORDS: &str = "Once its cause is gone, go on with it.";
    match plan.headline_version(plan.direction) {
        Some(version) if plan.direction == Direction::Upgrade => {
            let (batch, run) = (&plan.batch_id, &plan.run_id);
            let command = format!("guard run --batch {batch} --target-version {version} --resume {run}");
            Next { words: WORDS, command: Some(command) }
        }
        _ => take_back(plan, WORDS),
    }
}

fn take_back(plan: &Plan, words: &'static str) -> Next {
    let (batch, run) = (&plan.batch_id, &plan.run_id);
    Next { words, command: Some(format!("guard rollback --batch {batch} --reason '...' --resume {run}")) }
}

fn follow(plan: &Plan) -> Next {
    Next { words: "Follow the run.", command: Some(format!("guard monitor --batch {}", plan.batch_id)) }
}

fn state_of(plan: &Plan) -> Next {
    Next { words: "Where it stands.", command: Some(format!("guard status --batch {}", plan.batch_id)) }
}

fn listed(versions: &BTreeSet<&IstioVersion>) -> String {
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn names<'a>(clusters: impl Iterator<Item = &'a ClusterId>) -> String {
    let mut all: Vec<String> = clusters.map(ToString::to_string).collect();
    let more = all.len().saturating_sub(CLUSTERS_NAMED);
    all.truncate(CLUSTERS_NAMED);
    let named = all.join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

fn shorten(lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(FINDINGS_SHOWN);
    let mut shown: Vec<String> =
        lines.into_iter().take(FINDINGS_SHOWN).map(|line| clip(&line, LONGEST_FINDING)).collect();
    if more > 0 {
        shown.push(format!("and {more} more in the run record"));
    }
    shown
}

/// One line, cut between characters.
fn clip(raw: &str, longest: usize) -> String {
    let line = raw.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn length(waited: SignedDuration) -> String {
    let minutes = waited.as_mins().max(0);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} minutes"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::Channel;
    use crate::plan::fixtures::plan;

    fn fact<'a>(told: &'a Notification, name: &str) -> &'a str {
        told.facts.iter().find(|fact| fact.name == name).map_or("", |fact| fact.value.as_str())
    }

    #[test]
    fn each_says_what_where_and_what_next() {
        let plan = plan();
        let told =
            Notification::gate_failed(&plan, "pre-check failed for c1", vec!["NODE_NOT_READY c1".into()]);
        assert_eq!(told.title, "Gate failed: Istio 1.30.5 for test");
        assert_eq!(fact(&told, "versions"), "1.29.3 to 1.30.5");
        assert_eq!(fact(&told, "clusters"), "c1, c2");
        assert_eq!(fact(&told, "execution"), plan.execution_arn);
        assert_eq!(told.links[0].title, "execution in the console");
        let command = told.next[0].command.as_deref();
        assert_eq!(command, Some("guard run --batch test --target-version 1.30.5"));
    }

    #[test]
    fn a_rollback_names_its_own_clusters_and_its_own_way() {
        let plan = plan();
        let only = [plan.clusters[1].record.cluster_id.clone()];
        let waited = SignedDuration::from_mins(105);
        let told = Notification::rollback_unmerged(
            &plan,
            &only,
            &["https://g/1".into()],
            waited,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(told.title, "Rollback not merged for 1 h 45 min: batch test");
        assert_eq!((fact(&told, "versions"), fact(&told, "clusters")), ("1.30.5 to 1.29.3", "c2"));
        assert_eq!(fact(&told, "waits until"), "1970-01-01 00:00 UTC");
        assert_eq!(told.links[0].url, "https://g/1");
    }

    #[test]
    fn the_pager_is_for_what_needs_a_person() {
        let mut plan = plan();
        let (url, until) = (["https://g/1".to_owned()], Timestamp::UNIX_EPOCH);
        let calls = |told: Notification| (Channel::Chat.carries(&told), Channel::Pager.carries(&told));
        let merge = |direction| Notification::waiting_for_merge(&plan, direction, &[], &url, until);
        assert_eq!(calls(merge(Direction::Upgrade)), (true, false));
        assert_eq!(calls(merge(Direction::Rollback)), (true, true));
        assert_eq!(calls(Notification::waiting_for_person(&plan, &[], vec![], until)), (true, true));
        assert_eq!(calls(Notification::rolled_back(&plan, "", vec![], &[])), (true, true));
        // Somebody asked for it: they know.
        plan.direction = Direction::Rollback;
        assert_eq!(calls(Notification::rolled_back(&plan, "", vec![], &[])), (true, false));
    }

    #[test]
    fn what_ended_in_the_middle_says_how_to_go_on_and_how_to_go_back() {
        let mut plan = plan();
        let commands = |told: &Notification| -> Vec<String> {
            told.next.iter().filter_map(|next| next.command.clone()).collect()
        };
        let (on, back) = (
            "guard run --batch test --target-version 1.30.5 --resume run-1",
            "guard rollback --batch test --reason '...' --resume run-1",
        );
        let state = "guard status --batch test";
        assert_eq!(commands(&Notification::halted(&plan, "", true)), [on, back, state]);
        assert_eq!(commands(&Notification::rollback_failed(&plan, "", &[])), [on, state]);
        let before_the_merge = commands(&Notification::halted(&plan, "", false));
        assert_eq!(before_the_merge, ["guard run --batch test --target-version 1.30.5"]);
        plan.direction = Direction::Rollback;
        assert_eq!(commands(&Notification::halted(&plan, "", true)), [back, state]);
        assert_eq!(commands(&Notification::rollback_failed(&plan, "", &[])), [back, state]);
    }

    #[test]
    fn long_lists_and_long_texts_are_cut() {
        let mut plan = plan();
        let one = plan.clusters[0].clone();
        plan.clusters = (0..200)
            .map(|n| {
                let mut planned = one.clone();
                planned.record.cluster_id = ClusterId::parse(&format!("c{n:03}")).unwrap();
                planned
            })
            .collect();
        let findings = (0..40).map(|n| format!("{n}\n{}", "é".repeat(5_000))).collect();
        let told = Notification::gate_failed(&plan, &"why ".repeat(1_000), findings);
        assert!(fact(&told, "clusters").ends_with("c009 and 190 more"));
        assert_eq!(told.findings.len(), FINDINGS_SHOWN + 1);
        assert!(told.findings[0].starts_with("0 é") && told.findings[0].ends_with("..."));
        assert_eq!(told.findings[10], "and 30 more in the run record");
        assert!(told.sentence.chars().count() <= LONGEST_SENTENCE + 3);
    }
}
