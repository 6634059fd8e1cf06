//! Pseudo-changes: every half hour of every series in which something can be injected.

use std::collections::{BTreeMap, BTreeSet};

use guard_domain::judge::{Evidence, MetricKind, Times, Tolerance, evidence};
use guard_series::{Files, Label, Pair, SetError, Windows, mann_whitney_of, metric_of, percent_of, worse};

use crate::share::short;

/// A soak is worse by each of these; by the first it is as it was.
pub(crate) const FACTORS: [f64; 5] = [1.0, 1.1, 1.2, 1.5, 2.0];
/// Seconds from one pseudo-change to the next.
const EVERY: i64 = 1_800;
/// Length of a soak, and the distance that labelled anomalies keep, seconds.
const SOAK: i64 = 7_200;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    Guard,
    Percent,
    MannWhitney,
}

/// What else is to be measured of a case.
pub(crate) type More = fn(&mut Case, &Pair, &Windows);

pub(crate) const RULES: [Judge; 3] = [Judge::Guard, Judge::Percent, Judge::MannWhitney];

/// One moment of one series.
#[derive(Debug)]
pub(crate) struct Case {
    /// What is left out together.
    pub(crate) group: String,
    pub(crate) source: String,
    /// One of the pairs of the index.
    pub(crate) is_official: bool,
    pub(crate) weight: f64,
    /// In the direction that is bad.
    pub(crate) evidence: Option<Evidence>,
    pub(crate) margin: f64,
    pub(crate) is_throughput: bool,
    /// See [`crate::early::reach`].
    pub(crate) early: [f64; 5],
    /// What each judge compares with its threshold, by factor.
    pub(crate) scores: BTreeMap<u8, [f64; FACTORS.len()]>,
}

impl Case {
    pub(crate) fn scores(&self, judge: Judge) -> [f64; FACTORS.len()] {
        self.scores.get(&(judge as u8)).copied().unwrap_or([f64::NEG_INFINITY; FACTORS.len()])
    }
}

pub(crate) fn cases(pairs: &[Pair], files: &mut Files, more: Option<More>) -> Result<Vec<Case>, SetError> {
    let mut series: BTreeMap<(&str, &str), Vec<&Pair>> = BTreeMap::new();
    for pair in pairs.iter().filter(|pair| pair.label == Label::NoChange && pair.injectable) {
        series.entry((&pair.baseline_file, &pair.column)).or_default().push(pair);
    }
    let mut official: BTreeMap<&str, f64> = BTreeMap::new();
    for pair in series.values().flatten() {
        *official.entry(short(&pair.source)).or_default() += 1.0;
    }
    let mut all = Vec::new();
    for ((_, column), pairs) in &series {
        let Some(first) = pairs.first() else { continue };
        let windows = Windows::read(files, first)?;
        let anomalies = files.labelled(first)?;
        let end = windows.history.start()
            + windows.history.step() * i64::try_from(windows.history.values().len()).unwrap_or(0);
        let earliest = pairs.iter().map(|pair| pair.times.change).min().unwrap_or(end);
        let named: BTreeSet<i64> = pairs.iter().map(|pair| pair.times.change).collect();
        let regular = (earliest..=end - SOAK)
            .step_by(EVERY.unsigned_abs().try_into().unwrap_or(1))
            .filter(|at| !anomalies.iter().any(|anomaly| *anomaly > at - SOAK && *anomaly < at + 2 * SOAK));
        let moments = named.iter().map(|at| (*at, true)).chain(regular.map(|at| (at, false)));
        for (at, is_official) in moments {
            let times = Times { change: at, settled: at, until: at + SOAK };
            let pair = Pair { times, baseline_start: at - SOAK, ..(*first).clone() };
            let source = short(&pair.source).to_owned();
            let group = if source.starts_with("amazon") {
                column.split('|').next().unwrap_or(column).to_owned()
            } else {
                pair.baseline_file.clone()
            };
            let mut found = case(&pair, &windows, group, source, is_official);
            if let Some(more) = more {
                more(&mut found, &pair, &windows);
            }
            all.push(found);
        }
    }
    let mut counted: BTreeMap<(String, bool), f64> = BTreeMap::new();
    for case in &all {
        *counted.entry((case.source.clone(), case.is_official)).or_default() += 1.0;
    }
    for case in &mut all {
        let n = counted.get(&(case.source.clone(), case.is_official)).copied().unwrap_or(1.0);
        case.weight = official.get(case.source.as_str()).copied().unwrap_or(1.0) / n;
    }
    Ok(all)
}

fn case(pair: &Pair, windows: &Windows, group: String, source: String, is_official: bool) -> Case {
    let tolerance = Tolerance::of(pair.kind);
    let margin =
        if pair.kind == MetricKind::ErrorRate { tolerance.tolerable } else { tolerance.tolerable.ln_1p() };
    let bad = pair.bad.each()[0];
    let evidence = evidence(&metric_of(pair, windows), pair.times, bad);
    let mut scores = BTreeMap::new();
    let own =
        FACTORS.map(|factor| evidence.as_ref().map_or(f64::NEG_INFINITY, |e| e.shifted(factor.ln(), margin)));
    scores.insert(Judge::Guard as u8, own);
    let is_throughput = pair.kind == MetricKind::Throughput;
    Case { group, source, is_official, weight: 1.0, evidence, margin, is_throughput, early: [0.0; 5], scores }
}

/// The early end, and the rivals.
pub(crate) fn all(case: &mut Case, pair: &Pair, windows: &Windows) {
    let injected =
        FACTORS.map(|factor| Windows { soak: worse(&windows.soak, pair.bad, factor), ..windows.clone() });
    let of = |score: fn(&Pair, &Windows) -> Option<f64>| {
        injected.each_ref().map(|windows| score(pair, windows).unwrap_or(f64::NEG_INFINITY))
    };
    case.scores.insert(Judge::Percent as u8, of(percent_of));
    case.scores.insert(Judge::MannWhitney as u8, of(mann_whitney_of));
    case.early = crate::early::reach(&metric_of(pair, windows), pair.times.change, Tolerance::of(pair.kind));
}
