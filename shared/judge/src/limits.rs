//! What need not wait for the end of a soak: a cluster that fails its requests, and a metric that is plainly worse.

use super::counts::{Counts, MIN_ERRORS};
use super::series::Series;

/// So many minutes one after the other are no hiccup.
pub const BROKEN_MINUTES: i64 = 5;

/// Deviations of the mean ([`super::MetricVerdict::z`]) that two looks [`EARLY_MINUTES`] apart must both show, beside a
/// change that is more than intolerable, to end a soak. Windows of minutes have fatter tails than those of an hour: at 6
/// one healthy metric in a thousand would end its first hour. Measured, see docs/judge.md.
pub const EARLY: f64 = 12.0;
/// Minutes from one look to the next.
pub const EARLY_MINUTES: u32 = 5;

/// A time in which too many requests failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Broken {
    /// When it began, Unix seconds.
    pub from: i64,
    /// The end of the point at which it was clear, Unix seconds.
    pub until: i64,
    /// Requests and errors between the two.
    pub counts: Counts,
}

/// The first time in `[from, until)` in which success was below `floor` (0.95 is 95 %) in every point of
/// [`BROKEN_MINUTES`] minutes one after the other, with as many errors as are evidence. Both series are counts a point; a
/// gap of the errors beside requests is none, for there is no series of what never happened. A gap of the requests, or
/// none at all, is neither broken nor fine: it adds nothing to such a time and does not end it, unless it is as long
/// itself.
pub fn broken(requests: &Series, errors: &Series, from: i64, until: i64, floor: f64) -> Option<Broken> {
    let step = requests.step();
    let (all, failed) = (requests.between(from, until), errors.between(from, until));
    let seconds = BROKEN_MINUTES * 60;
    // What is known so far, the seconds of points in it, and the seconds of gaps since its last.
    let (mut run, mut length, mut silent): (Option<Broken>, i64, i64) = (None, 0, 0);
    let starts = (0..).map(|n: i64| all.start().saturating_add(n.saturating_mul(step)));
    for ((at, requests), errors) in starts.zip(all.values()).zip(failed.values()) {
        let point = Counts { requests: *requests, errors: if errors.is_nan() { 0.0 } else { *errors } };
        match point.share() {
            None => {
                silent = silent.saturating_add(step);
                if silent >= seconds {
                    run = None;
                }
            }
            Some(share) if share > 1.0 - floor => {
                let before = run.map_or((at, 0, Counts::default()), |run| (run.from, length, run.counts));
                let end = at.saturating_add(step);
                let counts = Counts {
                    requests: before.2.requests + point.requests,
                    errors: before.2.errors + point.errors,
                };
                let found = Broken { from: before.0, until: end, counts };
                (length, silent) = (before.1.saturating_add(step), 0);
                if length >= seconds && counts.errors >= MIN_ERRORS {
                    return Some(found);
                }
                run = Some(found);
            }
            Some(_) => (run, silent) = (None, 0),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: f64 = 0.95;

    fn series(step: i64, points: &[Option<f64>]) -> Series {
        Series::new(600, step, points).unwrap()
    }

    /// Minutes, as requests and errors; `None` is a gap.
    fn found(minutes: &[Option<(f64, f64)>]) -> Option<Broken> {
        let requests: Vec<_> = minutes.iter().map(|point| point.map(|(requests, _)| requests)).collect();
        let errors: Vec<_> = minutes.iter().map(|point| point.map(|(_, errors)| errors)).collect();
        broken(&series(60, &requests), &series(60, &errors), 600, 600 + 3_600, FLOOR)
    }

    const BAD: Option<(f64, f64)> = Some((100.0, 6.0));
    const FINE: Option<(f64, f64)> = Some((100.0, 5.0));

    #[test]
    fn five_bad_minutes_are_broken_and_four_are_not() {
        let five = found(&[FINE, BAD, BAD, BAD, BAD, BAD, BAD]).unwrap();
        assert_eq!((five.from, five.until), (660, 960));
        assert_eq!(five.counts, Counts { requests: 500.0, errors: 30.0 });
        assert_eq!(found(&[BAD, BAD, BAD, BAD, FINE, BAD, BAD, BAD, BAD]), None);
        assert_eq!(found(&[FINE; 30]), None);
    }

    #[test]
    fn at_the_floor_is_not_below_it() {
        let (requests, errors) = (series(300, &[Some(64.0); 2]), |n: f64| series(300, &[Some(n); 2]));
        assert_eq!(broken(&requests, &errors(32.0), 600, 1_200, 0.5), None);
        assert!(broken(&requests, &errors(33.0), 600, 1_200, 0.5).is_some());
    }

    #[test]
    fn few_errors_are_none_until_they_are_ten() {
        let one = Some((1.0, 1.0));
        assert_eq!(found(&[one; 9]), None);
        assert_eq!(found(&[one; 10]).unwrap().until, 600 + 600);
    }

    #[test]
    fn a_gap_is_neither_broken_nor_fine() {
        assert_eq!(found(&[None; 60]), None);
        assert_eq!(found(&[Some((0.0, 0.0)); 60]), None);
        assert_eq!(found(&[BAD, BAD, None, None, BAD, BAD]), None);
        let torn = found(&[BAD, BAD, None, Some((0.0, 0.0)), BAD, BAD, BAD]).unwrap();
        assert_eq!((torn.from, torn.until), (600, 600 + 7 * 60));
        // As long as what is asked for: what was before it is another story.
        assert_eq!(found(&[BAD, BAD, BAD, BAD, None, None, None, None, None, BAD]), None);
        // Two short ones, with a bad minute between them, are not one long one.
        assert!(found(&[BAD, None, None, None, BAD, None, None, None, BAD, BAD, BAD]).is_some());
    }

    /// Datadog has no series of what never happened.
    #[test]
    fn no_errors_beside_requests_are_none() {
        let requests = series(300, &[Some(1_000.0); 3]);
        assert_eq!(broken(&requests, &series(300, &[]), 600, 1_500, FLOOR), None);
        assert_eq!(broken(&requests, &series(300, &[Some(10.0), None, None]), 600, 1_500, FLOOR), None);
    }

    /// A point of five minutes is five minutes.
    #[test]
    fn one_long_point_is_enough() {
        let requests = series(300, &[Some(1_000.0); 3]);
        let errors = series(300, &[Some(80.0), None, Some(70.0)]);
        let all = broken(&requests, &errors, 600, 1_500, FLOOR).unwrap();
        assert_eq!((all.from, all.until, all.counts.errors), (600, 900, 80.0));
        let soak = broken(&requests, &errors, 900, 1_500, FLOOR).unwrap();
        assert_eq!((soak.from, soak.until, soak.counts.errors), (1_200, 1_500, 70.0));
        assert_eq!(broken(&requests, &errors, 900, 1_200, FLOOR), None);
    }
}
