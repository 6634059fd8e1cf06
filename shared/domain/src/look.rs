//! What one look at the soak of a batch leads to: verdicts, more time, or a question to a person.

use crate::soak::SoakOutcome;
use crate::{ClusterId, Verdict};

/// How far the soak has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoakTime {
    /// The soak's end has passed.
    pub is_over: bool,
    /// So has the grace for missing data.
    pub gives_up: bool,
    /// How often the soak may still be extended.
    pub extensions_left: u32,
}

/// What follows for the clusters that got no verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Look again.
    GoOn,
    /// Too close to call: judge a longer soak.
    Extend(Vec<ClusterId>),
    /// Something from outside hides what the version does: hold, and judge a soak that begins now.
    StartOver(Vec<ClusterId>),
    /// More time did not tell: a person decides about these.
    Ask(Vec<ClusterId>),
}

/// What a look leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Verdicts that stand.
    pub verdicts: Vec<(ClusterId, Verdict)>,
    /// What follows for the others.
    pub then: Then,
}

/// A fail stands at any time, a pass only at the end; silence waits for its grace and is then no answer. What is open
/// at the end gets more time while there is some, then a person.
pub fn look(outcomes: &[(ClusterId, SoakOutcome)], time: SoakTime) -> Look {
    let mut verdicts = Vec::new();
    let (mut close, mut disturbed, mut silent) = (Vec::new(), Vec::new(), false);
    for (id, outcome) in outcomes {
        match outcome {
            SoakOutcome::Fail => verdicts.push((id.clone(), Verdict::Fail)),
            SoakOutcome::Pass if time.is_over => verdicts.push((id.clone(), Verdict::Pass)),
            SoakOutcome::Insufficient if time.gives_up => verdicts.push((id.clone(), Verdict::Unknown)),
            SoakOutcome::Marginal if time.is_over => close.push(id.clone()),
            SoakOutcome::External if time.is_over => disturbed.push(id.clone()),
            SoakOutcome::Insufficient => silent = true,
            SoakOutcome::Pass | SoakOutcome::Marginal | SoakOutcome::External => {}
        }
    }
    let then = match (close.is_empty(), disturbed.is_empty()) {
        (true, true) => Then::GoOn,
        (_, false) if time.extensions_left > 0 => Then::StartOver(disturbed),
        (false, true) if time.extensions_left > 0 => Then::Extend(close),
        // One question for all: whoever still waits for data may need none.
        _ if silent => Then::GoOn,
        _ => Then::Ask(outcomes_of(outcomes, &[close, disturbed].concat())),
    };
    Look { verdicts, then }
}

/// The named clusters in the order of the look.
fn outcomes_of(outcomes: &[(ClusterId, SoakOutcome)], named: &[ClusterId]) -> Vec<ClusterId> {
    outcomes.iter().map(|(id, _)| id).filter(|id| named.contains(id)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use SoakOutcome as O;
    use proptest::prelude::*;

    fn id(n: usize) -> ClusterId {
        ClusterId::parse(&format!("c{n}")).unwrap()
    }

    fn at(is_over: bool, gives_up: bool, extensions_left: u32) -> SoakTime {
        SoakTime { is_over, gives_up, extensions_left }
    }

    fn seen(outcomes: &[SoakOutcome], time: SoakTime) -> Look {
        let named: Vec<_> = outcomes.iter().enumerate().map(|(n, outcome)| (id(n), *outcome)).collect();
        look(&named, time)
    }

    #[test]
    fn before_the_end_only_a_fail_stands() {
        let all = [O::Pass, O::Fail, O::Marginal, O::External, O::Insufficient];
        let look = seen(&all, at(false, false, 4));
        assert_eq!(look, Look { verdicts: vec![(id(1), Verdict::Fail)], then: Then::GoOn });
    }

    #[test]
    fn what_is_open_at_the_end_gets_more_time_and_then_a_person() {
        let two = [O::Pass, O::Marginal];
        let passed = vec![(id(0), Verdict::Pass)];
        let look = seen(&two, at(true, false, 1));
        assert_eq!(look, Look { verdicts: passed.clone(), then: Then::Extend(vec![id(1)]) });
        let look = seen(&two, at(true, false, 0));
        assert_eq!(look, Look { verdicts: passed, then: Then::Ask(vec![id(1)]) });
    }

    #[test]
    fn an_outside_cause_starts_the_soak_over_for_all() {
        let look = seen(&[O::Marginal, O::External], at(true, false, 2));
        assert_eq!(look.then, Then::StartOver(vec![id(1)]));
        let look = seen(&[O::External, O::Marginal], at(true, false, 0));
        assert_eq!(look.then, Then::Ask(vec![id(0), id(1)]));
    }

    #[test]
    fn nobody_is_asked_while_data_may_still_come() {
        let look = seen(&[O::Marginal, O::Insufficient], at(true, false, 0));
        assert_eq!(look, Look { verdicts: Vec::new(), then: Then::GoOn });
        let look = seen(&[O::Marginal, O::Insufficient], at(true, true, 0));
        let unknown = vec![(id(1), Verdict::Unknown)];
        assert_eq!(look, Look { verdicts: unknown, then: Then::Ask(vec![id(0)]) });
    }

    fn any_outcome() -> impl Strategy<Value = SoakOutcome> {
        prop_oneof![Just(O::Pass), Just(O::Fail), Just(O::Marginal), Just(O::External), Just(O::Insufficient)]
    }

    proptest! {
        #[test]
        fn only_a_pass_at_the_end_passes(
            outcomes in proptest::collection::vec(any_outcome(), 0..8), is_over: bool, late: bool, left in 0u32..3
        ) {
            let look = seen(&outcomes, at(is_over, is_over && late, left));
            for (n, outcome) in outcomes.iter().enumerate() {
                let verdict = look.verdicts.iter().find(|(named, _)| *named == id(n)).map(|(_, verdict)| *verdict);
                prop_assert_eq!(verdict == Some(Verdict::Pass), is_over && *outcome == O::Pass);
                prop_assert_eq!(verdict == Some(Verdict::Fail), *outcome == O::Fail);
            }
        }

        /// Once nothing more is to come, every cluster has a verdict or is asked about: no look is the last one without
        /// an end.
        #[test]
        fn after_the_grace_nothing_stays_open(outcomes in proptest::collection::vec(any_outcome(), 1..8)) {
            let look = seen(&outcomes, at(true, true, 0));
            let asked = match &look.then { Then::Ask(ids) => ids.len(), _ => 0 };
            prop_assert_eq!(look.verdicts.len() + asked, outcomes.len());
        }
    }
}
