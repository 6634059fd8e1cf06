//! What Istio's own analyzer says of a cluster's configuration.

use crate::{ClusterId, Finding, IstioVersion, OnUnknown};

/// The finding of an analyzer that was not run. Its answer counts only from an istioctl of the target's minor version, and
/// no version of GUARD runs one yet; whether that stops an upgrade is the policy's to say, never assumed to be a pass.
pub fn not_run(cluster: &ClusterId, target: &IstioVersion, policy: OnUnknown) -> Finding {
    let write = match policy {
        OnUnknown::Warn => Finding::warning,
        OnUnknown::Stop => Finding::unknown,
    };
    write(
        "ANALYZER_UNKNOWN",
        cluster.as_str(),
        format!(
            "istioctl analyze was not run: there is no istioctl of Istio {}.{} here",
            target.major(),
            target.minor()
        ),
        "run it by hand; policy.analyzer_unknown says whether its answer is waited for",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Severity, Verdict};

    #[test]
    fn the_policy_says_whether_no_answer_stops_the_upgrade() {
        let (cluster, target) = (ClusterId::parse("c1").unwrap(), IstioVersion::parse("1.30.5").unwrap());
        let of = |policy| not_run(&cluster, &target, policy);
        assert_eq!(of(OnUnknown::Warn).severity, Severity::Warning);
        assert_eq!(Verdict::of(&[of(OnUnknown::Warn)]), Verdict::Pass);
        assert_eq!(Verdict::of(&[of(OnUnknown::Stop)]), Verdict::Unknown);
        assert!(of(OnUnknown::Stop).to_string().contains("Istio 1.30 here"), "{}", of(OnUnknown::Stop));
    }
}
