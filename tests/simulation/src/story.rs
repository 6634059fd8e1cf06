//! A scenario over a fleet, played to its end and compared with what it must come to.

use std::sync::Arc;

use guard_asl::{ApiError, Transition};
use serde_json::{Value, json};

use crate::expectation;
use crate::faults::{FaultHook, Occasion};
use crate::fleet::{Fleet, FleetError, FluxFile};
use crate::house::House;
use crate::machines::MachineError;
use crate::report::Report;
use crate::scenario::Scenario;

/// A scenario over a fleet.
pub struct Story {
    scenario: Scenario,
    fleet: Arc<Fleet>,
    house: House,
}

/// A story that cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// The fleet cannot be made.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// A state machine is broken.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The records cannot be read.
    #[error("{0}")]
    Records(#[from] guard_tasks::TaskError),
    /// The execution was refused.
    #[error(transparent)]
    Start(#[from] ApiError),
}

impl Story {
    /// Sets the stage.
    pub fn new(scenario: Scenario, fleet: Fleet) -> Result<Self, StoryError> {
        Self::with_faults(scenario, fleet, |_: &Occasion| None)
    }

    /// The same, in which things go wrong where the hook says so.
    pub fn with_faults(
        scenario: Scenario,
        mut fleet: Fleet,
        hook: impl FaultHook + 'static,
    ) -> Result<Self, StoryError> {
        scenario.set(&mut fleet)?;
        let house = House::with_faults(&fleet, hook)?;
        scenario.bend(&fleet, &house.world);
        let story = Self { scenario, fleet: Arc::new(fleet), house };
        story.observe(|_| {});
        Ok(story)
    }

    /// A fleet of one batch from options, and the stage for it.
    pub fn with_options(
        scenario: Scenario,
        clusters: usize,
        seed: u64,
        flux_file: Option<&FluxFile>,
        target: Option<guard_domain::IstioVersion>,
    ) -> Result<Self, StoryError> {
        Self::new(scenario, Fleet::new(clusters, seed, flux_file, target)?)
    }

    /// The fleet.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// World, stores and machines, for tests that look closer.
    pub fn house(&self) -> &House {
        &self.house
    }

    /// Tells `observer` of every state that is entered and left.
    pub fn observe(&self, observer: impl Fn(&Transition) + Send + Sync + 'static) {
        let (scenario, fleet) = (self.scenario, Arc::clone(&self.fleet));
        let (world, service) = (self.house.world.clone(), self.house.service.clone());
        self.house.observe(move |transition| {
            scenario.interfere(&fleet, &world, &service, transition);
            observer(transition);
        });
    }

    /// Runs it to its end and compares the end with what the scenario says.
    pub async fn play(&self) -> Result<Report, StoryError> {
        if self.fleet.batches.len() > 1 {
            return self.play_rollout().await;
        }
        let batch = &self.fleet.batches[0];
        let name = format!("{batch}-{}", self.fleet.target);
        let mut input =
            json!({"batch_id": batch, "target_version": self.fleet.target, "reason": "demonstration"});
        if self.scenario == Scenario::DryRun {
            input["dry_run"] = Value::Bool(true);
        }
        let first = self.house.start("batch-upgrade", &name, input.clone())?;
        let second = match self.scenario {
            Scenario::TwoStarts => {
                Some(self.house.start("batch-upgrade", &format!("{name}-again"), input)?)
            }
            _ => None,
        };
        self.house.run().await;
        let (told, other) = self.winner(first, second);
        let mut report = Report::read(&self.house, &self.fleet, self.scenario.name(), &told).await;
        report.surprises = expectation::surprises(self.scenario, &self.fleet, &report);
        if let Some(other) = other {
            report.surprises.extend(self.second_start(&told, &other));
        }
        Ok(report)
    }

    async fn play_rollout(&self) -> Result<Report, StoryError> {
        let input = json!({
            "target_version": self.fleet.target, "reason": "demonstration", "request_id": "2026-11-28T03:00:00Z"
        });
        let arn = self.house.run_one("rollout", &format!("fleet-{}", self.fleet.target), input).await?;
        let mut report = Report::read(&self.house, &self.fleet, self.scenario.name(), &arn).await;
        report.surprises = expectation::rollout_surprises(self.scenario, &self.fleet, &report);
        Ok(report)
    }

    /// Of two starts at the same moment either may be first; the one that was is told.
    fn winner(&self, first: String, second: Option<String>) -> (String, Option<String>) {
        match second {
            Some(second) if self.error(&first).is_some() => (second, Some(first)),
            second => (first, second),
        }
    }

    fn error(&self, arn: &str) -> Option<String> {
        self.house.service.describe_execution(arn)?.error
    }

    /// The other start must have been refused, naming the holder.
    fn second_start(&self, winner: &str, loser: &str) -> Option<String> {
        let ended = self.house.service.describe_execution(loser)?;
        let cause = ended.cause.unwrap_or_default();
        let is_named = ended.error.as_deref() == Some("GateFailed")
            && cause.contains("LOCK_HELD")
            && cause.contains(winner);
        (!is_named).then(|| format!("the second start: `{cause}`, expected a refusal that names {winner}"))
    }
}
