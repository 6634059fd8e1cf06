//! The command line.

mod check;
mod diff;
mod follow;
mod judge;
mod registry;
mod simulate;

use clap::{Args, Parser, Subcommand};
use guard_domain::IstioVersion;

pub(crate) use check::CheckOptions;
pub(crate) use diff::DiffOptions;
pub(crate) use follow::{DecisionOptions, FollowOptions, MonitorOptions, RollbackOptions, RunOptions};
pub(crate) use judge::{Bad, JudgeOptions, Kind};
pub(crate) use registry::{AddOptions, DocumentFormat, ImportOptions, Registry, RemoveOptions, ShowOptions};
pub(crate) use simulate::SimulateOptions;

use crate::exit::Exit;

/// What the names of GUARD's machines and functions begin with, unless it was deployed otherwise.
pub(crate) const DEFAULT_PREFIX: &str = "guard";

/// Upgrades Istio on EKS clusters through GitOps, and takes it back when it does harm.
#[derive(Debug, Parser)]
#[command(name = "guard", version, after_help = Exit::HELP, after_long_help = format!("{}\n\n{ENVIRONMENT}", Exit::HELP))]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const ENVIRONMENT: &str = "\
Environment:
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
      credentials of GUARD's account; without them, or with --profile, the AWS CLI version 2 is
      asked (`aws configure export-credentials`), which knows profiles, single sign-on and more
  AWS_REGION, AWS_DEFAULT_REGION
      where GUARD runs, unless --region says it
  GUARD_REGISTRY_TABLE, GUARD_RUNS_TABLE, GUARD_LOCKS_TABLE
      names of the tables [default: <prefix>-cluster-registry, -runs, -locks]
  AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_<SERVICE>
      where AWS is, when it is somewhere else: DYNAMODB, LAMBDA, SECRETS_MANAGER, SFN, SSM
  NO_COLOR
      no colours, and plain lines instead of live progress";

/// Which GUARD.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which GUARD")]
pub(crate) struct Target {
    /// AWS region it runs in
    #[arg(long, global = true, value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// Profile of the AWS CLI to take credentials from
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// What the names of its machines and functions begin with
    #[arg(long, global = true, value_name = "NAME", default_value = DEFAULT_PREFIX)]
    pub(crate) prefix: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the upgrade of a batch, or of all batches in their order
    Run(RunOptions),

    /// Follow a run live, to its end
    ///
    /// On a terminal it shows where the run and its clusters are; elsewhere, and with NO_COLOR, it prints a line for
    /// each thing that happens. Ctrl-C stops the following, never the run.
    Monitor(MonitorOptions),

    /// Take a batch back to the version it had before
    Rollback(RollbackOptions),

    /// Answer the question of a run: the clusters are well enough, go on
    Approve(DecisionOptions),

    /// Answer the question of a run: they are not, take them back
    Reject(DecisionOptions),

    /// Show the clusters of the registry
    List(ListOptions),

    /// Show what runs, what waits for a person, and how the last runs ended
    ///
    /// Exit code 0 says that this could be told, whatever it is; the codes of runs are those of `monitor`.
    Status(StatusOptions),

    /// Check the configuration, and that everything GUARD needs is there and reachable
    ///
    /// Asks for every problem at once: keys and values of the configuration, tables, state machines, registry, secrets,
    /// GitLab and Datadog with the rights that GUARD needs there. Nothing is written anywhere.
    Validate(ValidateOptions),

    /// Keep the clusters that GUARD knows
    #[command(subcommand)]
    Registry(Registry),

    /// Print the script that completes `guard` in a shell
    ///
    /// For example: guard completions bash > /etc/bash_completion.d/guard
    Completions {
        /// The shell
        #[arg(value_name = "SHELL", value_enum)]
        shell: clap_complete::Shell,
    },

    /// Print the man page
    ///
    /// For example: guard man > /usr/local/share/man/man1/guard.1
    Man,

    /// Check one cluster through a kubeconfig, as a pre-check does: may it be upgraded?
    ///
    /// Reads the cluster, and changes nothing; it needs no deployed GUARD, no AWS and no registry. Every check that the
    /// cluster alone can answer is asked, whatever the others find; the others are listed as not asked. Exit code 0: nothing
    /// stands in the way; 3: something blocks; 6: something could not be found out. The permissions it needs are those of the
    /// ClusterRole guard-read in docs/rbac.yaml.
    ///
    /// For example: guard check --kubeconfig ~/.kube/config --context prod-eu-1 --target-version 1.30.5
    Check(CheckOptions),

    /// Show the edit that an upgrade would make in Flux files, or why it would make none
    ///
    /// Reads files of this machine, and nothing else. The edit changes the bytes of versions, tags and settings, and is
    /// proved to change nothing else. On standard output it is a unified diff, as `git apply` takes it.
    ///
    /// For example: guard diff --file clusters/prod-eu-1/istio --target-version 1.30.5
    Diff(DiffOptions),

    /// Judge series before and after a change, as a soak is judged
    ///
    /// Reads files of this machine, and nothing else. One change (--file) gets a verdict with its reasons. Exit code 0: it
    /// passes; 3: it fails; 5: too close to call; 6: too little data. A set of labelled pairs (--index) is counted: false
    /// rollbacks, detected regressions and, with --inject, detected steps of that size, by source and kind of metric; its
    /// exit code is 0. docs/judge.md has the format of a set, the method, and what was measured.
    ///
    /// For example: guard judge --file p95.csv --kind latency --bad-direction up --change-ts 1764500000 --soak-end
    /// 1764507200
    Judge(Box<JudgeOptions>),

    /// Run one batch from plan to end against a simulated world, in virtual time
    ///
    /// The state machines, the tasks and the adapters are the real ones; GitLab, Datadog, AWS and the clusters are
    /// simulated. Nothing outside of this process is touched.
    #[command(after_help = simulate::help())]
    Simulate(SimulateOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Only clusters of this batch
    #[arg(long, value_name = "BATCH", value_parser = guard_domain::BatchId::parse)]
    pub(crate) batch: Option<guard_domain::BatchId>,

    /// Only clusters of this environment
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: Option<String>,

    /// A table for people, or one JSON document
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    /// Only this batch, with its clusters
    #[arg(long, value_name = "BATCH", value_parser = guard_domain::BatchId::parse, conflicts_with = "execution")]
    pub(crate) batch: Option<guard_domain::BatchId>,

    /// Only this execution
    #[arg(long, value_name = "ARN")]
    pub(crate) execution: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ValidateOptions {
    /// Configuration file to check [default: GUARD_CONFIG_FILE, else the parameter that the functions read]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<std::path::PathBuf>,

    /// Look at the file alone; call nothing
    #[arg(long)]
    pub(crate) offline: bool,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

pub(crate) fn version(raw: &str) -> Result<IstioVersion, String> {
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
        for command in ["simulate", "run"] {
            let error =
                Arguments::try_parse_from(["guard", command, "--target-version", "1.30.x"]).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("not an exact Istio version"), "{error}");
        }
    }
}
