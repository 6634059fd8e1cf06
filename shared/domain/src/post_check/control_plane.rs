//! Do the proxies take what the new istiod sends them?

use super::Before;
use crate::{ControlPlaneFacts, Finding, MeshPodFacts, MeshRole};

/// A share of configurations that may be refused above the share of before: one in a thousand is a proxy that was stopped
/// while it answered.
const TOLERATED: f64 = 0.001;

/// Proxies may connect again while they are counted; fewer than this share of them is a part of the mesh.
const CONNECTED: f64 = 0.9;

/// The new istiod counts from zero, so shares are compared and not sums.
pub(crate) fn findings(
    cluster: &str,
    now: &ControlPlaneFacts,
    pods: &[MeshPodFacts],
    before: Option<&Before<'_>>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let then = before.and_then(|before| before.control_plane);
    let share = |facts: &ControlPlaneFacts, count: u64| ratio(count, facts.pushes.saturating_add(count));
    let mut compare = |code: &str, what: &str, count: fn(&ControlPlaneFacts) -> u64, remedy: &str| {
        let (failed, now_share) = (count(now), share(now, count(now)));
        match then {
            _ if failed == 0 => {}
            Some(then) if now_share <= share(then, count(then)) + TOLERATED => {}
            Some(then) => found.push(Finding::blocking(
                code,
                cluster,
                format!(
                    "{failed} of {} configurations {what}, before the change {} of {}",
                    now.pushes,
                    count(then),
                    then.pushes
                ),
                remedy,
            )),
            None => {
                let message = format!(
                    "{failed} of {} configurations {what}, and nobody knows how many before the change",
                    now.pushes
                );
                // A rollback by hand has no before, and must not stay open for what may always have been so.
                found.push(match before {
                    Some(_) => Finding::unknown(code, cluster, message, remedy),
                    None => Finding::warning(code, cluster, message, remedy),
                });
            }
        }
    };
    compare(
        "XDS_REJECTS",
        "were refused by proxies",
        |facts| facts.rejects,
        "istioctl proxy-status names the proxies, istiod's log the cause; an EnvoyFilter may not fit the new version",
    );
    compare(
        "XDS_UNSENT",
        "could not be sent",
        |facts| facts.unsent + facts.internal_errors,
        "look at istiod's log, memory and CPU",
    );
    let has_proxy = |pod: &&MeshPodFacts| {
        pod.is_ready && matches!(pod.role, MeshRole::Sidecar | MeshRole::Gateway | MeshRole::Ztunnel)
    };
    let proxies = u64::try_from(pods.iter().filter(has_proxy).count()).unwrap_or(u64::MAX);
    if ratio(now.proxies(), proxies) < CONNECTED {
        found.push(Finding::blocking(
            "PROXIES_DISCONNECTED",
            cluster,
            format!("{} of {proxies} proxies are connected to istiod", now.proxies()),
            "look at a proxy's log: it says why it cannot connect",
        ));
    }
    found
}

/// Of nothing, everything is there.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{IstioVersion, Severity};

    fn facts(pushes: u64, rejects: u64, unsent: u64) -> ControlPlaneFacts {
        let version = IstioVersion::parse("1.30.5").ok();
        ControlPlaneFacts { connected: vec![(version, 2)], pushes, rejects, unsent, internal_errors: 0 }
    }

    fn found(
        now: &ControlPlaneFacts,
        then: Option<&ControlPlaneFacts>,
        pods: usize,
    ) -> Vec<(String, Severity)> {
        let pod = MeshPodFacts {
            name: "shop/web-1".into(),
            role: MeshRole::Sidecar,
            version: None,
            hub: String::new(),
            is_ready: true,
            restarts: 0,
            last_end: None,
        };
        let before = Before { control_plane: then, ..Before::default() };
        let found = findings("c1", now, &vec![pod; pods], Some(&before));
        found.into_iter().map(|finding| (finding.code, finding.severity)).collect()
    }

    #[test]
    fn more_refused_than_before_is_a_no() {
        let is = |code: &str, severity| vec![(code.to_owned(), severity)];
        let before = facts(10_000, 50, 20);
        assert_eq!(found(&facts(1_000, 0, 0), Some(&before), 2), []);
        assert_eq!(found(&facts(1_000, 5, 2), Some(&before), 2), [], "as before");
        assert_eq!(found(&facts(1_000, 9, 2), Some(&before), 2), is("XDS_REJECTS", Severity::Blocking));
        assert_eq!(found(&facts(1_000, 5, 9), Some(&before), 2), is("XDS_UNSENT", Severity::Blocking));
        let errors = ControlPlaneFacts { internal_errors: 9, ..facts(1_000, 0, 0) };
        assert_eq!(found(&errors, Some(&before), 2), is("XDS_UNSENT", Severity::Blocking));
        assert_eq!(found(&facts(0, 1, 0), Some(&before), 2), is("XDS_REJECTS", Severity::Blocking));
        assert_eq!(found(&facts(1_000, 1, 0), None, 2), is("XDS_REJECTS", Severity::Unknown));
        assert_eq!(found(&facts(1_000, 0, 0), None, 2), []);
        let by_hand = findings("c1", &facts(1_000, 1, 0), &[], None);
        assert_eq!(by_hand[0].severity, Severity::Warning);
    }

    #[test]
    fn a_part_of_the_mesh_that_is_not_connected_is_a_no() {
        assert_eq!(found(&facts(1_000, 0, 0), None, 0), []);
        let disconnected = ("PROXIES_DISCONNECTED".to_owned(), Severity::Blocking);
        assert_eq!(found(&facts(1_000, 0, 0), None, 3), [disconnected]);
    }

    proptest! {
        /// Ten times as busy and just as well is just as well; more refused of as many never turns a no into a pass.
        #[test]
        fn shares_decide(pushes in 1_u64..100_000, rejects in 0_u64..1_000, then in 0_u64..1_000, more in 1_u64..1_000) {
            let before = facts(50_000, then, 0);
            let one = found(&facts(pushes, rejects, 0), Some(&before), 0);
            prop_assert_eq!(&found(&facts(pushes * 10, rejects * 10, 0), Some(&before), 0), &one);
            if !one.is_empty() {
                prop_assert_eq!(&found(&facts(pushes, rejects + more, 0), Some(&before), 0), &one);
            }
        }
    }
}
