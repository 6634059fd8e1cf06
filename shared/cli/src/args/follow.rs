//! Commands that start or follow a run.

use clap::{ArgGroup, Args};
use guard_domain::{BatchId, IstioVersion, RunId};

use super::version;
use crate::failure::Failure;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["batch", "all_batches"]))]
#[command(after_help = "\
Examples:
  guard run --batch test --target-version 1.30.5 --dry-run --wait
  guard run --batch prod-wave-1 --target-version 1.30.5 --reason 'CVE-2026-1234' --wait
  guard run --batch prod-wave-1 --target-version 1.30.5 --resume prod-wave-1-1.30.5-20261128T030000Z --wait
  guard run --all-batches --target-version 1.30.5

With --wait the exit code is the run's own: 0 healthy, 3 a gate failed, 4 rolled back, 5 or 6 a person must look.
Without it the code says only whether the run was started.")]
pub(crate) struct RunOptions {
    /// Upgrade this batch
    #[arg(long, value_name = "BATCH", value_parser = BatchId::parse)]
    pub(crate) batch: Option<BatchId>,

    /// Upgrade every batch, in the order of the configuration; the first that is not healthy afterwards stops it
    #[arg(long)]
    pub(crate) all_batches: bool,

    /// Istio version to go to
    #[arg(long, value_name = "V", value_parser = version)]
    pub(crate) target_version: IstioVersion,

    /// Check everything and show the diff; write nothing anywhere
    #[arg(long, conflicts_with = "all_batches")]
    pub(crate) dry_run: bool,

    /// Go on with this run, which ended after its merge: what it left undone is done, and no workload is restarted twice
    #[arg(long, value_name = "RUN", value_parser = RunId::parse, conflicts_with_all = ["all_batches", "dry_run"])]
    pub(crate) resume: Option<RunId>,

    /// Soak this long instead of what the configuration says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=43_200))]
    pub(crate) soak_minutes: Option<u32>,

    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,

    /// Name of this wish: a second start with the same one does nothing
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,

    /// Pass over a gate knowingly, for example FREEZE_WINDOW='agreed with the shop team'; may be repeated
    #[arg(long = "override", value_name = "CODE=REASON", value_parser = over, conflicts_with = "all_batches")]
    pub(crate) overrides: Vec<(String, String)>,

    /// Follow the run to its end; the exit code is the run's
    #[arg(long)]
    pub(crate) wait: bool,

    #[command(flatten)]
    pub(crate) follow: FollowOptions,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").args(["batch", "execution"]))]
#[command(after_help = "\
Without --batch and --execution it follows the one run that is under way.

Examples:
  guard monitor --batch prod-wave-1
  guard monitor --execution arn:aws:states:eu-west-1:123456789012:execution:guard-batch-upgrade:prod-wave-1-1.30.5-20261128T030000Z")]
pub(crate) struct MonitorOptions {
    /// The run of this batch: the one under way, or the last one
    #[arg(long, value_name = "BATCH", value_parser = BatchId::parse)]
    pub(crate) batch: Option<BatchId>,

    /// This execution
    #[arg(long, value_name = "ARN")]
    pub(crate) execution: Option<String>,

    #[command(flatten)]
    pub(crate) follow: FollowOptions,
}

/// How a run is followed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Following")]
pub(crate) struct FollowOptions {
    /// Stop following after this time: exit code 5 if the run waits for a person then, else 6
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) wait_minutes: Option<u32>,

    /// Time between two looks, in seconds
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = seconds)]
    pub(crate) poll_seconds: f64,
}

impl FollowOptions {
    /// How long to follow says nothing where nothing is followed.
    pub(crate) fn fits(&self, is_followed: bool) -> Result<(), Failure> {
        if self.wait_minutes.is_some() && !is_followed {
            return Err(Failure::usage("--wait-minutes says how long to follow").next("add --wait"));
        }
        Ok(())
    }
}

fn seconds(raw: &str) -> Result<f64, String> {
    raw.parse::<f64>()
        .ok()
        .filter(|seconds| (0.05..=600.0).contains(seconds))
        .ok_or_else(|| "a number of seconds between 0.05 and 600".to_owned())
}

fn over(raw: &str) -> Result<(String, String), String> {
    raw.split_once('=')
        .map(|(code, reason)| (code.trim().to_owned(), reason.trim().to_owned()))
        .filter(|(code, reason)| !code.is_empty() && !reason.is_empty())
        .ok_or_else(|| "write CODE=REASON: the finding's code, and why it is passed over".to_owned())
}

#[derive(Debug, Args)]
#[command(after_help = "\
The machine batch-rollback proposes the old version in a merge request, a person merges it, and the clusters are followed
back. It starts from healthy clusters. While a run of the batch is under way, that run takes failed clusters back itself;
with --stop-run it is stopped first. What a run that has ended left in the middle goes back with --resume.

Examples:
  guard rollback --batch prod-wave-1 --reason 'checkout is slower than last week' --wait
  guard rollback --batch prod-wave-1 --reason 'halted, and not worth a second try' --resume prod-wave-1-1.30.5-20261128T030000Z")]
pub(crate) struct RollbackOptions {
    /// Take this batch back
    #[arg(long, value_name = "BATCH", value_parser = BatchId::parse)]
    pub(crate) batch: BatchId,

    /// Why, for the audit log and the merge request
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub(crate) reason: String,

    /// Stop a run that is under way, although its clusters are in the middle
    #[arg(long)]
    pub(crate) stop_run: bool,

    /// Take back what this run, upgrade or rollback, left in the middle when it ended
    #[arg(long, value_name = "RUN", value_parser = RunId::parse, conflicts_with = "stop_run")]
    pub(crate) resume: Option<RunId>,

    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Follow the way back to its end; the exit code is its own: 0 when the clusters are back
    #[arg(long)]
    pub(crate) wait: bool,

    #[command(flatten)]
    pub(crate) follow: FollowOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A run asks when the soak of a cluster stays too close to call; `guard status` shows what it asks. `approve` goes on to the
post-checks, `reject` takes these clusters back. The first answer counts.

Example:
  guard reject --batch prod-wave-1 --reason 'checkout is slower, see the dashboard'")]
pub(crate) struct DecisionOptions {
    /// The batch whose run asks
    #[arg(long, value_name = "BATCH", value_parser = BatchId::parse)]
    pub(crate) batch: BatchId,

    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub(crate) reason: String,

    /// Who answers [default: GITLAB_USER_LOGIN, GITHUB_ACTOR or USER]
    #[arg(long, value_name = "NAME")]
    pub(crate) who: Option<String>,

    /// Follow the run to its end; the exit code is the run's
    #[arg(long)]
    pub(crate) wait: bool,

    #[command(flatten)]
    pub(crate) follow: FollowOptions,
}

/// A text that says something.
pub(super) fn said(raw: &str) -> Result<String, String> {
    let text = raw.trim();
    if text.is_empty() { Err("say why, in a few words".to_owned()) } else { Ok(text.to_owned()) }
}
