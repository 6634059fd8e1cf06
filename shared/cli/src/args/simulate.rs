//! `guard simulate`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use guard_domain::IstioVersion;
use guard_simulation::Scenario;

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
    #[arg(long, value_name = "V", value_parser = super::version)]
    pub(crate) target_version: Option<IstioVersion>,

    /// Let much go wrong at once, all of it decided by the seed: calls that fail, come late or happen twice, functions
    /// that die, people who stop, close, edit and start things; then check the invariants
    #[arg(
        long,
        conflicts_with_all = ["scenario", "clusters", "batches", "flux_file", "target_version", "json"]
    )]
    pub(crate) faults: bool,

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
pub(super) fn help() -> String {
    let lines = Scenario::ALL.map(|scenario| format!("  {:<21} {}", scenario.name(), scenario.sentence()));
    format!(
        "Scenarios:\n{}\n\nExit codes: 0 it ended as the scenario says, 1 it did not or could not begin, or an \
        invariant was broken, 2 wrong usage.\n\n\
        Examples:\n  guard simulate\n  guard simulate --scenario regression --clusters 12 --seed 7\n  \
        guard simulate --clusters 75 --batches 6\n  \
        guard simulate --faults --seed 7\n  \
        guard simulate --flux-file istio/helmrelease.yaml --target-version 1.30.5",
        lines.join("\n")
    )
}
