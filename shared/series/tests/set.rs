//! A small set of our own (tests/fixtures/series), judged by every rule; and the large one, where it lies beside the checkout.

#![expect(clippy::unwrap_used, reason = "a set that cannot be read has failed the test")]

use std::path::{Path, PathBuf};

use guard_domain::judge::SoakOutcome;
use guard_series::{Files, Pair, Part, Rule, Tally, read, tally};

fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/series")
}

fn counted(rule: Rule, inject: Option<f64>) -> Tally {
    let pairs = read(&own().join("INDEX.csv")).unwrap();
    tally(&pairs, &mut Files::of(&own()), rule, inject).unwrap()
}

fn outcomes(tally: &Tally, part: Part) -> Vec<(&str, SoakOutcome)> {
    tally
        .pairs
        .iter()
        .filter(|said| said.part == part)
        .map(|said| (said.pair_id.as_str(), said.outcome))
        .collect()
}

#[test]
fn nothing_healthy_fails_and_every_fault_does() {
    let tally = counted(Rule::Guard, Some(1.5));
    for (pair, outcome) in outcomes(&tally, Part::NoChange) {
        assert_ne!(outcome, SoakOutcome::Fail, "{pair}");
    }
    for (pair, outcome) in outcomes(&tally, Part::Regression) {
        assert_eq!(outcome, SoakOutcome::Fail, "{pair}");
    }
    // Down is bad for requests: they are divided.
    let injected = [("latency", SoakOutcome::Fail), ("requests", SoakOutcome::Fail)];
    assert_eq!(outcomes(&tally, Part::Injected), injected);
}

#[test]
fn rows_are_sums_and_then_by_source_and_kind() {
    let tally = counted(Rule::Guard, None);
    let first = tally.rows.first().unwrap();
    assert_eq!((first.part, first.source.as_str(), first.counts.pairs), (Part::NoChange, "all", 4));
    let latency =
        tally.rows.iter().find(|row| row.part == Part::Regression && row.metric_kind == "latency").unwrap();
    assert_eq!((latency.source.as_str(), latency.counts.pairs, latency.counts.fail), ("own", 2, 2));
    assert!((latency.fail_rate - 1.0).abs() < 1e-12);
}

#[test]
fn the_rivals_judge_the_same_windows() {
    let percent = counted(Rule::parse("percent:10").unwrap(), Some(1.2));
    // The last two hours of requests are in a daily trough: a percentage of the hours before knows no season.
    let of = |tally: &Tally, part, pair: &str| {
        outcomes(tally, part).into_iter().find(|(id, _)| *id == pair).unwrap().1
    };
    assert_eq!(of(&percent, Part::Regression, "latency-faulty"), SoakOutcome::Fail);
    assert_eq!(of(&percent, Part::NoChange, "latency"), SoakOutcome::Pass);
    assert_eq!(of(&percent, Part::Injected, "latency"), SoakOutcome::Fail);
    let kayenta = counted(Rule::MannWhitney, None);
    assert_eq!(of(&kayenta, Part::Regression, "latency-faulty"), SoakOutcome::Fail);
    assert_eq!(of(&kayenta, Part::Regression, "slow"), SoakOutcome::Fail);
}

#[test]
fn a_rule_is_read_or_refused() {
    assert_eq!(Rule::parse("guard"), Ok(Rule::Guard));
    assert_eq!(Rule::parse("percent:12.5"), Ok(Rule::Percent(12.5)));
    assert_eq!(Rule::parse("mann-whitney"), Ok(Rule::MannWhitney));
    for wrong in ["", "percent", "percent:", "percent:-1", "percent:nan", "kayenta", "guard:2"] {
        assert!(Rule::parse(wrong).unwrap_err().to_string().contains("is no rule"), "{wrong}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let pairs = read(&own().join("INDEX.csv")).unwrap();
    let one = |change: fn(&mut Pair)| {
        let mut pair = pairs.iter().find(|pair| pair.id == "slow").unwrap().clone();
        change(&mut pair);
        tally(&[pair], &mut Files::of(&own()), Rule::Guard, None).unwrap_err().to_string()
    };
    let column = one(|pair| pair.column = "web|latency_p50".into());
    assert!(
        column.starts_with("pair slow: ") && column.contains("web.csv has no column `web|latency_p50`"),
        "{column}"
    );
    let issue = one(|pair| pair.issue = "unknown".into());
    assert!(issue.contains("issues.csv") && issue.contains("for the issue `unknown`"), "{issue}");
    let file = one(|pair| pair.soak_file = "absent.csv".into());
    assert!(file.contains("absent.csv"), "{file}");
    let index = read(&own().join("web.csv")).unwrap_err().to_string();
    assert!(index.ends_with("the index has no column `pair_id`"), "{index}");
}

/// The development half, read in place: what docs/judge.md states must not get worse unnoticed.
#[test]
fn the_large_set_is_judged_as_stated() {
    #[expect(clippy::disallowed_methods, reason = "the one variable that tells where the collection lies")]
    let Some(fixtures) = std::env::var("GUARD_FIXTURES").ok().map(|folder| Path::new(&folder).join("series"))
    else {
        println!("skipped: GUARD_FIXTURES names no folder");
        return;
    };
    // A tenth of it: the whole is measured by `make judge`, in a release build.
    let pairs: Vec<Pair> = read(&fixtures.join("INDEX.csv")).unwrap().into_iter().step_by(10).collect();
    let tally = tally(&pairs, &mut Files::of(&fixtures), Rule::Guard, Some(1.5)).unwrap();
    let rate =
        |part| tally.rows.iter().find(|row| row.part == part && row.source == "all").unwrap().fail_rate;
    assert!(rate(Part::NoChange) < 0.03, "{:?}", tally.rows);
    assert!(rate(Part::Injected) > 0.85, "{:?}", tally.rows);
}
