//! How many requests all functions together may send to one system: a budget for each ten seconds, counted where all of
//! them can see it.

use std::ops::RangeInclusive;

use jiff::Timestamp;

/// Short enough that a burst at the edge of two windows is a burst of seconds, long enough that a window is one row.
const WINDOW_SECONDS: i64 = 10;

/// Windows of one pause: ten minutes. A system that asks for more is asked again then.
const MAX_WINDOWS: i64 = 60;

/// A budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Requests a minute.
    pub per_minute: u32,
}

impl Budget {
    /// The window of a moment.
    pub fn window(now: Timestamp) -> i64 {
        now.as_second().div_euclid(WINDOW_SECONDS)
    }

    /// Requests of one window; at least one, or nothing would ever go out.
    pub fn per_window(self) -> u64 {
        u64::from(self.per_minute).div_euclid(60 / WINDOW_SECONDS.unsigned_abs()).max(1)
    }

    /// Seconds until the next window begins.
    pub fn seconds_to_next(now: Timestamp) -> i64 {
        WINDOW_SECONDS - now.as_second().rem_euclid(WINDOW_SECONDS)
    }

    /// The windows of a pause: this one and every one that begins before its end.
    pub fn pause(now: Timestamp, until: Timestamp) -> RangeInclusive<i64> {
        let first = Self::window(now);
        let last = (until.as_second() - 1).div_euclid(WINDOW_SECONDS);
        first..=last.clamp(first, first + MAX_WINDOWS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_minute_is_six_windows_that_add_up() {
        for (per_minute, per_window) in [(600, 100), (60, 10), (65, 10), (5, 1), (0, 1)] {
            assert_eq!(Budget { per_minute }.per_window(), per_window);
        }
        assert_eq!(Budget::window(at(119)) - Budget::window(at(60)), 5);
        assert_eq!((Budget::seconds_to_next(at(60)), Budget::seconds_to_next(at(69))), (10, 1));
    }

    #[test]
    fn a_pause_covers_its_time_and_ends() {
        assert_eq!(Budget::pause(at(65), at(66)), 6..=6);
        assert_eq!(Budget::pause(at(65), at(70)), 6..=6);
        assert_eq!(Budget::pause(at(65), at(71)), 6..=7);
        assert_eq!(Budget::pause(at(65), at(10)), 6..=6, "a time that is over");
        assert_eq!(Budget::pause(at(60), at(1_000_000)).count(), 60, "no pause is for ever");
    }

    proptest! {
        #[test]
        fn nothing_is_sent_inside_of_a_pause(now in 0_i64..10_000, length in 1_i64..600, later in 0_i64..600) {
            let windows = Budget::pause(at(now), at(now + length));
            let moment = now + later;
            if moment < now + length {
                prop_assert!(windows.contains(&Budget::window(at(moment))), "{windows:?}");
            }
        }
    }
}
