//! `guard judge`: the soak judge on series of this machine, and on a past upgrade by Datadog's history.

mod page;
mod report;
mod retro;

use std::path::Path;

use guard_domain::judge::{BadDirection, MetricKind, Series, SoakOutcome, Times};
use guard_series::{Files, Label, Pair, Rule, SetError, Windows, judge, judge_with, read, tally};

use crate::args::{Bad, JudgeOptions, Kind, Target};
use crate::exit::Exit;
use crate::failure::Failure;

/// What the rivals compare with, where nothing else is said, seconds.
const BASELINE: i64 = 7_200;

pub(crate) async fn run(target: &Target, options: &JudgeOptions) -> Result<Exit, Failure> {
    match (&options.file, &options.index) {
        (Some(file), _) => one(options, file),
        (None, Some(index)) => set(options, index),
        (None, None) if options.retro.retro => retro::run(&crate::open(target)?, options).await,
        (None, None) => Err(Failure::usage(
            "give --file for one change, --index for a set, or --retro for a past upgrade",
        )),
    }
}

/// How a verdict ends the command.
fn exit(outcome: SoakOutcome) -> Exit {
    match outcome {
        SoakOutcome::Pass => Exit::Done,
        SoakOutcome::Fail => Exit::Refused,
        SoakOutcome::Marginal | SoakOutcome::External => Exit::WaitsForPerson,
        SoakOutcome::Insufficient => Exit::Unknown,
    }
}

impl From<SetError> for Failure {
    fn from(error: SetError) -> Self {
        Self::error(error.to_string())
    }
}

fn one(options: &JudgeOptions, file: &Path) -> Result<Exit, Failure> {
    let (Some(change), Some(until)) = (options.change_ts, options.soak_end) else {
        return Err(Failure::usage("--file needs --change-ts and --soak-end"));
    };
    let settled = options.settled_ts.unwrap_or(change);
    if settled < change || until <= settled {
        return Err(Failure::usage(format!(
            "the change ({change}), the end of the restart ({settled}) and the end of the soak ({until}) follow one another"
        )));
    }
    let mut files = Files::of(Path::new(""));
    let name = file.display().to_string();
    let step = match options.step {
        Some(step) => step,
        None => files.step(&name, &options.column)?,
    };
    let pair = Pair {
        id: name.clone(),
        label: Label::NoChange,
        split: String::new(),
        column: options.column.clone(),
        kind_name: String::new(),
        source: String::new(),
        kind: match options.kind {
            Kind::Latency => MetricKind::Latency,
            Kind::ErrorRate => MetricKind::ErrorRate,
            Kind::Throughput => MetricKind::Throughput,
            Kind::Resource => MetricKind::Resource,
            Kind::Other => MetricKind::Other,
        },
        bad: match options.bad_direction {
            Bad::Up => BadDirection::Up,
            Bad::Down => BadDirection::Down,
            Bad::Both => BadDirection::Both,
        },
        is_percent: false,
        step,
        baseline_file: name.clone(),
        soak_file: name,
        issue: String::new(),
        history_start: options.history_start.unwrap_or(i64::MIN),
        baseline_start: options.baseline_start.unwrap_or(change.saturating_sub(BASELINE)),
        times: Times { change, settled, until },
        injectable: false,
    };
    let windows = Windows::read(&mut files, &pair)?;
    let controls = options.control.iter().map(|column| {
        let beside = Pair { column: column.clone(), ..pair.clone() };
        Ok((column.clone(), Windows::read(&mut files, &beside)?.soak))
    });
    let controls: Vec<(String, Series)> = controls.collect::<Result<_, SetError>>()?;
    let judged = match options.rule {
        Rule::Guard => judge_with(&pair, &windows, &controls),
        rival => judge(&pair, &windows, rival),
    };
    if let Some(path) = &options.explain {
        let page = page::page(&pair, &windows, &controls, &judged);
        std::fs::write(path, page)
            .map_err(|error| Failure::error(format!("cannot write {}: {error}", path.display())))?;
    }
    report::one(&judged, options.json)?;
    Ok(exit(judged.outcome))
}

fn set(options: &JudgeOptions, index: &Path) -> Result<Exit, Failure> {
    let mut pairs = read(index)?;
    if let Some(split) = &options.split {
        pairs.retain(|pair| pair.split == *split);
        if pairs.is_empty() {
            return Err(Failure::error(format!("{}: no pair is of the split `{split}`", index.display())));
        }
    }
    let beside = index.parent().unwrap_or(Path::new(""));
    let mut files = Files::of(options.dir.as_deref().unwrap_or(beside));
    let counted = tally(&pairs, &mut files, options.rule, options.inject)?;
    report::set(&counted, options.json)?;
    Ok(Exit::Done)
}
