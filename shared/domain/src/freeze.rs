//! Times in which nothing starts.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Config, Finding};

/// Beyond a month one window would reach into the next one of any useful rule: a unit was mixed up.
const MAX_MINUTES: u32 = 43_200;

/// A time in which no run starts: once, `from` to `to`, or again and again, `minutes` long from each moment of `cron`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeWindow {
    /// First moment, of a window that comes once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// First moment after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Five fields, minute, hour, day, month, weekday: when a window begins that comes again. `0 16 * * FRI`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// How long each of these lasts, minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// Where the clock of `cron` hangs, an IANA name: `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Why, shown to who is refused.
    pub reason: String,
}

/// A window as it is meant.
enum Meant {
    Once(Timestamp, Timestamp),
    Again { cron: Box<Cron>, lasts: SignedDuration, zone: TimeZone },
}

impl FreezeWindow {
    /// What is wrong with it; `None` when it can be followed.
    pub fn problem(&self) -> Option<String> {
        self.meant().err()
    }

    /// The window around this moment, as people write it; `None` outside of it.
    fn around(&self, now: Timestamp) -> Result<Option<String>, String> {
        match self.meant()? {
            Meant::Once(from, to) => Ok((from <= now && now < to).then(|| format!("{from} to {to}"))),
            Meant::Again { cron, lasts, zone } => {
                let here = now.to_zoned(zone);
                // The newest beginning ends last: all windows of a rule are equally long.
                let newest = cron.find_previous_occurrence::<Zoned>(&here, true);
                let begun = newest.map_err(|error| format!("`{}`: {error}", cron.as_str()))?;
                let over = begun.checked_add(lasts).map_err(|error| error.to_string())?;
                Ok((here < over).then(|| format!("{begun} to {over}")))
            }
        }
    }

    fn meant(&self) -> Result<Meant, String> {
        match (&self.from, &self.to, &self.cron, self.minutes, &self.time_zone) {
            (Some(from), Some(to), None, None, None) if from < to => Ok(Meant::Once(*from, *to)),
            (Some(from), Some(to), None, None, None) => Err(format!("`to` {to} is not after `from` {from}")),
            (None, None, Some(pattern), Some(minutes), Some(name)) => {
                if !(1..=MAX_MINUTES).contains(&minutes) {
                    return Err(format!("`minutes` {minutes} is not between 1 and {MAX_MINUTES}"));
                }
                // Five fields and no more: with a sixth, people disagree whether it is seconds or years.
                let parser =
                    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
                let cron = parser.parse(pattern).map_err(|error| format!("`cron` `{pattern}`: {error}"))?;
                let zone = TimeZone::get(name)
                    .map_err(|_| format!("`time_zone` `{name}` is no IANA name such as `Europe/Berlin`"))?;
                Ok(Meant::Again {
                    cron: Box::new(cron),
                    lasts: SignedDuration::from_mins(minutes.into()),
                    zone,
                })
            }
            _ => Err("it needs either `from` and `to`, or `cron`, `minutes` and `time_zone`".to_owned()),
        }
    }
}

/// Findings about the batch as a whole, before anything is asked of a cluster.
pub fn freeze(config: &Config, now: Timestamp) -> Vec<Finding> {
    let found = config.policy.freeze_windows.iter().filter_map(|window| match window.around(now) {
        Ok(None) => None,
        Ok(Some(span)) => Some(Finding::blocking(
            "FREEZE_WINDOW",
            span,
            &window.reason,
            "start again afterwards, or start with an override and its reason",
        )),
        Err(problem) => Some(Finding::unknown(
            "FREEZE_WINDOW",
            "policy.freeze_windows",
            format!("it cannot be said whether now is one: {problem}"),
            "correct it: what is not known is never a pass",
        )),
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn again(cron: &str, minutes: u32, zone: &str) -> FreezeWindow {
        FreezeWindow {
            cron: Some(cron.into()),
            minutes: Some(minutes),
            time_zone: Some(zone.into()),
            reason: "weekend".into(),
            ..FreezeWindow::default()
        }
    }

    fn is_frozen(window: FreezeWindow, now: &str) -> bool {
        let mut config = Config::default();
        config.policy.freeze_windows = vec![window];
        assert_eq!(config.problems(), []);
        match freeze(&config, at(now)).as_slice() {
            [] => false,
            [found] => {
                assert_eq!(found.severity, crate::Severity::Blocking, "{found}");
                true
            }
            more => panic!("{more:?}"),
        }
    }

    #[test]
    fn a_freeze_window_holds_from_its_first_moment_to_its_last() {
        let window = || FreezeWindow {
            from: Some(at("2026-12-20T00:00:00Z")),
            to: Some(at("2027-01-03T00:00:00Z")),
            reason: "holidays".into(),
            ..FreezeWindow::default()
        };
        assert!(!is_frozen(window(), "2026-12-19T23:59:59Z"));
        assert!(is_frozen(window(), "2026-12-20T00:00:00Z"));
        assert!(is_frozen(window(), "2027-01-02T23:59:59Z"));
        assert!(!is_frozen(window(), "2027-01-03T00:00:00Z"));
    }

    /// From Friday 16:00 in Berlin to Monday 08:00.
    #[test]
    fn a_window_that_comes_again_goes_by_its_own_clock() {
        let window = || again("0 16 * * FRI", 64 * 60, "Europe/Berlin");
        // Winter: UTC+1.
        assert!(!is_frozen(window(), "2026-11-27T14:59:59Z"));
        assert!(is_frozen(window(), "2026-11-27T15:00:00Z"));
        assert!(is_frozen(window(), "2026-11-30T06:59:59Z"));
        assert!(!is_frozen(window(), "2026-11-30T07:00:00Z"));
        // Summer: UTC+2.
        assert!(!is_frozen(window(), "2026-07-03T13:59:59Z"));
        assert!(is_frozen(window(), "2026-07-03T14:00:00Z"));
    }

    /// The clock goes back in the night to 2026-10-25 and forward in the night to 2026-03-29: a length is a length, and
    /// a beginning that the clock leaps over comes as soon as it has.
    #[test]
    fn a_night_in_which_the_clock_is_set_is_frozen_too() {
        let window = || again("30 2 * * *", 60, "Europe/Berlin");
        assert!(is_frozen(window(), "2026-10-25T00:30:00Z"), "02:30 summer time");
        assert!(is_frozen(window(), "2026-03-29T01:00:00Z"), "03:00, the first moment after 01:59");
        assert!(!is_frozen(window(), "2026-03-29T00:59:59Z"), "01:59:59");
    }

    #[test]
    fn a_window_longer_than_its_period_never_ends() {
        for hour in 0..24 {
            assert!(is_frozen(again("0 0 * * *", 24 * 60, "UTC"), &format!("2026-11-27T{hour:02}:59:59Z")));
        }
    }

    #[test]
    fn a_window_that_cannot_be_followed_is_a_problem_and_never_a_pass() {
        let once = |from: &str, to: &str| FreezeWindow {
            from: Some(at(from)),
            to: Some(at(to)),
            ..FreezeWindow::default()
        };
        let day = ("2026-12-20T00:00:00Z", "2026-12-21T00:00:00Z");
        for (window, words) in [
            (once(day.1, day.0), "is not after `from`"),
            (FreezeWindow { to: None, ..once(day.0, day.1) }, "it needs either"),
            (FreezeWindow { time_zone: None, ..again("0 16 * * FRI", 60, "UTC") }, "it needs either"),
            (FreezeWindow { minutes: Some(60), ..once(day.0, day.1) }, "it needs either"),
            (again("0 16 * * FRI", 0, "UTC"), "`minutes` 0 is not between"),
            (again("0 25 * * FRI", 60, "UTC"), "`cron` `0 25 * * FRI`: "),
            (again("0 0 16 * * FRI", 60, "UTC"), "`cron` `0 0 16 * * FRI`: "),
            (again("0 16 * * FRI", 60, "Europe/Berln"), "`time_zone` `Europe/Berln` is no IANA name"),
        ] {
            let mut config = Config::default();
            config.policy.freeze_windows = vec![window];
            let problems = config.problems();
            assert_eq!(problems.len(), 1, "{words}");
            assert!(
                problems[0].to_string().starts_with("config policy.freeze_windows: [0]: "),
                "{problems:?}"
            );
            assert!(problems[0].problem.contains(words), "{problems:?}");
            let found = freeze(&config, at("2026-11-27T15:00:00Z"));
            assert_eq!(found[0].severity, crate::Severity::Unknown);
        }
    }
}
