//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use guard_domain::IstioVersion;
use guard_simulation::Scenario;

/// Upgrades Istio on EKS clusters through GitOps, and takes it back when it does harm.
#[derive(Debug, Parser)]
#[command(name = "guard", version, after_help = "Exit codes: 0 done, 1 error, 2 wrong usage.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one batch from plan to end against a simulated world, in virtual time
    ///
    /// The state machines, the tasks and the adapters are the real ones; GitLab, Datadog, AWS and the clusters are
    /// simulated. Nothing outside of this process is touched.
    #[command(
        after_help = "Exit codes: 0 it ended as the scenario says, 1 it did not or could not begin, 2 wrong usage.\n\n\
        Examples:\n  guard simulate\n  guard simulate --scenario regression --clusters 12 --seed 7\n  \
        guard simulate --flux-file istio/helmrelease.yaml --target-version 1.30.5"
    )]
    Simulate(SimulateOptions),
}

#[derive(Debug, Args)]
pub(crate) struct SimulateOptions {
    /// What happens
    #[arg(long, value_enum, default_value_t = ScenarioName::Clean)]
    pub(crate) scenario: ScenarioName,

    /// Clusters in the batch, 1 to 200
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub(crate) clusters: usize,

    /// Decides every chance of the world; the same seed gives the same run
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,

    /// A Flux file of yours with an Istio HelmRelease: its version is where the batch starts, and every cluster gets a
    /// copy
    #[arg(long, value_name = "FILE")]
    pub(crate) flux_file: Option<PathBuf>,

    /// Istio version to go to; by default the next one that fits
    #[arg(long, value_name = "V", value_parser = version)]
    pub(crate) target_version: Option<IstioVersion>,

    /// Print the whole report as one JSON document instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ScenarioName {
    /// Every cluster comes to the target version and stays as well as it was
    Clean,
    /// On some clusters the new version makes requests fail: they go back, the others stay
    Regression,
}

impl From<ScenarioName> for Scenario {
    fn from(name: ScenarioName) -> Self {
        match name {
            ScenarioName::Clean => Self::Clean,
            ScenarioName::Regression => Self::Regression,
        }
    }
}

fn version(raw: &str) -> Result<IstioVersion, String> {
    IstioVersion::parse(raw).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_version_that_is_none_is_a_usage_error() {
        let error =
            Arguments::try_parse_from(["guard", "simulate", "--target-version", "1.30.x"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("not an exact Istio version"), "{error}");
    }
}
