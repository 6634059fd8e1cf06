//! The command line.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
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
    #[command(after_help = help())]
    Simulate(SimulateOptions),
}

#[derive(Debug, Args)]
pub(crate) struct SimulateOptions {
    /// What happens
    #[arg(long, value_parser = scenarios(), default_value = "clean", value_name = "NAME", hide_possible_values = true)]
    pub(crate) scenario: Scenario,

    /// Clusters in all, 1 to 200 a batch
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub(crate) clusters: usize,

    /// Batches, one after the other, by the `rollout` machine
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) batches: usize,

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

/// Reads a scenario by its name.
fn scenarios() -> impl TypedValueParser<Value = Scenario> {
    PossibleValuesParser::new(Scenario::ALL.map(Scenario::name)).try_map(|name| {
        Scenario::ALL.into_iter().find(|scenario| scenario.name() == name).ok_or("no such scenario")
    })
}

/// The scenarios with a sentence each, for the help.
fn help() -> String {
    let lines = Scenario::ALL.map(|scenario| format!("  {:<21} {}", scenario.name(), scenario.sentence()));
    format!(
        "Scenarios:\n{}\n\nExit codes: 0 it ended as the scenario says, 1 it did not or could not begin, 2 wrong usage.\n\n\
        Examples:\n  guard simulate\n  guard simulate --scenario regression --clusters 12 --seed 7\n  \
        guard simulate --clusters 75 --batches 6\n  \
        guard simulate --flux-file istio/helmrelease.yaml --target-version 1.30.5",
        lines.join("\n")
    )
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
