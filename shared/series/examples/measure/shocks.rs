//! A shock that upgraded clusters share with those that were not upgraded, and one that they do not.

use guard_domain::judge::{FAIL_AT, beside};
use rand::SeedableRng as _;
use rand::distr::Distribution as _;
use rand::distr::weighted::WeightedIndex;
use rand_chacha::ChaCha8Rng;

use crate::dense::Case;

const CONTROLS: usize = 4;
const MOMENTS: usize = 5_000;

/// Factors of the upgraded cluster and of its controls.
const SHOCKS: [(f64, f64); 11] = [
    (1.0, 1.0),
    (1.2, 1.0),
    (1.5, 1.0),
    (1.2, 1.2),
    (1.5, 1.5),
    (2.0, 2.0),
    (1.0, 1.5),
    (1.5, 1.2),
    (2.0, 1.3),
    (1.0, 0.67),
    (1.2, 0.67),
];

/// Of the moments with one shock: those that fail alone, beside the controls, and that are external.
pub(crate) struct Found {
    pub(crate) alone: usize,
    pub(crate) fail: usize,
    pub(crate) external: usize,
}

/// A metric worse by `own` at random moments, beside controls that are worse by `theirs`.
pub(crate) fn found(cases: &[Case], (own, theirs): (f64, f64), moments: usize) -> Found {
    let mut all = Found { alone: 0, fail: 0, external: 0 };
    let known: Vec<&Case> =
        cases.iter().filter(|case| !case.is_official && case.evidence.is_some()).collect();
    let Ok(weights) = WeightedIndex::new(known.iter().map(|case| case.weight)) else { return all };
    let mut chance = ChaCha8Rng::seed_from_u64(8);
    for _ in 0..moments {
        let mut draw = |factor: f64| {
            let case = known.get(weights.sample(&mut chance))?;
            Some((case.evidence.as_ref()?.worse(factor.ln()), case.margin))
        };
        let Some((upgraded, margin)) = draw(own) else { continue };
        let controls: Vec<_> =
            (0..CONTROLS).filter_map(|_| draw(theirs)).map(|(evidence, _)| evidence).collect();
        let fails_alone = upgraded.strength(margin) >= FAIL_AT;
        all.alone += usize::from(fails_alone);
        let Some(beside) = beside(&upgraded, &controls, margin) else { continue };
        let fails = beside.evidence.strength(margin) >= FAIL_AT && (fails_alone || !beside.have_improved);
        all.fail += usize::from(fails);
        all.external += usize::from(fails_alone && !fails && beside.have_moved);
    }
    all
}

pub(crate) fn print(cases: &[Case]) {
    println!(
        "One metric at strength {FAIL_AT}, {CONTROLS} controls of other series: {MOMENTS} moments each.\n"
    );
    println!("| upgraded | controls | alone: FAIL | with controls: FAIL | EXTERNAL |\n|---|---|---|---|---|");
    for (own, theirs) in SHOCKS {
        let all = found(cases, (own, theirs), MOMENTS);
        let percent = |n: usize| crate::batches::percent(n, MOMENTS);
        println!(
            "| x{own} | x{theirs} | {} | {} | {} |",
            percent(all.alone),
            percent(all.fail),
            percent(all.external)
        );
    }
}
