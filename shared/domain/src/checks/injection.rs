//! Does a pod made now get a proxy, and which?

use super::{Check, Source, Subject, blocks};
use crate::{Direction, Finding, InjectionProbe, IstioVersion, ProbeOutcome};

pub(super) const CHECK: Check = Check {
    asks: "Would a pod made now get a proxy of the version that runs?",
    because: "The API server must reach istiod on port 15017, istiod must have its CA bundle, and other webhooks must let \
              the pod through: a restart finds out too late (istio#13840, 19 days without an injector with \
              ENABLE_CA_SERVER=false). A pod that is given to the API server as a dry run goes the whole way and is \
              never made.",
    reads: &[Source::Injection],
    codes: &[
        blocks("INJECTOR_REFUSES", "the API server would not make the pod"),
        blocks("NOT_INJECTED", "the pod would have no proxy"),
        blocks(
            "INJECTED_VERSION",
            "it would get a proxy of another version, or of one that its image does not tell",
        ),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let probes = subject.facts.injection.as_ref().ok()?;
    Some(findings(subject.name(), probes, subject.planned.from(Direction::Upgrade)))
}

/// What is wrong with pods that would be made now.
pub(crate) fn findings(cluster: &str, probes: &[InjectionProbe], expected: &IstioVersion) -> Vec<Finding> {
    let one = |probe: &InjectionProbe| {
        let subject = format!("{cluster}: revision {}", probe.revision);
        match &probe.outcome {
            ProbeOutcome::Injected(Some(version)) if version == expected => None,
            ProbeOutcome::Injected(version) => {
                let seen =
                    version.as_ref().map_or_else(|| "an unknown version".to_owned(), ToString::to_string);
                Some(Finding::blocking(
                    "INJECTED_VERSION",
                    subject,
                    format!("a pod made now would get a proxy of {seen}, expected {expected}"),
                    "look at the injector's ConfigMap (istio-sidecar-injector) and global.proxy.image",
                ))
            }
            ProbeOutcome::Bare => Some(Finding::blocking(
                "NOT_INJECTED",
                subject,
                "a pod made now would have no proxy",
                "look at the injector's webhook: its selectors, and a failurePolicy of Ignore that hides errors",
            )),
            ProbeOutcome::Refused(why) => Some(Finding::blocking(
                "INJECTOR_REFUSES",
                subject,
                format!("the API server would not make a pod: {why}"),
                "open port 15017 from the API server to the nodes, and look at istiod and at other webhooks",
            )),
        }
    };
    probes.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;
    use crate::{IstioVersion, ProbeOutcome};

    #[test]
    fn only_a_proxy_of_the_version_that_runs_is_a_pass() {
        for (code, outcome) in [
            ("INJECTED_VERSION", ProbeOutcome::Injected(IstioVersion::parse("1.28.1").ok())),
            ("INJECTED_VERSION", ProbeOutcome::Injected(None)),
            ("NOT_INJECTED", ProbeOutcome::Bare),
            ("INJECTOR_REFUSES", ProbeOutcome::Refused("connection refused".into())),
        ] {
            let found =
                finds(&CHECK, code, |scene| scene.facts.injection.as_mut().unwrap()[0].outcome = outcome);
            assert_eq!(found[0].subject, "c1: revision default");
        }
    }
}
