//! Thresholds on other series, and curves.

use std::collections::BTreeSet;

use guard_domain::judge::FAIL_AT;

use crate::dense::{Case, FACTORS, Judge};
use crate::share::{factor_names, share};

pub(crate) fn groups(cases: &[Case]) -> BTreeSet<&str> {
    cases.iter().map(|case| case.group.as_str()).collect()
}

fn sources(cases: &[Case]) -> BTreeSet<&str> {
    cases.iter().map(|case| case.source.as_str()).collect()
}

pub(crate) fn header() {
    println!(
        "| judge | aimed at | threshold | false, dense | false, official | {} | by source: false; x1.2; x1.5 |\n|---|---|---|---|---|---|---|---|---|---|",
        factor_names()
    );
}

/// How a judge does at some thresholds, percent of cases.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) false_dense: f64,
    false_official: f64,
    /// By factor, from the smallest on.
    pub(crate) detected: Vec<f64>,
    /// False alarms, x1.2 and x1.5.
    pub(crate) by_source: Vec<(String, [f64; 3])>,
}

/// The threshold for each group is the smallest that keeps the false alarms of all others at the target, percent.
pub(crate) fn left_out(cases: &[Case], judge: Judge, target: f64) -> (Line, f64, f64) {
    let mut ranked: Vec<(f64, f64, &str)> = cases
        .iter()
        .filter(|case| !case.is_official)
        .map(|case| (case.scores(judge)[0], case.weight, case.group.as_str()))
        .collect();
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
    let thresholds: Vec<(&str, f64)> = groups(cases)
        .into_iter()
        .map(|group| {
            let others = || ranked.iter().filter(move |case| case.2 != group);
            let allowed = others().map(|case| case.1).sum::<f64>() * target / 100.0;
            let mut spent = 0.0;
            let first_too_many = others().find(|case| {
                spent += case.1;
                spent > allowed
            });
            (group, first_too_many.map_or(f64::NEG_INFINITY, |case| case.0))
        })
        .collect();
    let threshold = |case: &Case| {
        thresholds.iter().find(|(group, _)| *group == case.group).map_or(f64::INFINITY, |(_, at)| *at)
    };
    let (low, high) = thresholds
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (_, at)| (l.min(*at), h.max(*at)));
    (line(cases, judge, threshold), low, high)
}

pub(crate) fn print_left_out(cases: &[Case], judge: Judge, target: f64) {
    let (line, low, high) = left_out(cases, judge, target);
    print(judge, &format!("{target} %"), &format!("{low:.2} to {high:.2}"), &line);
}

/// One threshold after the other.
pub(crate) fn curve(cases: &[Case], judge: Judge) {
    let thresholds: Vec<f64> = match judge {
        Judge::Guard => vec![1.5, 2.0, 2.25, 2.5, FAIL_AT, 3.0, 3.5, 4.0, 5.0, 6.0],
        Judge::Percent => vec![5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 75.0, 100.0],
        Judge::MannWhitney => vec![0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95],
    };
    header();
    for at in thresholds {
        print(judge, "", &format!("{at}"), &line(cases, judge, |_| at));
    }
    println!();
}

fn line(cases: &[Case], judge: Judge, threshold: impl Fn(&Case) -> f64) -> Line {
    let failed = |n: usize| {
        let threshold = &threshold;
        move |case: &Case| case.scores(judge)[n] > threshold(case)
    };
    let dense = |case: &Case| !case.is_official;
    let by_source = sources(cases).into_iter().map(|source| {
        let of = |case: &Case| !case.is_official && case.source == source;
        (source.to_owned(), [0, 2, 3].map(|n| share(cases, of, failed(n))))
    });
    Line {
        false_dense: share(cases, dense, failed(0)),
        false_official: share(cases, |case| case.is_official, failed(0)),
        detected: (1..FACTORS.len()).map(|n| share(cases, dense, failed(n))).collect(),
        by_source: by_source.collect(),
    }
}

fn print(judge: Judge, aim: &str, threshold: &str, line: &Line) {
    let detected: Vec<String> = line.detected.iter().map(|share| format!("{share:.1}")).collect();
    let by_source: Vec<String> = line
        .by_source
        .iter()
        .map(|(source, [false_alarms, small, large])| {
            format!("{source} {false_alarms:.2}; {small:.0}; {large:.0}")
        })
        .collect();
    println!(
        "| {judge:?} | {aim} | {threshold} | {:.2} | {:.2} | {} | {} |",
        line.false_dense,
        line.false_official,
        detected.join(" | "),
        by_source.join(", "),
    );
}
