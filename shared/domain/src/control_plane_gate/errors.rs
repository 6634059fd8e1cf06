//! Do more requests fail since the new istiod is there?

use super::Traffic;
use crate::{Finding, Thresholds};

/// Fewer errors than this are no evidence, whatever their share.
const MIN_ERRORS: f64 = 10.0;

/// Standard deviations of a count above what was to be expected. One look in 700 would be above it by chance alone, and
/// errors come in bursts, so the share must be intolerable too.
const SIGNIFICANT: f64 = 3.0;

/// Compares shares of 5xx. A new istiod can cut clusters off that old proxies know (istio#30437), long before any of them is
/// restarted. Whether the new version is as good as the old one is for the soak to say; here only what is intolerable counts.
pub(super) fn finding(cluster: &str, traffic: &Traffic, thresholds: &Thresholds) -> Option<Finding> {
    let ratio_before = traffic.before.as_ref().and_then(crate::TrafficWindow::error_ratio);
    let since = match &traffic.since {
        Some(since) if since.requests > 0.0 => since,
        // Who had no requests before misses none.
        _ if ratio_before.is_none() => return None,
        _ => {
            return Some(Finding::unknown(
                "NO_TRAFFIC",
                cluster,
                "Datadog has no request since the new istiod is there, and had some before the change",
                "look whether the mesh serves requests, and whether the agents report them",
            ));
        }
    };
    let before = ratio_before.unwrap_or(0.0);
    let expected = before * since.requests;
    let now = since.errors / since.requests;
    let is_seen = since.errors >= MIN_ERRORS && since.errors > expected + SIGNIFICANT * expected.sqrt();
    let is_intolerable = now > before + thresholds.error_rate_increase_max
        || (now > thresholds.error_rate_max && before <= thresholds.error_rate_max);
    (is_seen && is_intolerable).then(|| {
        Finding::blocking(
            "ERRORS_UP",
            cluster,
            format!(
                "{:.0} of {:.0} requests failed since the new istiod is there ({:.2} %), before the change {:.2} %",
                since.errors,
                since.requests,
                now * 100.0,
                before * 100.0
            ),
            "GUARD takes the control plane back; look at istiod's log and at response flags of the failed requests",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrafficWindow;

    fn window((requests, errors): (f64, f64)) -> TrafficWindow {
        TrafficWindow { requests, errors, latency_p95_ms: vec![], minutes_seen: 5 }
    }

    fn code(before: Option<(f64, f64)>, since: Option<(f64, f64)>) -> Option<String> {
        let traffic = Traffic { before: before.map(window), since: since.map(window) };
        let thresholds =
            Thresholds { error_rate_max: 0.05, error_rate_increase_max: 0.01, ..Thresholds::default() };
        finding("c1", &traffic, &thresholds).map(|finding| finding.code)
    }

    #[test]
    fn only_more_than_noise_and_more_than_tolerable_is_a_no() {
        let before = Some((60_000.0, 600.0));
        let up = Some("ERRORS_UP".to_owned());
        assert_eq!(code(before, Some((5_000.0, 50.0))), None, "as before");
        assert_eq!(code(before, Some((5_000.0, 90.0))), None, "more, and tolerable");
        assert_eq!(code(before, Some((5_000.0, 120.0))), up);
        assert_eq!(code(before, Some((100.0, 9.0))), None, "too few to tell");
        assert_eq!(code(Some((60_000.0, 2_700.0)), Some((5_000.0, 270.0))), None, "5.4 % of 4.5 % is noise");
        assert_eq!(
            code(Some((60_000.0, 2_700.0)), Some((50_000.0, 2_700.0))),
            up,
            "beyond the maximum, and seen"
        );
        assert_eq!(
            code(Some((60_000.0, 6_000.0)), Some((50_000.0, 5_100.0))),
            None,
            "it was above the maximum"
        );
        assert_eq!(
            code(None, Some((5_000.0, 500.0))),
            up,
            "nothing is known of before, and this is intolerable"
        );
    }

    #[test]
    fn silence_is_no_answer_where_there_were_requests() {
        assert_eq!(code(Some((60_000.0, 6.0)), None), Some("NO_TRAFFIC".to_owned()));
        assert_eq!(code(Some((60_000.0, 6.0)), Some((0.0, 0.0))), Some("NO_TRAFFIC".to_owned()));
        assert_eq!(code(None, None), None);
    }
}
