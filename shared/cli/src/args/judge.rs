//! `guard judge`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use guard_domain::ClusterId;
use guard_series::Rule;
use jiff::Timestamp;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["file", "index", "retro"]))]
pub(crate) struct JudgeOptions {
    /// CSV with a column `ts` (Unix seconds) and a column for each series: judge one change in it
    #[arg(long, value_name = "CSV", requires_all = ["change_ts", "soak_end"])]
    pub(crate) file: Option<PathBuf>,

    /// Column of the series
    #[arg(long, value_name = "NAME", default_value = "value")]
    pub(crate) column: String,

    /// Seconds from one point to the next [default: the shortest there are between two]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..=86_400))]
    pub(crate) step: Option<i64>,

    /// From when on the history counts [default: the first point]
    #[arg(long, value_name = "TS", allow_hyphen_values = true)]
    pub(crate) history_start: Option<i64>,

    /// Where the baseline begins, which the rivals compare with; it ends at the change [default: two hours before]
    #[arg(long, value_name = "TS", allow_hyphen_values = true)]
    pub(crate) baseline_start: Option<i64>,

    /// The change: what runs before it is the old version
    #[arg(long, value_name = "TS", allow_hyphen_values = true)]
    pub(crate) change_ts: Option<i64>,

    /// When the restart is over; between the change and this nothing is judged [default: the change]
    #[arg(long, value_name = "TS", allow_hyphen_values = true)]
    pub(crate) settled_ts: Option<i64>,

    /// Where the soak ends
    #[arg(long, value_name = "TS", allow_hyphen_values = true)]
    pub(crate) soak_end: Option<i64>,

    /// What the series measures
    #[arg(long, value_enum, default_value_t = Kind::Other)]
    pub(crate) kind: Kind,

    /// Which direction is bad
    #[arg(long, value_enum, default_value_t = Bad::Both)]
    pub(crate) bad_direction: Bad,

    /// Column of a cluster that was not upgraded, in the same file; two or more tell a cause from outside
    #[arg(long, value_name = "NAME", requires = "file")]
    pub(crate) control: Vec<String>,

    /// Write a page that shows what was judged: series, baseline, what was expected, controls, what is usual
    #[arg(long, value_name = "HTML", requires = "file")]
    pub(crate) explain: Option<PathBuf>,

    /// INDEX.csv of a set of labelled pairs: judge all of them, and count
    #[arg(long, value_name = "CSV", conflicts_with = "file")]
    pub(crate) index: Option<PathBuf>,

    /// Folder that the files of the index lie in [default: that of the index]
    #[arg(long, value_name = "DIR", requires = "index")]
    pub(crate) dir: Option<PathBuf>,

    /// Only pairs of this split
    #[arg(long, value_name = "NAME", requires = "index")]
    pub(crate) split: Option<String>,

    /// Judge injectable pairs without a change once more, their soak worse by this factor (1.2 is 20 % up, or its inverse
    /// where down is bad)
    #[arg(long, value_name = "FACTOR", requires = "index", value_parser = factor)]
    pub(crate) inject: Option<f64>,

    /// Who judges: guard, percent:<number> (mean against the baseline's), or mann-whitney (as Kayenta has it)
    #[arg(long, value_name = "RULE", default_value = "guard", value_parser = rule)]
    pub(crate) rule: Rule,

    #[command(flatten)]
    pub(crate) retro: RetroOptions,

    /// Print one JSON document: verdicts with their reasons, and of a set what was counted
    #[arg(long)]
    pub(crate) json: bool,
}

/// A past upgrade.
#[derive(Debug, Args)]
pub(crate) struct RetroOptions {
    /// Judge a past upgrade from Datadog's history, as `judge-soak` would have; nothing is changed
    #[arg(long, requires_all = ["cluster", "at"])]
    pub(crate) retro: bool,

    /// The cluster that was upgraded
    #[arg(long, value_name = "CLUSTER", requires = "retro", value_parser = ClusterId::parse)]
    pub(crate) cluster: Option<ClusterId>,

    /// When the change reached it, for example 2026-11-03T14:00:00Z
    #[arg(long, value_name = "TIME", requires = "retro")]
    pub(crate) at: Option<Timestamp>,

    /// How long the rollout of istiod and the restarts took, minutes; nothing is judged in it
    #[arg(long, value_name = "N", requires = "retro", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(0..=2880))]
    pub(crate) restart_minutes: u32,

    /// Length of the soak [default: validation.soak_period_minutes]
    #[arg(long, value_name = "N", requires = "retro", value_parser = clap::value_parser!(u32).range(1..=43_200))]
    pub(crate) soak_minutes: Option<u32>,

    /// A cluster of the same environment that was not upgraded then; two or more tell a cause from outside
    #[arg(long, value_name = "CLUSTER", requires = "retro", value_parser = ClusterId::parse)]
    pub(crate) beside: Vec<ClusterId>,
}

/// What a series measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Times
    Latency,
    /// Share of requests, of errors or of successes, from 0 to 1 or in percent
    ErrorRate,
    /// Requests in a time
    Throughput,
    /// Processor, memory
    Resource,
    /// Anything else, also with negative values
    Other,
}

/// Which direction is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bad {
    /// More is worse
    Up,
    /// Less is worse
    Down,
    /// Neither is wanted
    Both,
}

fn rule(raw: &str) -> Result<Rule, String> {
    Rule::parse(raw).map_err(|error| error.to_string())
}

fn factor(raw: &str) -> Result<f64, String> {
    let factor: f64 = raw.parse().map_err(|_| format!("`{raw}` is no number"))?;
    if factor.is_finite() && factor > 0.0 { Ok(factor) } else { Err("a factor is greater than 0".to_owned()) }
}
