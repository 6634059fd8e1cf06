//! Times in which nothing starts.

use jiff::Timestamp;

use crate::{Config, Finding};

/// Findings about the batch as a whole, before anything is asked of a cluster.
pub fn freeze(config: &Config, now: Timestamp) -> Vec<Finding> {
    config
        .policy
        .freeze_windows
        .iter()
        .filter(|window| window.from <= now && now < window.to)
        .map(|window| {
            Finding::blocking(
                "FREEZE_WINDOW",
                format!("{} to {}", window.from, window.to),
                &window.reason,
                "start again afterwards, or start with an override and its reason",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_window_holds_from_its_first_moment_to_its_last() {
        let mut config = Config::default();
        let at = |s: &str| s.parse::<Timestamp>().unwrap();
        config.policy.freeze_windows = vec![crate::FreezeWindow {
            from: at("2026-12-20T00:00:00Z"),
            to: at("2027-01-03T00:00:00Z"),
            reason: "holidays".into(),
        }];
        assert_eq!(freeze(&config, at("2026-12-20T00:00:00Z")).len(), 1);
        assert_eq!(freeze(&config, at("2027-01-03T00:00:00Z")).len(), 0);
    }
}
