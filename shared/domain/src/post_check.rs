//! Is the cluster at the version it should be at, in control plane, charts and data plane?

use crate::checks::Source;
use crate::{
    ClusterFacts, Finding, HelmReleaseFacts, IstioVersion, IstiodFacts, NodeFacts, Reading, WorkloadFacts,
};

/// Every finding against the expected version. No finding is a pass, and what could not be read is one.
pub fn findings(cluster: &str, facts: &ClusterFacts, expected: &IstioVersion) -> Vec<Finding> {
    let mut look = Look { cluster, expected, found: Vec::new(), told: Vec::new() };
    look.at(Source::Istiod, &facts.istiod, Look::control_plane);
    look.at(Source::Flux, &facts.flux, |look, flux| look.charts(&flux.releases));
    look.at(Source::Workloads, &facts.workloads, |look, workloads| look.data_plane(workloads));
    look.at(Source::Nodes, &facts.nodes, |look, nodes| look.nodes(nodes));
    look.found
}

struct Look<'a> {
    cluster: &'a str,
    expected: &'a IstioVersion,
    found: Vec<Finding>,
    /// Reasons that were told: a cluster that cannot be reached has one for everything.
    told: Vec<&'a str>,
}

impl<'a> Look<'a> {
    fn at<T>(&mut self, source: Source, reading: &'a Reading<T>, look: impl FnOnce(&mut Self, &T)) {
        match reading {
            Ok(facts) => look(self, facts),
            Err(unread) if self.told.contains(&unread.why.as_str()) => {}
            Err(unread) => {
                self.told.push(&unread.why);
                self.found.push(Finding::unknown(
                    source.code(),
                    self.cluster,
                    format!("{} could not be read: {}", source.what(), unread.why),
                    "make it readable: what is not known is never a pass",
                ));
            }
        }
    }

    fn control_plane(&mut self, istiod: &IstiodFacts) {
        let expected = self.expected;
        let is_other = |version: &Option<IstioVersion>| version.as_ref() != Some(expected);
        let wrong: u32 =
            istiod.pods.iter().filter(|(version, _)| is_other(version)).map(|(_, pods)| pods).sum();
        let is_complete = istiod.deployments.values().all(crate::RolloutCounts::is_complete);
        if istiod.pods.is_empty() || wrong > 0 || !is_complete {
            self.found.push(Finding::blocking(
                "ISTIOD_VERSION",
                self.cluster,
                format!("istiod is not complete at {expected}: {wrong} pods run something else"),
                "look at the istiod Deployment",
            ));
        }
    }

    fn charts(&mut self, releases: &[HelmReleaseFacts]) {
        for release in releases {
            let deployed = release.deployed_version.as_deref().and_then(IstioVersion::from_chart_version);
            if deployed.as_ref() != Some(self.expected) || release.ready.status != Some(true) {
                self.found.push(Finding::blocking(
                    "CHART_VERSION",
                    format!("{}: HelmRelease {}", self.cluster, release.name),
                    format!(
                        "deployed {}, expected {}; {}",
                        release.deployed_version.as_deref().unwrap_or("nothing"),
                        self.expected,
                        release.ready.reason
                    ),
                    "look at the release's conditions",
                ));
            }
        }
        if releases.is_empty() {
            self.found.push(Finding::unknown(
                "NO_HELM_RELEASES",
                self.cluster,
                "no HelmRelease of an Istio chart",
                "look at Flux in this cluster",
            ));
        }
    }

    fn data_plane(&mut self, workloads: &[WorkloadFacts]) {
        for workload in workloads {
            let wrong = workload.pods_not_at(self.expected);
            if wrong > 0 || !workload.counts.is_complete() {
                self.found.push(Finding::blocking(
                    "PROXY_VERSION",
                    format!("{}: {}", self.cluster, workload.workload),
                    format!(
                        "{wrong} pods without proxy {}, {} of {} ready",
                        self.expected, workload.counts.ready, workload.counts.desired
                    ),
                    "look at the workload's pods and events",
                ));
            }
        }
    }

    fn nodes(&mut self, nodes: &[NodeFacts]) {
        for node in nodes.iter().filter(|node| !node.is_ready) {
            self.found.push(Finding::blocking(
                "NODE_NOT_READY",
                format!("{}: node {}", self.cluster, node.name),
                "not Ready",
                "mend or replace the node",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::fixtures::healthy;
    use crate::{Unread, Verdict};

    fn v(s: &str) -> IstioVersion {
        IstioVersion::parse(s).unwrap()
    }

    fn verdict(bend: impl FnOnce(&mut ClusterFacts)) -> Verdict {
        let mut facts = healthy(&v("1.30.5"));
        bend(&mut facts);
        Verdict::of(&findings("c1", &facts, &v("1.30.5")))
    }

    #[test]
    fn at_the_version_everywhere_is_a_pass() {
        assert_eq!(verdict(|_| {}), Verdict::Pass);
    }

    #[test]
    fn one_thing_elsewhere_is_a_no() {
        assert_eq!(verdict(|f| f.istiod.as_mut().unwrap().pods[0].0 = Some(v("1.29.3"))), Verdict::Fail);
        assert_eq!(verdict(|f| f.istiod.as_mut().unwrap().pods.clear()), Verdict::Fail);
        let other = || Some("1.29.3".to_owned());
        assert_eq!(
            verdict(|f| f.flux.as_mut().unwrap().releases[0].deployed_version = other()),
            Verdict::Fail
        );
        assert_eq!(verdict(|f| f.workloads.as_mut().unwrap()[0].proxies.push((None, 1))), Verdict::Fail);
        assert_eq!(verdict(|f| f.workloads.as_mut().unwrap()[0].counts.ready = 1), Verdict::Fail);
        assert_eq!(verdict(|f| f.nodes.as_mut().unwrap()[0].is_ready = false), Verdict::Fail);
    }

    #[test]
    fn no_releases_is_a_question() {
        assert_eq!(verdict(|f| f.flux.as_mut().unwrap().releases.clear()), Verdict::Unknown);
    }

    #[test]
    fn what_could_not_be_read_is_a_question() {
        let unread = |why: &str| Unread::for_good(why);
        assert_eq!(verdict(|f| f.nodes = Err(unread("403"))), Verdict::Unknown);
        assert_eq!(verdict(|f| f.flux = Err(unread("403"))), Verdict::Unknown);
        assert_eq!(verdict(|f| f.istiod = Err(unread("403"))), Verdict::Unknown);
        assert_eq!(verdict(|f| f.workloads = Err(unread("403"))), Verdict::Unknown);
        let nothing = ClusterFacts::unread(&unread("unreachable"));
        assert_eq!(findings("c1", &nothing, &v("1.30.5")).len(), 1, "one reason is told once");
    }
}
