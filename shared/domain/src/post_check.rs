//! Is the cluster at the version it should be at, in control plane, charts and data plane?

use crate::{ClusterFacts, Finding, IstioVersion};

/// Every finding against the expected version. No finding is a pass.
pub fn findings(cluster: &str, facts: &ClusterFacts, expected: &IstioVersion) -> Vec<Finding> {
    let mut found = Vec::new();
    let istiod = &facts.rollout.istiod;
    let wrong: u32 = istiod.pods.iter().filter(|(v, _)| v.as_ref() != Some(expected)).map(|(_, n)| n).sum();
    if istiod.pods.is_empty() || wrong > 0 || istiod.deployments.values().any(|counts| !counts.is_complete())
    {
        found.push(Finding::blocking(
            "ISTIOD_VERSION",
            cluster,
            format!("istiod is not complete at {expected}: {wrong} pods run something else"),
            "look at the istiod Deployment",
        ));
    }
    for release in &facts.rollout.releases {
        let deployed = release.deployed_version.as_deref().and_then(IstioVersion::from_chart_version);
        if deployed.as_ref() != Some(expected) || release.ready.status != Some(true) {
            found.push(Finding::blocking(
                "CHART_VERSION",
                format!("{cluster}: HelmRelease {}", release.name),
                format!(
                    "deployed {}, expected {expected}; {}",
                    release.deployed_version.as_deref().unwrap_or("nothing"),
                    release.ready.reason
                ),
                "look at the release's conditions",
            ));
        }
    }
    if facts.rollout.releases.is_empty() {
        found.push(Finding::unknown(
            "NO_HELM_RELEASES",
            cluster,
            "no HelmRelease of an Istio chart",
            "look at Flux in this cluster",
        ));
    }
    for workload in &facts.workloads {
        let wrong = workload.pods_not_at(expected);
        if wrong > 0 || !workload.counts.is_complete() {
            found.push(Finding::blocking(
                "PROXY_VERSION",
                format!("{cluster}: {}", workload.workload),
                format!(
                    "{wrong} pods without proxy {expected}, {} of {} ready",
                    workload.counts.ready, workload.counts.desired
                ),
                "look at the workload's pods and events",
            ));
        }
    }
    for node in facts.nodes.iter().filter(|node| !node.is_ready) {
        found.push(Finding::blocking(
            "NODE_NOT_READY",
            format!("{cluster}: node {}", node.name),
            "not Ready",
            "mend or replace the node",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;
    use crate::facts::*;

    fn v(s: &str) -> IstioVersion {
        IstioVersion::parse(s).unwrap()
    }

    fn at_target() -> ClusterFacts {
        let complete = RolloutCounts { desired: 2, updated: 2, ready: 2, total: 2, is_observed: true };
        ClusterFacts {
            rollout: RolloutFacts {
                releases: vec![HelmReleaseFacts {
                    name: "istio-system/istiod".into(),
                    component: crate::Component::Istiod,
                    spec_version: None,
                    is_observed: true,
                    is_suspended: false,
                    ready: Condition { status: Some(true), ..Default::default() },
                    deployed_version: Some("1.30.5".into()),
                }],
                istiod: IstiodFacts {
                    deployments: [("a/istiod".to_owned(), complete.clone())].into(),
                    pods: vec![(Some(v("1.30.5")), 2)],
                },
                ..Default::default()
            },
            workloads: vec![WorkloadFacts {
                workload: WorkloadRef {
                    namespace: "shop".into(),
                    kind: WorkloadKind::StatefulSet,
                    name: "db".into(),
                },
                counts: complete,
                restart_mark: None,
                proxies: vec![(Some(v("1.30.5")), 2)],
            }],
            ..Default::default()
        }
    }

    fn verdict(bend: impl FnOnce(&mut ClusterFacts)) -> Verdict {
        let mut facts = at_target();
        bend(&mut facts);
        Verdict::of(&findings("c1", &facts, &v("1.30.5")))
    }

    #[test]
    fn at_the_version_everywhere_is_a_pass() {
        assert_eq!(verdict(|_| {}), Verdict::Pass);
    }

    #[test]
    fn one_thing_elsewhere_is_a_no() {
        assert_eq!(verdict(|f| f.rollout.istiod.pods[0].0 = Some(v("1.29.3"))), Verdict::Fail);
        assert_eq!(verdict(|f| f.rollout.istiod.pods.clear()), Verdict::Fail);
        assert_eq!(
            verdict(|f| f.rollout.releases[0].deployed_version = Some("1.29.3".into())),
            Verdict::Fail
        );
        assert_eq!(verdict(|f| f.workloads[0].proxies.push((None, 1))), Verdict::Fail);
        assert_eq!(verdict(|f| f.workloads[0].counts.ready = 1), Verdict::Fail);
        assert_eq!(verdict(|f| f.nodes.push(NodeFacts { name: "n".into(), is_ready: false })), Verdict::Fail);
    }

    #[test]
    fn no_releases_is_a_question() {
        assert_eq!(verdict(|f| f.rollout.releases.clear()), Verdict::Unknown);
    }
}
