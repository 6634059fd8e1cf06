//! Clusters that were not upgraded, beside one that was.
//!
//! What they share in ordinary times is taken off by a coefficient that the past teaches, shrunk to nothing where it
//! teaches nothing. Where they visibly move now, all of what they share is taken off: what is left is the new version's,
//! and if nothing is left the cause is outside. Controls excuse, they do not accuse: that they became better makes no
//! cluster worse, so only what they became worse by is taken off.

use super::baseline::Baseline;
use super::evidence::{Evidence, LookEvidence};
use super::float;
use super::metric::FAIL_AT;
use super::spread::{Spread, median};
use super::window::{STATISTICS, UNKNOWN};

/// Fewer could have moved by chance.
pub const MIN_CONTROLS: usize = 2;
/// So many placebos weigh as much as the belief that there is nothing in common.
const DOUBT: f64 = 50.0;
/// From this part of a fail on the controls have moved.
const MOVED: f64 = 0.5;

/// An upgraded cluster's metric, with what its controls say.
#[derive(Debug, Clone, PartialEq)]
pub struct Beside {
    /// What is left of the shift.
    pub evidence: Evidence,
    /// The controls in their middle.
    pub controls: Evidence,
    /// They moved themselves, in the bad direction.
    pub have_moved: bool,
    /// They became better by more than is tolerable the other way: then nothing fails that does not fail alone.
    pub have_improved: bool,
}

/// Takes off what the controls share; `None` with too few of them. All evidence is of the same moment and direction.
pub fn beside(own: &Evidence, controls: &[Evidence], margin: f64) -> Option<Beside> {
    let middle = middle(own, controls)?;
    let have_moved = middle.strength(margin) >= FAIL_AT * MOVED;
    let have_improved = middle.looks.iter().any(|look| look.shift[0] < -margin);
    let looks =
        own.looks.iter().zip(&middle.looks).map(|(own, controls)| less(own, controls, have_moved)).collect();
    let baselines: Option<[Baseline; STATISTICS]> = own.baselines;
    Some(Beside { evidence: Evidence::of(looks, baselines), controls: middle, have_moved, have_improved })
}

/// The middle of the controls, at the change and at every placebo.
fn middle(own: &Evidence, controls: &[Evidence]) -> Option<Evidence> {
    let known: Vec<&Evidence> = controls
        .iter()
        .filter(|control| {
            control.looks.len() == own.looks.len() && control.looks.iter().all(LookEvidence::is_known)
        })
        .collect();
    if known.len() < MIN_CONTROLS {
        return None;
    }
    let looks = own.looks.iter().enumerate().map(|(n, look)| {
        let of = |read: &dyn Fn(&LookEvidence) -> Option<[f64; STATISTICS]>| {
            let all: Vec<[f64; STATISTICS]> =
                known.iter().filter_map(|control| control.looks.get(n).and_then(read)).collect();
            let mut found = UNKNOWN;
            for (s, slot) in found.iter_mut().enumerate() {
                let mut values: Vec<f64> =
                    all.iter().map(|all| all[s]).filter(|value| !value.is_nan()).collect();
                if values.len() >= MIN_CONTROLS {
                    *slot = median(&mut values);
                }
            }
            found
        };
        let shifts = std::iter::once(of(&|look| Some(look.shift)));
        let placebos = (0..look.placebos.len()).map(|k| of(&|look| look.placebos.get(k).copied()));
        LookEvidence::of(look.minutes, shifts.chain(placebos).collect())
    });
    Some(Evidence::of(looks.collect(), None))
}

/// A look less what the controls share with it.
fn less(own: &LookEvidence, controls: &LookEvidence, whole: bool) -> LookEvidence {
    let mut shared = [0.0; STATISTICS];
    for (s, slot) in shared.iter_mut().enumerate() {
        *slot = if whole { 1.0 } else { coefficient(own, controls, s) };
    }
    let take = |own: &[f64; STATISTICS], controls: &[f64; STATISTICS]| {
        let mut left = *own;
        for (s, slot) in left.iter_mut().enumerate() {
            // Nothing is shared: a gap of the controls is none of ours.
            if shared[s] > 0.0 {
                *slot -= shared[s] * controls[s];
            }
        }
        left
    };
    let worse = controls.shift.map(|shift| if shift < 0.0 { 0.0 } else { shift });
    let shift = take(&own.shift, &worse);
    let placebos = own.placebos.iter().zip(&controls.placebos).map(|(own, controls)| take(own, controls));
    LookEvidence::of(own.minutes, std::iter::once(shift).chain(placebos).collect())
}

/// How much of what the controls do this cluster does too, by its placebos: 0 to 1, shrunk to 0; and 0 where taking it off
/// would leave more noise than before.
fn coefficient(own: &LookEvidence, controls: &LookEvidence, s: usize) -> f64 {
    let pairs: Vec<(f64, f64)> = own
        .placebos
        .iter()
        .zip(&controls.placebos)
        .map(|(own, controls)| (own[s], controls[s]))
        .filter(|(own, controls)| !own.is_nan() && !controls.is_nan())
        .collect();
    let both: f64 = pairs.iter().map(|(own, controls)| own * controls).sum();
    let alone: f64 = pairs.iter().map(|(_, controls)| controls * controls).sum();
    if pairs.is_empty() || alone <= 0.0 || controls.shift[s].is_nan() {
        return 0.0;
    }
    let n = float(pairs.len());
    let found = (both / alone).clamp(0.0, 1.0) * n / (n + DOUBT);
    let mut scratch = Vec::new();
    let before: Vec<f64> = pairs.iter().map(|(own, _)| *own).collect();
    let after: Vec<f64> = pairs.iter().map(|(own, controls)| own - found * controls).collect();
    if Spread::of(&after, &mut scratch).scale() < Spread::of(&before, &mut scratch).scale() {
        found
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: f64 = 0.1;
    const PLACEBOS: usize = 100;

    /// Two patterns of nothing, of one size, that have nothing in common.
    fn one(k: usize) -> f64 {
        if k.is_multiple_of(2) { 0.02 } else { -0.02 }
    }

    fn other(k: usize) -> f64 {
        if k.is_multiple_of(4) || k % 4 == 1 { 0.02 } else { -0.02 }
    }

    fn evidence(shift: f64, placebo: impl Fn(usize) -> f64) -> Evidence {
        let look = |minutes: f64| {
            let all = std::iter::once(shift).chain((0..PLACEBOS).map(&placebo));
            LookEvidence::of(minutes, all.map(|value| [value; STATISTICS]).collect())
        };
        Evidence::of(vec![look(60.0), look(120.0)], None)
    }

    fn left(own: &Evidence, controls: &[Evidence]) -> (f64, Beside) {
        let found = beside(own, controls, MARGIN).unwrap();
        (found.evidence.looks[1].shift[2], found)
    }

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    /// A hundred placebos against a doubt of fifty: two thirds of what is shared.
    #[test]
    fn what_the_past_shares_is_taken_off_with_doubt() {
        let kin = |shift: f64| vec![evidence(shift, one); 3];
        let (shift, found) = left(&evidence(0.3, one), &kin(0.03));
        assert!(close(shift, 0.3 - 0.02) && !found.have_moved && !found.have_improved, "{shift}");
        // The same is taken off the placebos, so what is left of them is a third.
        let alone = evidence(0.3, one).looks[0].scale[0];
        assert!(close(found.evidence.looks[0].scale[0] * 3.0, alone));
        // Half as much in common, and more than all of it.
        assert!(close(left(&evidence(0.3, |k| one(k) / 2.0), &kin(0.03)).0, 0.3 - 0.01));
        assert!(close(left(&evidence(0.3, |k| one(k) * 3.0), &kin(0.03)).0, 0.3 - 0.02));
        // Nothing in common, and the opposite.
        for strange in [|k: usize| other(k), |k: usize| -one(k)] {
            let own = evidence(0.3, strange);
            assert_eq!(left(&own, &kin(0.03)).1.evidence.looks, own.looks);
        }
    }

    #[test]
    fn a_gap_of_strangers_is_none_of_ours() {
        let own = evidence(0.3, other);
        let torn = evidence(0.0, |k| if k == 7 { f64::NAN } else { one(k) });
        // One point of a hundred more or less makes them no kin; their gap is not taken over.
        let (_, found) = left(&evidence(0.3, one), &[torn.clone(), torn.clone()]);
        assert!(found.evidence.looks[0].placebos[7][0].is_nan());
        let silent = evidence(f64::NAN, one);
        let moved = [torn.clone(), torn, silent.clone()];
        assert!(beside(&own, &moved, MARGIN).is_some());
        assert!(beside(&own, &[silent.clone(), silent], MARGIN).is_none());
        let never = evidence(0.0, |_| 0.0);
        assert_eq!(left(&own, &[never.clone(), never]).1.evidence.looks, own.looks);
    }

    /// Of the strength of a fail, half is a move; better by more than is tolerable is an improvement.
    #[test]
    fn controls_have_moved_or_not() {
        let of = |shift: f64| left(&evidence(0.6, other), &vec![evidence(shift, one); 2]).1;
        let strength = |shift: f64| evidence(shift, one).strength(MARGIN);
        let just =
            (100..2_000).map(|n| f64::from(n) / 1_000.0).find(|n| strength(*n) >= FAIL_AT / 2.0).unwrap();
        assert!(!of(0.1).have_moved && of(just + 0.001).have_moved, "{just}");
        // All of a move is taken off, and nothing of an improvement.
        let left = |shift: f64| of(shift).evidence.looks[0].shift[0];
        assert!(close(left(just + 0.2), 0.6 - just - 0.2));
        for (shift, improved) in [(-0.09, false), (-0.11, true), (-0.5, true)] {
            let found = of(shift);
            assert!(found.have_improved == improved && !found.have_moved, "{shift}");
            assert!(close(left(shift), 0.6));
        }
        // Of kin too: the past says that they share, and a fall of theirs is still no rise of ours.
        let kin = beside(&evidence(0.3, one), &vec![evidence(-0.09, one); 2], MARGIN).unwrap();
        assert!(close(kin.evidence.looks[0].shift[0], 0.3));
    }

    #[test]
    fn two_of_the_same_looks_are_enough() {
        let own = evidence(0.3, one);
        assert!(beside(&own, std::slice::from_ref(&own), MARGIN).is_none());
        assert!(beside(&own, &[own.clone(), own.clone()], MARGIN).is_some());
        let mut short = own.clone();
        short.looks.pop();
        assert!(beside(&own, &[own.clone(), short], MARGIN).is_none());
    }
}
