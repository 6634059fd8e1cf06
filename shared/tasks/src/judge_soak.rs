//! `judge-soak`: is each cluster as well with the new version as it was before?
//!
//! One look at all clusters that soak, in few Datadog calls. Reads; writes the verdicts and moves failed clusters to
//! `rollback-required`. Safe to run twice: a second look judges again what still soaks. Silence is never a pass: without
//! data the judge waits, and after the grace period it halts the run.

use std::sync::Arc;

use guard_domain::{ClusterRecord, Phase, Verdict, soak};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decide::{Decision, Output, next_step};
use crate::ledger::{Ledger, RunRef, SoakEntry};
use crate::task::Task;
use crate::{Context, TaskError, TrafficReader};

/// The task.
pub struct JudgeSoak {
    /// Traffic.
    pub traffic: Arc<dyn TrafficReader>,
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
        let now = self.ledger.clock.now();
        let is_over = now >= soak.until;
        // What is judged never grows beyond the soak: later minutes would dilute an early regression.
        let to = now.min(soak.until);
        let day = SignedDuration::from_hours(24);
        let length = to.duration_since(soak.from);
        let after = self.traffic.traffic(&rows, soak.from, to).await.context("read traffic of the soak")?;
        let before = self
            .traffic
            .traffic(&rows, soak.changed_at - length, soak.changed_at)
            .await
            .context("read traffic before")?;
        let yesterday = self
            .traffic
            .traffic(&rows, soak.from - day, to - day)
            .await
            .context("read traffic of the day before")?;

        let minutes = u32::try_from(length.as_mins().max(0)).unwrap_or(u32::MAX);
        let gives_up =
            now >= soak.until + SignedDuration::from_mins(plan.config.policy.soak_data_grace_minutes.into());
        let mut verdicts = Vec::new();
        for row in &rows {
            let id = &row.cluster_id;
            let baselines: Vec<_> =
                [before.get(id), yesterday.get(id)].into_iter().flatten().cloned().collect();
            let verdict = soak::judge(&plan.config.validation.thresholds, &baselines, after.get(id), minutes);
            match verdict.outcome {
                soak::SoakOutcome::Fail => verdicts.push((id.clone(), Verdict::Fail)),
                soak::SoakOutcome::Pass if is_over => verdicts.push((id.clone(), Verdict::Pass)),
                soak::SoakOutcome::Insufficient if gives_up => verdicts.push((id.clone(), Verdict::Unknown)),
                soak::SoakOutcome::Pass | soak::SoakOutcome::Insufficient => {}
            }
            let decided = verdicts.iter().find(|(judged, _)| judged == id).map(|(_, verdict)| *verdict);
            if let Some(verdict_word) = decided {
                let words = format!("{id}: soak {verdict_word}: {}", verdict.reasons.join("; "));
                self.ledger.audit(&run, Self::NAME, words).await?;
            }
            self.ledger.write(&run, &format!("soak#{id}"), &LookEntry { at: now, verdict }).await?;
        }
        progress.apply(&verdicts, Phase::Converged, Phase::Soaked);
        let mut output = next_step(&self.ledger, &run, &plan, progress).await?;
        if output.decision == Decision::Soak {
            let left = soak.until.duration_since(now).as_mins().max(0);
            output.summary = format!("{}; {left} minutes left", output.summary);
        }
        Ok(output)
    }
}
