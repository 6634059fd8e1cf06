//! `judge-soak`: is each cluster as well with the new version as it was before?
//!
//! One look at all clusters that soak, in few Datadog calls. Reads; writes the verdicts and moves failed clusters to
//! `rollback-required`. Safe to run twice: a second look judges again what still soaks. Silence is never a pass: without
//! data the judge waits, and after the grace period it halts the run. What is too close to call, or hidden by something
//! from outside, gets more time; when that is used up, a person is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use guard_domain::look::{Look, SoakTime, Then, look};
use guard_domain::soak::{self, EARLY_DAYS, HISTORY_DAYS, MetricHistory, Moment, Soaked, next_point};
use guard_domain::{ClusterId, ClusterRecord, Phase, Plan};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decide::{Decision, Output, next_step};
use crate::ledger::{Ledger, QuestionEntry, RunRef, SoakEntry};
use crate::task::Task;
use crate::{Context, HistoryAsked, HistoryReader, TaskError};

/// So long after its end a point of Datadog may still grow: agents report every quarter of a minute, and are late.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// The task.
pub struct JudgeSoak {
    /// Metrics of before and after.
    pub metrics: Arc<dyn HistoryReader>,
    /// Registry and run record.
    pub ledger: Ledger,
}

/// Payload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The run.
    pub run: RunRef,
}

/// What the run record keeps of the last look at one cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LookEntry {
    /// When.
    pub at: jiff::Timestamp,
    /// The verdict and its reasons.
    pub verdict: soak::SoakVerdict,
}

impl Task for JudgeSoak {
    const NAME: &'static str = "judge-soak";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        let run = input.run;
        let plan = self.ledger.plan(&run).await?;
        let mut progress = self.ledger.progress(&run).await?;
        let soak: SoakEntry = self
            .ledger
            .read(&run.run_id, "soak")
            .await?
            .ok_or_else(|| TaskError::internal(format!("run {} has not begun to soak", run.run_id)))?;
        let rows: Vec<ClusterRecord> = progress
            .in_phase(Phase::Converged)
            .iter()
            .filter_map(|id| Some(plan.cluster(id)?.record.clone()))
            .collect();
        let controls = self.controls(&plan).await?;
        let now = self.ledger.clock.now();
        let (seen, moment) = self.seen(&rows, &controls, &soak, now).await?;
        let (own, beside) = (of_rows(&rows, &seen), of_rows(&controls, &seen));
        let verdicts = soak::judge(&own, &beside, moment, &plan.config.validation);
        let mut outcomes = Vec::new();
        let mut reasons = BTreeMap::new();
        for (row, verdict) in rows.iter().zip(verdicts) {
            let id = &row.cluster_id;
            outcomes.push((id.clone(), verdict.outcome));
            reasons.insert(id.clone(), verdict.reasons.join("; "));
            self.ledger.write(&run, &format!("soak#{id}"), &LookEntry { at: now, verdict }).await?;
        }
        let policy = &plan.config.policy;
        let grace = SignedDuration::from_mins(policy.soak_data_grace_minutes.into());
        let time = SoakTime {
            is_over: moment.is_over,
            // Not before its last points were read, however short the grace is.
            gives_up: moment.is_over && now >= soak.until + grace,
            extensions_left: policy.soak_extensions_max.saturating_sub(soak.extensions),
        };
        let Look { verdicts, then } = look(&outcomes, time);
        let because = |id: &ClusterId| reasons.get(id).map_or("", String::as_str);
        for (id, verdict) in &verdicts {
            let words = format!("{id}: soak {verdict}: {}", because(id));
            self.ledger.audit(&run, Self::NAME, words).await?;
        }
        progress.apply(&verdicts, Phase::Converged, Phase::Soaked);

        let lines = |ids: &[ClusterId]| -> Vec<String> {
            ids.iter().map(|id| format!("{id}: {}", clipped(because(id)))).collect()
        };
        let mut output = next_step(&self.ledger, &run, &plan, progress).await?;
        // A definite no goes first; what is open comes again after it.
        if output.decision != Decision::Soak {
            return Ok(output);
        }
        let soak = match then {
            Then::GoOn => soak,
            Then::Extend(ids) => {
                self.more_time(&run, &plan, soak, now, "extended, too close to call", &lines(&ids)).await?
            }
            Then::StartOver(ids) => {
                let fresh = SoakEntry { from: next_point(now), until: next_point(now), ..soak };
                self.more_time(&run, &plan, fresh, now, "held, an outside cause", &lines(&ids)).await?
            }
            Then::Ask(clusters) => {
                let question = QuestionEntry { reasons: lines(&clusters), clusters };
                self.ledger.write(&run, "question", &question).await?;
                output.decision = Decision::Ask;
                output.summary = format!("a person must decide: {}", first_few(&question.reasons));
                return Ok(output);
            }
        };
        let left = u64::try_from(soak.until.duration_since(now).as_mins()).unwrap_or(0);
        output.summary = format!("{}; {left} minutes left", output.summary);
        output.soak_minutes_left = Some(left);
        Ok(output)
    }
}

/// Characters of a cluster's reasons in a question: of 200 clusters they must fit one entry of the run record, which has 400
/// KB at most. Each cluster's own entry has them whole.
const REASONS_CHARACTERS: usize = 500;

fn clipped(reasons: &str) -> String {
    match reasons.char_indices().nth(REASONS_CHARACTERS) {
        Some((end, _)) => format!("{} ...", reasons.get(..end).unwrap_or(reasons)),
        None => reasons.to_owned(),
    }
}

/// What fits a sentence; every cluster's own reasons are in the run record.
pub(crate) fn first_few(lines: &[String]) -> String {
    const FEW: usize = 3;
    let more = lines.len().saturating_sub(FEW);
    let shown = lines.iter().take(FEW).map(String::as_str).collect::<Vec<_>>().join("; ");
    if more == 0 { shown } else { format!("{shown}; and {more} more") }
}

/// Rows with their metrics.
fn of_rows<'a>(rows: &'a [ClusterRecord], seen: &'a BTreeMap<ClusterId, MetricHistory>) -> Vec<Soaked<'a>> {
    let of =
        |row: &'a ClusterRecord| Soaked { environment: &row.environment, history: seen.get(&row.cluster_id) };
    rows.iter().map(of).collect()
}

impl JudgeSoak {
    /// The plan's controls that still are some: at the version they had, and worked on by nobody.
    async fn controls(&self, plan: &Plan) -> Result<Vec<ClusterRecord>, TaskError> {
        let mut still = Vec::new();
        for planned in &plan.controls {
            let row = self.ledger.clusters.cluster(&planned.cluster_id).await.context("read the controls")?;
            still.extend(row.filter(|row| {
                row.current_istio_version == planned.current_istio_version && !row.status.needs_an_owner()
            }));
        }
        Ok(still)
    }

    /// The metrics of all clusters of one look, in few calls, and what of them is compared.
    async fn seen(
        &self,
        rows: &[ClusterRecord],
        controls: &[ClusterRecord],
        soak: &SoakEntry,
        now: Timestamp,
    ) -> Result<(BTreeMap<ClusterId, MetricHistory>, Moment), TaskError> {
        let moment = Moment {
            changed_at: soak.changed_at,
            from: soak.from,
            // What is judged never grows beyond the soak: later minutes would dilute an early regression.
            until: (now - LATE).min(soak.until),
            is_over: now - LATE >= soak.until,
        };
        // In between only what cannot wait is looked for: that needs the critical metrics, and no seasons.
        let (asked, days) = if moment.is_over {
            (HistoryAsked::All, HISTORY_DAYS)
        } else {
            (HistoryAsked::Critical, EARLY_DAYS)
        };
        let from = moment.changed_at - SignedDuration::from_hours(24 * days);
        let all = [rows, controls].concat();
        let seen = self.metrics.history(&all, asked, from, moment.until).await;
        let seen = seen.context("read the soak's metrics")?;
        Ok((seen, moment))
    }

    /// The soak goes on for a while longer. A second call finds it extended: it is not over any more.
    async fn more_time(
        &self,
        run: &RunRef,
        plan: &Plan,
        soak: SoakEntry,
        now: Timestamp,
        why: &str,
        lines: &[String],
    ) -> Result<SoakEntry, TaskError> {
        let minutes = plan.config.policy.soak_extension_minutes;
        // From a look to the next: the judge's are of whole hours.
        let until = soak.until.max(next_point(now - LATE)) + SignedDuration::from_mins(minutes.into());
        let soak = SoakEntry { until, extensions: soak.extensions + 1, ..soak };
        self.ledger.write(run, "soak", &soak).await?;
        let words = format!("soak {why} (+{minutes} minutes, {}): {}", soak.extensions, first_few(lines));
        self.ledger.audit(run, Self::NAME, words).await?;
        Ok(soak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_in_a_question_are_cut_between_letters() {
        assert_eq!(clipped("p95 +12 %"), "p95 +12 %");
        let long = "\u{e4}".repeat(5_000);
        let cut = clipped(&long);
        assert_eq!(cut.chars().count(), REASONS_CHARACTERS + 4);
        assert!(cut.ends_with(" ...") && cut.len() * guard_domain::MAX_CLUSTERS < 300_000);
    }
}
