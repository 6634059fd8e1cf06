//! One look at a run: its executions, its record, and how its clusters stand.

use std::collections::{BTreeMap, BTreeSet};

use guard_aws::Execution;
use guard_domain::soak::SoakOutcome;
use guard_domain::{BatchId, ClusterId, Phase, Progress, RunId};
use guard_tasks::judge_soak::LookEntry;
use guard_tasks::ledger::{MergeRequestEntry, OutcomeEntry, QuestionEntry, SoakEntry};
use guard_tasks::{ErrorName, RunRecords as _, TaskError};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::trail::{Line, Trails};
use crate::deployment::{Deployment, Machine, batch_of, machine_of};
use crate::failure::Failure;

/// Follows one run.
pub(crate) struct Watch<'a> {
    deployment: &'a Deployment,
    arn: String,
    machine: Machine,
    trails: Trails,
    heard: BTreeSet<String>,
}

/// What one look saw.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) root: Execution,
    pub(crate) machine: Machine,
    pub(crate) batch: Option<BatchId>,
    /// What happened since the last look.
    pub(crate) lines: Vec<Line>,
    /// The machine that works on the batch, its state, and since when.
    pub(crate) state: Option<(Machine, String, Timestamp)>,
    /// How far each cluster is.
    pub(crate) clusters: BTreeMap<ClusterId, ClusterStand>,
    pub(crate) soak: Option<SoakEntry>,
    pub(crate) waits_for: Option<WaitsFor>,
    pub(crate) outcome: Option<OutcomeEntry>,
}

/// Where one cluster stands in the run.
#[derive(Debug, Clone)]
pub(crate) struct ClusterStand {
    pub(crate) phase: Phase,
    /// The state of its own execution, while it converges.
    pub(crate) state: Option<String>,
    /// The judge's last word on its soak.
    pub(crate) soak: Option<(SoakOutcome, Vec<String>)>,
}

/// What a person has to do for the run to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// Merge or close this request.
    Merge(String),
    /// Answer this question.
    Answer(Vec<String>),
}

impl<'a> Watch<'a> {
    pub(crate) async fn new(deployment: &'a Deployment, arn: &str) -> Result<Self, Failure> {
        let machine = machine_of(arn).ok_or_else(|| {
            Failure::usage(format!("`{arn}` is not the ARN of an execution of GUARD"))
                .next("look at what runs and ran: guard status")
        })?;
        let trails = Trails::of(deployment, arn, machine).await?;
        Ok(Self { deployment, arn: arn.to_owned(), machine, trails, heard: BTreeSet::new() })
    }

    /// Every execution of the run that may still be under way, the children first, as far as the last look saw.
    pub(crate) fn alive(&self) -> Vec<String> {
        self.trails.alive().map(|trail| trail.arn.clone()).collect()
    }

    /// Looks once.
    pub(crate) async fn look(&mut self) -> Result<Look, TaskError> {
        let deployment = self.deployment;
        let root = deployment.ask(|| deployment.machines.execution(&self.arn)).await?;
        let root = root.ok_or_else(|| TaskError::rejected(format!("there is no execution {}", self.arn)))?;
        let mut lines = self.trails.read_on(deployment).await?;
        let state = self
            .trails
            .leading()
            .and_then(|trail| trail.state.clone().map(|(state, since)| (trail.machine, state, since)));
        let mut look = Look {
            machine: self.machine,
            batch: batch_of(&root),
            root,
            lines: Vec::new(),
            state,
            clusters: BTreeMap::new(),
            soak: None,
            waits_for: None,
            outcome: None,
        };
        let keeper = self.trails.keeper().and_then(|trail| RunId::parse(trail.name()).ok());
        if let Some(run_id) = keeper {
            lines.extend(self.audit(&run_id).await?);
            self.record(&run_id, &mut look).await?;
        }
        lines.sort_by_key(|line| line.at);
        look.lines = lines;
        Ok(look)
    }

    /// Lines of the audit log that are new. Its lines are only added, but their times may be out of order by the skew of
    /// two functions' clocks: what was heard is remembered, not dated.
    async fn audit(&mut self, run_id: &RunId) -> Result<Vec<Line>, TaskError> {
        let stores = &self.deployment.stores;
        let log = self.deployment.ask(|| stores.audit_log(run_id)).await?;
        let mut lines = Vec::new();
        for entry in log {
            let key = format!("{run_id} {} {}", entry.who, entry.what);
            if self.heard.insert(key) {
                lines.push(Line { at: entry.at, who: entry.who, text: entry.what });
            }
        }
        Ok(lines)
    }

    async fn record(&self, run_id: &RunId, look: &mut Look) -> Result<(), TaskError> {
        let record = Record { deployment: self.deployment, run_id };
        let progress: Progress = record.entry("progress").await?.unwrap_or_default();
        look.outcome = record.entry("outcome").await?;
        for (id, phase) in progress.0 {
            look.clusters.insert(id, ClusterStand { phase, state: None, soak: None });
        }
        for trail in self.trails.clusters() {
            let stand =
                look.clusters.iter_mut().find(|(id, _)| Some(id.as_str()) == trail.cluster.as_deref());
            if let Some((_, stand)) = stand {
                stand.state = trail.state.as_ref().map(|(state, _)| state.clone());
            }
        }
        look.soak = record.entry("soak").await?;
        if look.soak.is_some() {
            for (id, entry) in record.entries::<LookEntry>("soak#").await? {
                let stand = look.clusters.iter_mut().find(|(known, _)| known.as_str() == id);
                if let Some((_, stand)) = stand {
                    stand.soak = Some((entry.verdict.outcome, entry.verdict.reasons));
                }
            }
        }
        let state = look.state.as_ref().map(|(_, state, _)| state.as_str());
        look.waits_for = match state {
            Some("AwaitUpgradeMerge") => record.merge_requests("upgrade").await?.map(WaitsFor::Merge),
            Some("AwaitRollbackMerge") => record.merge_requests("rollback-").await?.map(WaitsFor::Merge),
            Some("AwaitDecision") => {
                record.entry::<QuestionEntry>("question").await?.map(|asked| WaitsFor::Answer(asked.reasons))
            }
            _ => None,
        };
        Ok(())
    }
}

/// The entries of one run.
pub(crate) struct Record<'a> {
    pub(crate) deployment: &'a Deployment,
    pub(crate) run_id: &'a RunId,
}

impl Record<'_> {
    pub(crate) async fn entry<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, TaskError> {
        let stores = &self.deployment.stores;
        let value = self.deployment.ask(|| stores.entry(self.run_id, name)).await?;
        value.map(|value| self.decode(name, value)).transpose()
    }

    /// Entries below a prefix, by the rest of their names.
    async fn entries<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<(String, T)>, TaskError> {
        let stores = &self.deployment.stores;
        let found = self.deployment.ask(|| stores.entries(self.run_id, prefix)).await?;
        let rest = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
        found.into_iter().map(|(name, value)| Ok((rest(&name), self.decode(&name, value)?))).collect()
    }

    /// The pages of the newest requests of a kind: `merge-request#upgrade#001`, `merge-request#rollback-2#001`, ...
    async fn merge_requests(&self, kind: &str) -> Result<Option<String>, TaskError> {
        let found = self.entries::<MergeRequestEntry>(&format!("merge-request#{kind}")).await?;
        let change = |name: &str| name.split('#').next().unwrap_or_default().to_owned();
        let newest = found.iter().map(|(name, _)| change(name)).max();
        let pages: Vec<String> = found
            .into_iter()
            .filter(|(name, entry)| Some(change(name)) == newest && entry.landed.is_none())
            .filter_map(|(_, entry)| Some(entry.opened?.web_url))
            .collect();
        Ok((!pages.is_empty()).then(|| pages.join(", ")))
    }

    fn decode<T: DeserializeOwned>(&self, name: &str, value: serde_json::Value) -> Result<T, TaskError> {
        serde_json::from_value(value).map_err(|wrong| {
            let message = format!(
                "{name} of run {} does not decode, this guard may be older than the functions: {wrong}",
                self.run_id
            );
            TaskError::new(ErrorName::Internal, message)
        })
    }
}
