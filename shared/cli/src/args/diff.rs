//! `guard diff`.

use std::path::PathBuf;

use clap::Args;
use guard_domain::IstioVersion;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct DiffOptions {
    /// Flux files of one cluster, or folders of them: releases and the repositories they name are judged together
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) file: Vec<PathBuf>,

    /// Istio version to go to
    #[arg(long, value_name = "V", value_parser = super::version, required_unless_present = "repositories_only")]
    pub(crate) target_version: Option<IstioVersion>,

    /// Version that runs; by default the one version that the files hold
    #[arg(long, value_name = "V", value_parser = super::version, conflicts_with = "repositories_only")]
    pub(crate) from: Option<IstioVersion>,

    /// Settings that change together with the version, as YAML or JSON; see docs/upgrade-spec.md
    #[arg(long, value_name = "FILE", conflicts_with = "repositories_only")]
    pub(crate) upgrade_spec: Option<PathBuf>,

    /// Pin ranges and absent versions too; V is the version that runs
    #[arg(long, value_name = "V", value_parser = super::version, conflicts_with_all = ["from", "repositories_only"])]
    pub(crate) pin_ranges: Option<IstioVersion>,

    /// Leave out the rule that an upgrade goes up, by one minor at most, to a released version
    #[arg(long, conflicts_with = "repositories_only")]
    pub(crate) any_path: bool,

    /// Allow the umbrella chart `ambient`, as policy.allow_umbrella_chart does
    #[arg(long, conflicts_with = "repositories_only")]
    pub(crate) allow_umbrella: bool,

    /// Take it that repositories which are not among the files have moved to the new hosts, as
    /// policy.repositories_elsewhere: warn does
    #[arg(long, conflicts_with = "repositories_only")]
    pub(crate) trust_repositories: bool,

    /// Only move chart and image hosts that go away, and change no version
    #[arg(long, conflicts_with = "target_version")]
    pub(crate) repositories_only: bool,

    /// Print one JSON document: outcome, changes, findings, diff
    #[arg(long)]
    pub(crate) json: bool,

    /// Write the files too; each is replaced as a whole, and none when one is refused
    #[arg(long)]
    pub(crate) write: bool,
}
