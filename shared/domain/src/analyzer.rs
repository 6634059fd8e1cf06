//! What Istio's own analyzer says of a cluster's configuration.

use crate::{ClusterId, Finding, OnUnknown};

/// The finding of an analyzer that was not run, with a layer of istioctl or without: no version of GUARD runs one yet.
/// Whether that stops an upgrade is the policy's to say, never assumed to be a pass.
pub fn not_run(cluster: &ClusterId, policy: OnUnknown) -> Finding {
    let write = match policy {
        OnUnknown::Warn => Finding::warning,
        OnUnknown::Stop => Finding::unknown,
    };
    write(
        "ANALYZER_UNKNOWN",
        cluster.as_str(),
        "istioctl analyze was not run: this version of GUARD runs no istioctl",
        "run it by hand; policy.analyzer_unknown says whether its answer is waited for",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Severity, Verdict};

    #[test]
    fn the_policy_says_whether_no_answer_stops_the_upgrade() {
        let cluster = ClusterId::parse("c1").unwrap();
        let of = |policy| not_run(&cluster, policy);
        assert_eq!(of(OnUnknown::Warn).severity, Severity::Warning);
        assert_eq!(Verdict::of(&[of(OnUnknown::Warn)]), Verdict::Pass);
        assert_eq!(Verdict::of(&[of(OnUnknown::Stop)]), Verdict::Unknown);
        assert_eq!(of(OnUnknown::Stop).brief(), "ANALYZER_UNKNOWN c1");
    }
}
