//! The scripted runs, each with the end it must come to.

use guard_asl::{ApiError, Transition};
use guard_domain::ClusterStatus;
use guard_world::Regression;
use serde_json::json;

use crate::fleet::{Fleet, FleetError, FluxFile};
use crate::house::House;
use crate::machines::MachineError;
use crate::report::Report;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Everything goes well.
    Clean,
    /// The new version makes some clusters' requests fail: they are taken back.
    Regression,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Clean, Self::Regression];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Regression => "regression",
        }
    }

    /// One sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Clean => "every cluster comes to the target version and stays as well as it was",
            Self::Regression => {
                "on some clusters the new version makes requests fail; they go back, the others stay"
            }
        }
    }
}

/// A scenario over a fleet.
pub struct Story {
    scenario: Scenario,
    fleet: Fleet,
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
    /// The execution was refused.
    #[error(transparent)]
    Start(#[from] ApiError),
}

impl Story {
    /// Sets the stage.
    pub fn new(scenario: Scenario, fleet: Fleet) -> Result<Self, StoryError> {
        let house = House::new(&fleet)?;
        if scenario == Scenario::Regression {
            for id in failing(&fleet) {
                let regression = Regression {
                    from_version: fleet.target.to_string(),
                    error_factor: 30.0,
                    latency_factor: 1.3,
                };
                house.world.regress(&id, regression);
            }
        }
        Ok(Self { scenario, fleet, house })
    }

    /// A fleet from options and the stage for it.
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
        self.house.observe(observer);
    }

    /// Runs it to its end and compares the end with what the scenario says.
    pub async fn play(&self) -> Result<Report, StoryError> {
        let name = format!("{}-{}", self.fleet.batch_id, self.fleet.target);
        let input = json!({"batch_id": self.fleet.batch_id, "target_version": self.fleet.target, "reason": "demonstration"});
        let arn = self.house.run_one("batch-upgrade", &name, input).await?;
        let mut report = Report::read(&self.house, &self.fleet, self.scenario.name(), &arn).await;
        report.surprises = self.surprises(&report);
        Ok(report)
    }

    /// Where the end is not as it must be, in words. Everything is read from the world and the registry.
    fn surprises(&self, report: &Report) -> Vec<String> {
        let (start, target) = (self.fleet.start.to_string(), self.fleet.target.to_string());
        let failing = if self.scenario == Scenario::Regression { failing(&self.fleet) } else { Vec::new() };
        let mut found = Vec::new();
        let mut expect = |what: String, is: String, wanted: String| {
            if is != wanted {
                found.push(format!("{what} is {is}, expected {wanted}"));
            }
        };
        for line in &report.clusters {
            let goes_back = failing.contains(&line.cluster_id);
            let (status, version, restarts) = if goes_back {
                (ClusterStatus::FailedUpgradeRolledBack, &start, 2)
            } else {
                (ClusterStatus::Healthy, &target, 1)
            };
            let id = &line.cluster_id;
            expect(format!("{id}: status"), line.status.to_string(), status.to_string());
            expect(format!("{id}: version in the registry"), line.registry_version.clone(), version.clone());
            expect(
                format!("{id}: istiod"),
                line.istiod_version.clone().unwrap_or_else(|| "mixed".into()),
                version.clone(),
            );
            let proxies: Vec<&str> = line.proxies.keys().map(String::as_str).collect();
            expect(format!("{id}: proxies"), proxies.join(" and "), version.clone());
            expect(format!("{id}: rolling restarts"), line.restarts.to_string(), restarts.to_string());
        }
        let (ending, requests) = if failing.is_empty() { ("SUCCEEDED", 1) } else { ("RolledBack", 2) };
        let ended = report.error.clone().unwrap_or_else(|| report.execution_status.clone());
        expect("the execution".into(), ended, ending.into());
        expect(
            "the number of merge requests".into(),
            report.merge_requests.len().to_string(),
            requests.to_string(),
        );
        for request in &report.merge_requests {
            expect(format!("merge request !{}", request.iid), request.state.clone(), "merged".into());
        }
        expect("the number of held locks".into(), report.held_locks.len().to_string(), "0".into());
        found
    }
}

/// The clusters that the new version hurts: every second one, and the only one.
fn failing(fleet: &Fleet) -> Vec<String> {
    let ids: Vec<String> = fleet.world.clusters.iter().map(|cluster| cluster.cluster_id.clone()).collect();
    if ids.len() == 1 { ids } else { ids.into_iter().skip(1).step_by(2).collect() }
}
