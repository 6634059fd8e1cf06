//! `decide`: what does the run do after this gate?
//!
//! Takes in the verdicts of a Map, moves statuses and progress, and answers with a word that a Choice state routes.
//! Safe to run twice: only clusters that waited for this gate move, and a status that is there already is left alone.

mod next_step;

use std::collections::BTreeSet;

use guard_domain::notification::NotificationKind;
use guard_domain::{ClusterId, ClusterStatus, Direction, Phase, Plan, Verdict, cause_in_words, quarantine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::next_step::next_step;
use crate::ledger::{DecisionAnswer, DecisionEnd, Ledger, QuestionEntry, RunRef, Ticket, unmerged};
use crate::notices::Notices;
use crate::plan_batch::tickets;
use crate::pre_check::PreCheckEntry;
use crate::task::Task;
use crate::{Channels, TaskError, VersionChange};

/// The task.
pub struct Decide {
    /// People: who was asked need not come any more.
    pub notifier: Channels,
    /// Registry and run record.
    pub ledger: Ledger,
}

/// Which gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// After the pre-checks.
    PreCheck,
    /// After the change was followed to every cluster.
    Converge,
    /// After the post-checks.
    PostCheck,
    /// After a person was asked about the soak.
    Decision,
    /// After a nested rollback.
    Rollback,
    /// At the start of a run that goes on with another one.
    Resume,
    /// Inside a rollback, after the old version was followed.
    ConvergeBack,
    /// Inside a rollback, after the old version was verified.
    VerifyBack,
}

/// One verdict of the Map before.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateResult {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why, in a few words, where the gate tells; the caught cause, where there was no answer.
    #[serde(default)]
    pub reason: String,
}

/// Payload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The run.
    pub run: RunRef,
    /// Which gate.
    pub gate: Gate,
    /// The verdicts; empty where the progress says it all.
    pub results: Vec<GateResult>,
    /// The person's answer, for the gate `decision`.
    pub answer: Option<DecisionAnswer>,
}

/// The word a Choice state routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Pre-check: open the merge request.
    Proceed,
    /// Pre-check of a dry run: show what would change.
    Preview,
    /// Pre-check: a definite no.
    Fail,
    /// Follow the clusters to the new version.
    Converge,
    /// Let it soak, then look.
    Soak,
    /// Too close to call, with all its time used up: ask a person.
    Ask,
    /// Check the state after the upgrade.
    PostCheck,
    /// Take the failed clusters back.
    Rollback,
    /// Inside a rollback: verify the old version.
    Verify,
    /// Settle as healthy.
    Healthy,
    /// Settle as rolled back.
    RolledBack,
    /// The way back did not work: a person must come.
    RollbackFailed,
    /// No answer: stop and tell a person.
    Halt,
}

/// Answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// The word.
    pub decision: Decision,
    /// Why, for people.
    pub summary: String,
    /// The clusters of the next step.
    pub clusters: Vec<Ticket>,
    /// Name of the rollback's execution, when it comes next; otherwise empty.
    pub rollback_name: String,
    /// Minutes until the soak is over, while it goes on.
    pub soak_minutes_left: Option<u64>,
}

impl Task for Decide {
    const NAME: &'static str = "decide";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let Input { run, gate, results, answer } = input;
        let plan = self.ledger.plan(&run).await?;
        let output = match gate {
            Gate::PreCheck => self.pre_check(&run, &plan, &results).await?,
            Gate::Converge => self.up(&run, &plan, &results, Phase::Planned, Phase::Converged).await?,
            Gate::PostCheck => self.up(&run, &plan, &results, Phase::Soaked, Phase::Checked).await?,
            Gate::Decision => self.decided(&run, &plan, answer).await?,
            Gate::Rollback => self.after_rollback(&run, &plan).await?,
            Gate::Resume => {
                let progress = self.ledger.progress(&run).await?;
                next_step(&self.ledger, &run, &plan, progress).await?
            }
            Gate::ConvergeBack => self.converge_back(&run, &plan, &results).await?,
            Gate::VerifyBack => self.verify_back(&run, &plan, &results).await?,
        };
        self.ledger.audit(&run, Self::NAME, output.summary.clone()).await?;
        let notices = Notices::new(&self.notifier, &self.ledger, &run, Self::NAME);
        match gate {
            Gate::Decision => notices.over(&[NotificationKind::WaitingForPerson]).await,
            // The rollback was merged.
            Gate::ConvergeBack => {
                notices.over(&[NotificationKind::WaitingForMerge, NotificationKind::RollbackUnmerged]).await;
            }
            Gate::PreCheck
            | Gate::Converge
            | Gate::PostCheck
            | Gate::Rollback
            | Gate::Resume
            | Gate::VerifyBack => {}
        }
        Ok(output)
    }
}

/// A cluster without a verdict has no answer.
fn verdicts(waiting: &[ClusterId], results: &[GateResult]) -> Vec<(ClusterId, Verdict)> {
    waiting
        .iter()
        .map(|id| {
            let own = results.iter().filter(|result| result.cluster_id == *id).map(|result| result.verdict);
            // Two verdicts for one cluster would be a bug in a machine; the worse one counts.
            let verdict = own.max_by_key(|verdict| match verdict {
                Verdict::Pass => 0,
                Verdict::Unknown => 1,
                Verdict::Fail => 2,
            });
            (id.clone(), verdict.unwrap_or(Verdict::Unknown))
        })
        .collect()
}

fn named(verdicts: &[(ClusterId, Verdict)], which: Verdict) -> Vec<&str> {
    verdicts.iter().filter(|(_, verdict)| *verdict == which).map(|(id, _)| id.as_str()).collect()
}

/// Why the first of these clusters did not pass. A dry run keeps no record, so this may be all that is ever told.
fn reasons(ids: &[&str], results: &[GateResult]) -> String {
    const TOLD: usize = 5;
    let of = |id: &&str| results.iter().find(|result| result.cluster_id.as_str() == *id);
    let told: Vec<String> = ids
        .iter()
        .filter_map(of)
        .map(|result| cause_in_words(&result.reason))
        .filter(|reason| !reason.is_empty())
        .collect();
    match told.len() {
        0 => String::new(),
        1..=TOLD => format!(": {}", told.join("; ")),
        more => format!(": {}; and {} more", told[..TOLD].join("; "), more - TOLD),
    }
}

/// What the pre-checks say together.
fn pre_check(run: &RunRef, plan: &Plan, results: &[GateResult], left_out: &[ClusterId]) -> Output {
    let taken = plan.clusters.iter().map(|planned| planned.record.cluster_id.clone());
    let ids: Vec<ClusterId> = taken.filter(|id| !left_out.contains(id)).collect();
    let verdicts = verdicts(&ids, results);
    let (failed, unknown) = (named(&verdicts, Verdict::Fail), named(&verdicts, Verdict::Unknown));
    let (decision, summary) = if !failed.is_empty() {
        let why = reasons(&failed, results);
        (Decision::Fail, format!("pre-check failed for {}; nothing was changed{why}", failed.join(", ")))
    } else if !left_out.is_empty() && unknown.is_empty() {
        let names: Vec<&str> = left_out.iter().map(ClusterId::as_str).collect();
        let why = reasons(&names, results);
        let found =
            format!("pre-check passed for {} clusters; left out: {}{why}", ids.len(), names.join(", "));
        (Decision::Proceed, found)
    } else if !unknown.is_empty() {
        let why = reasons(&unknown, results);
        let found = format!("pre-check found no answer for {}; nothing was changed{why}", unknown.join(", "));
        (Decision::Halt, found)
    } else if run.dry_run {
        (Decision::Preview, format!("pre-check passed for all {} clusters", ids.len()))
    } else {
        (Decision::Proceed, format!("pre-check passed for all {} clusters", ids.len()))
    };
    let clusters = tickets(&plan.run_id, ids.into_iter(), Direction::Upgrade, 1);
    Output { decision, summary, clusters, rollback_name: String::new(), soak_minutes_left: None }
}

impl Decide {
    /// The gate before anything is changed. Few clusters may be left out, if policy says so.
    async fn pre_check(
        &self,
        run: &RunRef,
        plan: &Plan,
        results: &[GateResult],
    ) -> Result<Output, TaskError> {
        let output = pre_check(run, plan, results, &[]);
        let budget = plan.config.policy.pre_check_failure_budget;
        if output.decision != Decision::Fail || budget == 0 {
            return Ok(output);
        }
        // A dry run keeps no record of the causes, and shows the change of the whole batch.
        if run.dry_run {
            let words = format!("a real run may leave out up to {budget}, if their causes differ");
            return Ok(Output { summary: format!("{}; {words}", output.summary), ..output });
        }
        let no = |result: &&GateResult| result.verdict == Verdict::Fail;
        let ids: BTreeSet<&ClusterId> = results.iter().filter(no).map(|result| &result.cluster_id).collect();
        let mut failed = Vec::new();
        for id in ids {
            let entry: Option<PreCheckEntry> =
                self.ledger.read(&run.run_id, &format!("pre-check#{id}")).await?;
            failed.push((id.clone(), entry.map(|entry| entry.findings).unwrap_or_default()));
        }
        let others = plan.clusters.len().saturating_sub(failed.len());
        if let Some(why) = quarantine::refusal(&failed, others, budget) {
            return Ok(Output { summary: format!("{}; not left out: {why}", output.summary), ..output });
        }
        let left_out: Vec<ClusterId> = failed.into_iter().map(|(id, _)| id).collect();
        let output = pre_check(run, plan, results, &left_out);
        if output.decision == Decision::Proceed {
            let mut progress = self.ledger.progress(run).await?;
            progress.0.extend(left_out.into_iter().map(|id| (id, Phase::LeftOut)));
            self.ledger.write(run, "progress", &progress).await?;
        }
        Ok(output)
    }

    /// A gate on the way up: verdicts in, statuses of the failed ones moved, next step out.
    async fn up(
        &self,
        run: &RunRef,
        plan: &Plan,
        results: &[GateResult],
        waiting: Phase,
        passed: Phase,
    ) -> Result<Output, TaskError> {
        let mut progress = self.ledger.progress(run).await?;
        let verdicts = verdicts(&progress.in_phase(waiting), results);
        progress.apply(&verdicts, waiting, passed);
        next_step(&self.ledger, run, plan, progress).await
    }

    /// What a person said about the clusters that the judge could not tell.
    async fn decided(
        &self,
        run: &RunRef,
        plan: &Plan,
        answer: Option<DecisionAnswer>,
    ) -> Result<Output, TaskError> {
        let answer = answer.ok_or_else(|| TaskError::rejected("payload.answer: missing for this gate"))?;
        let question: QuestionEntry = self
            .ledger
            .read(&run.run_id, "question")
            .await?
            .ok_or_else(|| TaskError::internal(format!("run {} has asked nothing", run.run_id)))?;
        let (verdict, words) = match answer.answer {
            DecisionEnd::Approve => (Verdict::Pass, format!("approved by {}: {}", answer.who, answer.reason)),
            DecisionEnd::Reject => (Verdict::Fail, format!("rejected by {}: {}", answer.who, answer.reason)),
            DecisionEnd::Expired => (Verdict::Unknown, "nobody answered in time".to_owned()),
        };
        let names = question.clusters.iter().map(ClusterId::as_str).collect::<Vec<_>>().join(", ");
        self.ledger.audit(run, Self::NAME, format!("{names}: {words}")).await?;
        let verdicts: Vec<_> = question.clusters.into_iter().map(|id| (id, verdict)).collect();
        let mut progress = self.ledger.progress(run).await?;
        progress.apply(&verdicts, Phase::Converged, Phase::Soaked);
        next_step(&self.ledger, run, plan, progress).await
    }

    /// The nested machine wrote the progress of every cluster it brought back; what is still failed did not come back.
    async fn after_rollback(&self, run: &RunRef, plan: &Plan) -> Result<Output, TaskError> {
        let progress = self.ledger.progress(run).await?;
        let stuck = progress.in_phase(Phase::Failed);
        if stuck.is_empty() {
            return next_step(&self.ledger, run, plan, progress).await;
        }
        let mut output = rollback_failed(&stuck);
        // What the nested machine had to say stays in its own execution; why nothing was merged is in the record.
        let change = self.ledger.change_name(run, Direction::Rollback).await?;
        let why: Option<String> = self.ledger.read(&run.run_id, &unmerged(&change)).await?;
        if let Some(why) = why {
            output.summary = format!("{}: {why}", output.summary);
        }
        Ok(output)
    }

    async fn converge_back(
        &self,
        run: &RunRef,
        plan: &Plan,
        results: &[GateResult],
    ) -> Result<Output, TaskError> {
        let rollback = self.ledger.rollback(run).await?;
        let verdicts = verdicts(&rollback.clusters, results);
        let stuck: Vec<ClusterId> =
            verdicts.into_iter().filter(|(_, v)| *v != Verdict::Pass).map(|(id, _)| id).collect();
        if !stuck.is_empty() {
            return Ok(rollback_failed(&stuck));
        }
        let summary = format!("{} clusters are back at the old version", rollback.clusters.len());
        let clusters =
            tickets(&plan.run_id, rollback.clusters.into_iter(), Direction::Rollback, rollback.attempt);
        Ok(Output {
            decision: Decision::Verify,
            summary,
            clusters,
            rollback_name: String::new(),
            soak_minutes_left: None,
        })
    }

    async fn verify_back(
        &self,
        run: &RunRef,
        plan: &Plan,
        results: &[GateResult],
    ) -> Result<Output, TaskError> {
        let rollback = self.ledger.rollback(run).await?;
        let verdicts = verdicts(&rollback.clusters, results);
        let mut progress = self.ledger.progress(run).await?;
        for (id, _) in verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Pass) {
            let old = plan.cluster(id).map(|planned| VersionChange::WentBack(planned.old.clone()));
            self.ledger.advance(run, id, ClusterStatus::FailedUpgradeRolledBack, old, None).await?;
            progress.0.insert(id.clone(), Phase::RolledBack);
        }
        self.ledger.write(run, "progress", &progress).await?;
        let stuck: Vec<ClusterId> =
            verdicts.into_iter().filter(|(_, v)| *v != Verdict::Pass).map(|(id, _)| id).collect();
        if !stuck.is_empty() {
            return Ok(rollback_failed(&stuck));
        }
        let summary = format!("{} clusters verified at the old version", rollback.clusters.len());
        Ok(Output {
            decision: Decision::RolledBack,
            summary,
            clusters: Vec::new(),
            rollback_name: String::new(),
            soak_minutes_left: None,
        })
    }
}

fn rollback_failed(stuck: &[ClusterId]) -> Output {
    let names: Vec<&str> = stuck.iter().map(ClusterId::as_str).collect();
    let summary = format!("not back at the old version: {}; a person must come", names.join(", "));
    Output {
        decision: Decision::RollbackFailed,
        summary,
        clusters: Vec::new(),
        rollback_name: String::new(),
        soak_minutes_left: None,
    }
}
