//! The analyzer's part of both checks: asked before the change and after it, remembered in between.

use guard_domain::analyzer::{self, Analysis, Message, Seen, Silence};
use guard_domain::{Direction, Finding, IstioVersion, PlannedCluster, PolicyConfig, Severity};

use crate::ledger::{Ledger, RunRef};
use crate::pre_check::PreCheckEntry;
use crate::{ConfigurationAnalyzer, Context as _, TaskError};

/// One cluster of a run, and the analyzer to ask about it.
pub(crate) struct Analyst<'a> {
    pub(crate) analyzer: &'a dyn ConfigurationAnalyzer,
    pub(crate) planned: &'a PlannedCluster,
    pub(crate) policy: &'a PolicyConfig,
}

impl Analyst<'_> {
    /// May the cluster be upgraded, as far as the analyzer knows, and what is there to remember?
    pub(crate) async fn before(&self) -> Result<(Vec<Finding>, Option<Seen>), TaskError> {
        let (cluster, policy) = (&self.planned.record.cluster_id, self.policy.analyzer_unknown);
        let version = match self.version().await {
            Ok(version) => version,
            Err(silence) => return Ok((vec![silence.finding(cluster, policy)], None)),
        };
        Ok(match self.ask().await? {
            Err(silence) => (vec![silence.finding(cluster, policy)], None),
            Ok((messages, gap)) => {
                let mut found = analyzer::findings(cluster, &messages, &self.policy.analyzer_accepted);
                found.extend(gap.iter().map(|gap| gap.finding(cluster, policy)));
                // What was not said the first time would look new the second time.
                let seen = gap.is_none().then(|| Seen::of(&version, &messages));
                (found, seen)
            }
        })
    }

    /// What does it say that it did not say before the change?
    pub(crate) async fn after(
        &self,
        ledger: &Ledger,
        run: &RunRef,
        direction: Direction,
    ) -> Result<Vec<Finding>, TaskError> {
        let found = self.difference(ledger, run).await?;
        let cluster = &self.planned.record.cluster_id;
        let found =
            found.unwrap_or_else(|silence| vec![silence.finding(cluster, self.policy.analyzer_unknown)]);
        Ok(match direction {
            Direction::Upgrade => found,
            // A way back is over when the old version runs. An error that is still there then is not of the new one,
            // and a way back that began by hand has nothing to compare with: told, and no reason to call for a person.
            Direction::Rollback => {
                found.into_iter().map(|finding| Finding { severity: Severity::Warning, ..finding }).collect()
            }
        })
    }

    async fn difference(
        &self,
        ledger: &Ledger,
        run: &RunRef,
    ) -> Result<Result<Vec<Finding>, Silence>, TaskError> {
        let cluster = &self.planned.record.cluster_id;
        let version = match self.version().await {
            Ok(version) => version,
            Err(silence) => return Ok(Err(silence)),
        };
        let entry = ledger.read::<PreCheckEntry>(&run.run_id, &format!("pre-check#{cluster}")).await?;
        let Some(seen) = entry.and_then(|entry| entry.analysis) else {
            return Ok(Err(Silence::of_run("this run has no answer from before the change to compare with")));
        };
        Ok(match self.ask().await? {
            Err(silence) => Err(silence),
            // What was not seen cannot be said to be as before.
            Ok((_, Some(gap))) => Err(gap),
            Ok((messages, None)) => {
                analyzer::since(&seen, cluster, &version, &messages, &self.policy.analyzer_accepted)
            }
        })
    }

    /// The target's analyzer, on the way up and on the way back: answers of two versions do not compare.
    async fn version(&self) -> Result<IstioVersion, Silence> {
        analyzer::fit(&self.analyzer.at_hand().await, self.planned.to(Direction::Upgrade))
    }

    async fn ask(&self) -> Result<Result<(Vec<Message>, Option<Silence>), Silence>, TaskError> {
        let row = &self.planned.record;
        let analysis = self.analyzer.analyze(row).await.context(format!("analyze {}", row.cluster_id))?;
        Ok(match analysis {
            Analysis::Nothing(why) => Err(Silence::of_run(why)),
            Analysis::Said { messages, gap } => Ok((messages, gap.map(Silence::of_run))),
        })
    }
}
