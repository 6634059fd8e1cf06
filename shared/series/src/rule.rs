//! A pair, judged by a rule.

use guard_domain::judge::{
    BadDirection, Direction, Metric, MetricKind, MetricVerdict, Record, Series, SoakOutcome, Tolerance,
    judge_beside,
};
use thiserror::Error;

use crate::rivals;
use crate::{Files, Pair, SetError};

/// Who judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// GUARD's judge.
    Guard,
    /// The mean, and so many percent.
    Percent(f64),
    /// The Mann-Whitney test with a tolerance, as Kayenta has it.
    MannWhitney,
}

/// A rule that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no rule: guard, percent:<number> or mann-whitney")]
pub struct NoRule(String);

impl Rule {
    /// `guard`, `percent:10`, `mann-whitney`.
    pub fn parse(text: &str) -> Result<Self, NoRule> {
        let no_rule = || NoRule(text.to_owned());
        match text.split_once(':') {
            None if text == "guard" => Ok(Self::Guard),
            None if text == "mann-whitney" => Ok(Self::MannWhitney),
            Some(("percent", percent)) => {
                let percent: f64 = percent.parse().map_err(|_| no_rule())?;
                if percent.is_finite() && percent > 0.0 { Ok(Self::Percent(percent)) } else { Err(no_rule()) }
            }
            _ => Err(no_rule()),
        }
    }
}

/// What a rule says of a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The verdict.
    pub outcome: SoakOutcome,
    /// Why.
    pub reasons: Vec<String>,
    /// What GUARD's judge found; the rivals find nothing else.
    pub found: Option<MetricVerdict>,
}

/// The series of one pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    /// From the start of the history to the change, or a record of another time.
    pub history: Series,
    /// The soak.
    pub soak: Series,
}

impl Windows {
    /// Reads them. Shares in percent become shares from 0 to 1.
    pub fn read(files: &mut Files, pair: &Pair) -> Result<Self, SetError> {
        let history = files.history(pair)?;
        let soak = files.soak(pair)?;
        let is_rate = pair.kind == MetricKind::ErrorRate;
        let is_percent = is_rate && (pair.is_percent || history.present().any(|share| share > 1.5));
        let unit = if is_percent { 0.01 } else { 1.0 };
        Ok(Self { history: history.times(unit), soak: soak.times(unit) })
    }
}

/// Multiplies the soak by a factor for the worse: up by it, or down.
pub fn worse(soak: &Series, bad: BadDirection, factor: f64) -> Series {
    match bad {
        BadDirection::Up | BadDirection::Both => soak.times(factor),
        BadDirection::Down => soak.times(1.0 / factor),
    }
}

/// Judges a pair.
pub fn judge(pair: &Pair, windows: &Windows, rule: Rule) -> Judged {
    match rule {
        Rule::Guard => judge_with(pair, windows, &[]),
        Rule::Percent(most) => {
            let change = percent_of(pair, windows);
            said(change, most, |change| format!("mean changed by {change:+.1} %, {most} % are allowed"))
        }
        Rule::MannWhitney => {
            let part = mann_whitney_of(pair, windows);
            said(part, rivals::TOLERANCE, |part| {
                format!(
                    "the 98 % interval of the shift begins at {part:.2} of its estimate, {} is allowed",
                    rivals::TOLERANCE
                )
            })
        }
    }
}

/// The metric of a pair.
pub fn metric_of<'a>(pair: &'a Pair, windows: &'a Windows) -> Metric<'a> {
    Metric {
        name: &pair.column,
        kind: pair.kind,
        bad: pair.bad,
        before: &windows.history,
        after: &windows.soak,
        record: if pair.is_of_another_time() { Record::OfAnotherTime } else { Record::UpToTheChange },
    }
}

/// Judges a pair by GUARD's judge, beside the same metric of clusters that were not upgraded, by name. Their series are of
/// the pair's time, before and after the change.
pub fn judge_with(pair: &Pair, windows: &Windows, controls: &[(String, Series)]) -> Judged {
    let own = metric_of(pair, windows);
    let controls: Vec<Metric<'_>> =
        controls.iter().map(|(name, series)| Metric { name, before: series, after: series, ..own }).collect();
    let found = judge_beside(&own, &controls, pair.times, Tolerance::of(pair.kind));
    Judged { outcome: found.outcome, reasons: found.reasons.clone(), found: Some(found) }
}

/// What the percentage rule compares with its number: how much worse the mean is, percent. `None` without a ratio.
pub fn percent_of(pair: &Pair, windows: &Windows) -> Option<f64> {
    rival(pair, windows, rivals::percent)
}

/// What the Mann-Whitney rule compares with its tolerance: where the interval of the shift begins, in its estimate.
pub fn mann_whitney_of(pair: &Pair, windows: &Windows) -> Option<f64> {
    rival(pair, windows, rivals::mann_whitney)
}

/// The worse direction of a rival.
fn rival(
    pair: &Pair,
    windows: &Windows,
    rule: fn(&Series, &Series, Direction) -> Option<f64>,
) -> Option<f64> {
    let baseline = windows.history.between(pair.baseline_start, pair.times.change);
    let soak = windows.soak.between(pair.times.settled, pair.times.until);
    pair.bad.each().iter().filter_map(|bad| rule(&baseline, &soak, *bad)).reduce(f64::max)
}

fn said(value: Option<f64>, most: f64, words: impl Fn(f64) -> String) -> Judged {
    let (outcome, reason) = match value {
        None => (SoakOutcome::Insufficient, "nothing to compare, or no ratio".to_owned()),
        Some(value) if value > most => (SoakOutcome::Fail, words(value)),
        Some(value) => (SoakOutcome::Pass, words(value)),
    };
    Judged { outcome, reasons: vec![reason], found: None }
}
