//! The bars of the judge, on the large set where it lies beside the checkout: what docs/judge.md states must not get worse
//! unnoticed. They leave room for what a sample errs by; `make judge` prints the figures themselves.

#![expect(clippy::print_stdout, dead_code, reason = "what prints tables is asked for its figures only")]

#[path = "../examples/measure/batches.rs"]
mod batches;
#[path = "../examples/measure/dense.rs"]
mod dense;
#[path = "../examples/measure/early.rs"]
mod early;
#[path = "../examples/measure/folds.rs"]
mod folds;
#[path = "../examples/measure/share.rs"]
mod share;
#[path = "../examples/measure/shocks.rs"]
mod shocks;

use std::path::Path;

use guard_series::{Files, read};

use crate::dense::Judge;

#[test]
fn the_judge_is_as_good_as_stated() {
    #[expect(clippy::disallowed_methods, reason = "the one variable that tells where the collection lies")]
    let Some(fixtures) = std::env::var("GUARD_FIXTURES").ok().map(|folder| Path::new(&folder).join("series"))
    else {
        println!("skipped: GUARD_FIXTURES names no folder");
        return;
    };
    let pairs = read(&fixtures.join("INDEX.csv")).unwrap();
    let cases = dense::cases(&pairs, &mut Files::of(&fixtures), None).unwrap();

    // One metric, at thresholds chosen on other series.
    let (line, ..) = folds::left_out(&cases, Judge::Guard, 0.5);
    let [_, small, large, _] = line.detected.as_slice() else { panic!("{line:?}") };
    assert!(line.false_dense <= 1.0 && *small >= 60.0 && *large >= 90.0, "{line:?}");
    let seasonal = line.by_source.iter().find(|(source, _)| source.starts_with("microsoft")).unwrap().1;
    assert!(seasonal[0] <= 2.0 && seasonal[1] >= 35.0 && seasonal[2] >= 80.0, "{line:?}");

    // The rules over metrics and clusters.
    let of = |words: &str| {
        let plan = batches::PLANS.iter().find(|plan| plan.words == words).unwrap();
        batches::found(&cases, plan, 500)
    };
    assert!(of("nothing").others() <= 0.005);
    for two in ["x1.5, two metrics of one cluster", "x1.5, two other metrics of one cluster"] {
        let found = of(two);
        assert!(found.touched() >= 0.95 && found.others() <= 0.01, "{two}: {found:?}");
    }
    for all in [
        "x1.2, one critical metric of all 12 clusters",
        "x1.2, one other metric of all 12 clusters",
        "x1.2, one critical metric of all 8 of 8 clusters",
    ] {
        assert!(of(all).touched() >= 0.95, "{all}");
    }
    assert!(of("x1.2, one critical metric of 8 clusters").others() <= 0.2);

    // Controls: a shock that is shared is external, one that is not stays, and that others became better fails nobody.
    let shared = shocks::found(&cases, (1.5, 1.5), 1_000);
    assert!(shared.fail <= 10 && shared.external >= 900, "{} {}", shared.fail, shared.external);
    let own = shocks::found(&cases, (1.5, 1.0), 1_000);
    assert!(own.fail >= 900 && own.external <= 10, "{} {}", own.fail, own.external);
    assert!(shocks::found(&cases, (1.0, 0.67), 1_000).fail <= 10);
}
