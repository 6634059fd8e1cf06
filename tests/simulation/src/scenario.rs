//! The scripted runs: what each is called, and what is bent for it.

use std::time::Duration;

use guard_asl::{StepFunctions, Transition, TransitionKind};
use guard_world::{Answer, Regression, System, World};
use jiff::{SignedDuration, Timestamp};

use crate::fleet::{Fleet, FleetError};
use crate::house::answer_later;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Everything goes well.
    Clean,
    /// The new version makes some clusters' requests fail: they are taken back.
    Regression,
    /// A monitor fires before the batch begins.
    PreCheckFails,
    /// A person closes the merge request.
    MrClosed,
    /// Nobody looks at the merge request.
    MrExpired,
    /// It is merged while GitLab is out of reach and GUARD gives up waiting.
    MergedWhileClosing,
    /// istiod of one cluster never becomes ready at the new version.
    RolloutStuck,
    /// Flux of one cluster is suspended while the merge request waits.
    FluxSuspended,
    /// A workload of one cluster never becomes ready after its restart.
    RestartStuck,
    /// Something outside makes every cluster's requests fail during the soak, upgraded or not.
    ExternalCause,
    /// The new version makes some clusters a little slower, too little to call.
    MarginalAsksAPerson,
    /// Datadog is out of reach from the soak on.
    DatadogDown,
    /// A regression, and nobody merges the way back.
    RollbackUnmerged,
    /// A regression, and the old version cannot be installed any more.
    RollbackFails,
    /// Only look.
    DryRun,
    /// The same batch is started twice at the same moment.
    TwoStarts,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Clean,
        Self::Regression,
        Self::PreCheckFails,
        Self::MrClosed,
        Self::MrExpired,
        Self::MergedWhileClosing,
        Self::RolloutStuck,
        Self::FluxSuspended,
        Self::RestartStuck,
        Self::ExternalCause,
        Self::MarginalAsksAPerson,
        Self::DatadogDown,
        Self::RollbackUnmerged,
        Self::RollbackFails,
        Self::DryRun,
        Self::TwoStarts,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Regression => "regression",
            Self::PreCheckFails => "pre-check-fails",
            Self::MrClosed => "mr-closed",
            Self::MrExpired => "mr-expired",
            Self::MergedWhileClosing => "merged-while-closing",
            Self::RolloutStuck => "rollout-stuck",
            Self::FluxSuspended => "flux-suspended",
            Self::RestartStuck => "restart-stuck",
            Self::ExternalCause => "external-cause",
            Self::MarginalAsksAPerson => "marginal-asks-a-person",
            Self::DatadogDown => "datadog-down",
            Self::RollbackUnmerged => "rollback-unmerged",
            Self::RollbackFails => "rollback-fails",
            Self::DryRun => "dry-run",
            Self::TwoStarts => "two-starts",
        }
    }

    /// One sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Clean => "every cluster comes to the target version and stays as well as it was",
            Self::Regression => {
                "on some clusters the new version makes requests fail; they go back, the others stay"
            }
            Self::PreCheckFails => "a monitor fires on one cluster; nothing is changed",
            Self::MrClosed => "a person closes the merge request; the clusters are given back",
            Self::MrExpired => "nobody looks at the merge request; it is withdrawn",
            Self::MergedWhileClosing => "it is merged while GUARD withdraws it; the run goes on",
            Self::RolloutStuck => {
                "istiod of one cluster never becomes ready; it goes back with its proxies untouched"
            }
            Self::FluxSuspended => {
                "Flux is suspended while the request waits; the run stops and a person must look"
            }
            Self::RestartStuck => "a restarted workload never becomes ready; its cluster goes back",
            Self::ExternalCause => {
                "clusters that were not upgraded suffer alike; the soak is held until that is over, then passes"
            }
            Self::MarginalAsksAPerson => {
                "some clusters are a little slower, too close to call; a person looks and approves"
            }
            Self::DatadogDown => "Datadog is silent during the soak; no verdict, no rollback, the run stops",
            Self::RollbackUnmerged => {
                "nobody merges the rollback; the clusters stay rollback-required and locked"
            }
            Self::RollbackFails => "the old version cannot be installed any more; a person must come",
            Self::DryRun => "the diff is shown and nothing is written anywhere",
            Self::TwoStarts => {
                "the same batch is started twice; the second start ends at once and names the first"
            }
        }
    }

    /// Whether the new version hurts.
    fn regresses(self) -> bool {
        matches!(self, Self::Regression | Self::RollbackUnmerged | Self::RollbackFails)
    }

    /// What must be so before the world begins.
    pub(crate) fn set(self, fleet: &mut Fleet) -> Result<(), FleetError> {
        let policy = &mut fleet.config.policy;
        match self {
            Self::MrClosed => fleet.world.person.upgrade = Answer::Close { after: Duration::from_mins(40) },
            Self::MrExpired => {
                fleet.world.person.upgrade = Answer::Ignore;
                policy.merge_timeout_hours = 24;
            }
            Self::MergedWhileClosing => {
                fleet.world.person.upgrade = Answer::Merge { after: Duration::from_mins(59) };
                policy.merge_timeout_hours = 1;
            }
            Self::RestartStuck => policy.restart_timeout_minutes = 30,
            // With several batches the later ones are what the judge compares with.
            Self::ExternalCause if fleet.batches.len() == 1 => fleet.add_bystanders(3)?,
            Self::MarginalAsksAPerson => {
                policy.soak_extensions_max = 1;
            }
            Self::RollbackUnmerged => {
                fleet.world.person.rollback = Answer::Ignore;
                policy.merge_timeout_hours = 24;
            }
            Self::Clean
            | Self::Regression
            | Self::PreCheckFails
            | Self::RolloutStuck
            | Self::FluxSuspended
            | Self::ExternalCause
            | Self::DatadogDown
            | Self::RollbackFails
            | Self::DryRun
            | Self::TwoStarts => {}
        }
        Ok(())
    }

    /// What is bent before the run begins.
    pub(crate) fn bend(self, fleet: &Fleet, world: &World) {
        let victims = fleet.victims();
        let at = |minutes| fleet.world.start + SignedDuration::from_mins(minutes);
        let regress = |error_factor, latency_factor| {
            for id in &victims {
                let from_version = fleet.target.to_string();
                world.regress(id, Regression { from_version, error_factor, latency_factor });
            }
        };
        if self.regresses() {
            regress(30.0, 1.15);
        }
        let Some(first) = victims.first() else { return };
        match self {
            Self::PreCheckFails => world.fire_monitor(first, "mesh: 5xx"),
            // Before the person merges, and past the request's end.
            Self::MergedWhileClosing => world.outage(System::GitLab, at(55), at(90), 503),
            Self::RolloutStuck => world.stall_istiod(first, true),
            Self::RestartStuck => world.stall_workload(first, "data", "ledger"),
            // What is missing of the past may be what makes the difference: such a soak never passes by itself.
            Self::MarginalAsksAPerson => {
                for id in &victims {
                    world.lose_metrics(id, at(-10 * 60), at(-8 * 60));
                }
            }
            Self::RollbackFails => {
                for id in &victims {
                    world.fail_helm_upgrade(
                        id,
                        &fleet.start.to_string(),
                        "chart istiod is not there any more",
                    );
                }
            }
            Self::Clean
            | Self::Regression
            | Self::MrClosed
            | Self::MrExpired
            | Self::FluxSuspended
            | Self::ExternalCause
            | Self::DatadogDown
            | Self::RollbackUnmerged
            | Self::DryRun
            | Self::TwoStarts => {}
        }
    }

    /// What is bent while the run is on its way.
    pub(crate) fn interfere(
        self,
        fleet: &Fleet,
        world: &World,
        service: &StepFunctions,
        transition: &Transition,
    ) {
        if transition.kind != TransitionKind::Entered {
            return;
        }
        let victims = fleet.victims();
        match (self, transition.state.as_deref()) {
            (Self::FluxSuspended, Some("AwaitUpgradeMerge")) => {
                if let Some(first) = victims.first() {
                    world.suspend_flux(first, true);
                }
            }
            // From the middle of the first batch's soak until after its end.
            (Self::ExternalCause, Some("ConvergeClusters")) if is_first_batch(fleet, transition) => {
                let from = transition.at + SignedDuration::from_mins(30);
                world.shock(from, from + SignedDuration::from_mins(90), 30.0, 1.3);
            }
            // From the soak on, for ever.
            (Self::DatadogDown, Some("Soak")) => {
                world.outage(System::Datadog, transition.at, Timestamp::MAX, 503);
            }
            (Self::MarginalAsksAPerson, Some("AwaitDecision")) => {
                let reason = "its monitors were well all the time";
                let after = SignedDuration::from_mins(25);
                answer_later(service, after, &transition.execution, "approve", reason);
            }
            _ => {}
        }
    }
}

fn is_first_batch(fleet: &Fleet, transition: &Transition) -> bool {
    transition.execution.starts_with(fleet.batches[0].as_str())
}
