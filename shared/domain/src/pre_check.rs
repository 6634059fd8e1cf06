//! May this cluster be upgraded now?

use jiff::Timestamp;

use crate::compatibility::{Compatibility, Fit};
use crate::{ClusterFacts, Config, Direction, Finding, MonitorFacts, PlannedCluster, TrafficWindow};

/// Everything the pre-check looks at.
#[derive(Debug)]
pub struct PreCheck<'a> {
    /// The cluster's part of the plan.
    pub planned: &'a PlannedCluster,
    /// What the cluster says.
    pub facts: &'a ClusterFacts,
    /// Traffic just before, `None` where Datadog has no series.
    pub baseline: Option<&'a TrafficWindow>,
    /// Monitors that are not OK.
    pub monitors: &'a [MonitorFacts],
    /// Rules.
    pub config: &'a Config,
    /// The built-in table.
    pub compatibility: &'a Compatibility,
}

impl PreCheck<'_> {
    /// Every finding. No finding is a pass.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        self.eks(&mut found);
        self.kubernetes(&mut found);
        self.nodes(&mut found);
        self.istiod(&mut found);
        self.flux(&mut found);
        self.data_plane(&mut found);
        self.datadog(&mut found);
        found
    }

    fn name(&self) -> &str {
        self.planned.record.cluster_id.as_str()
    }

    fn eks(&self, found: &mut Vec<Finding>) {
        if self.facts.eks_status != "ACTIVE" {
            found.push(Finding::blocking(
                "EKS_NOT_ACTIVE",
                self.name(),
                format!("EKS says {}", self.facts.eks_status),
                "wait until the cluster is ACTIVE",
            ));
        }
        if !self.facts.eks_health_issues.is_empty() {
            found.push(Finding::warning(
                "EKS_HEALTH_ISSUE",
                self.name(),
                self.facts.eks_health_issues.join(", "),
                "look at the cluster's health issues in EKS",
            ));
        }
    }

    fn kubernetes(&self, found: &mut Vec<Finding>) {
        let (target, have) = (self.planned.to(Direction::Upgrade), self.facts.kubernetes_version.as_str());
        match self.compatibility.fit(target, have, &self.config.policy.kubernetes_overrides) {
            Fit::Supported => {}
            Fit::Overridden(reason) => found.push(Finding::warning(
                "KUBERNETES_OVERRIDDEN",
                self.name(),
                format!("Istio {target} on Kubernetes {have} is allowed by policy: {reason}"),
                "nothing to do",
            )),
            Fit::Unsupported { oldest, newest } => found.push(Finding::blocking(
                "KUBERNETES_UNSUPPORTED",
                self.name(),
                format!("Istio {target} supports Kubernetes {oldest} to {newest}, this cluster runs {have}"),
                "upgrade Kubernetes first, or add a policy.kubernetes_overrides entry with a reason",
            )),
            Fit::Unknown => found.push(Finding::unknown(
                "KUBERNETES_UNKNOWN",
                self.name(),
                format!(
                    "Istio {target} on Kubernetes `{have}` is not in the table of {}",
                    self.compatibility.as_of
                ),
                "update GUARD, or add a policy.kubernetes_overrides entry with a reason",
            )),
        }
    }

    fn nodes(&self, found: &mut Vec<Finding>) {
        if self.facts.nodes.is_empty() {
            found.push(Finding::unknown(
                "NO_NODES",
                self.name(),
                "the API server lists no nodes",
                "look at the cluster",
            ));
        }
        for node in self.facts.nodes.iter().filter(|node| !node.is_ready) {
            found.push(Finding::blocking(
                "NODE_NOT_READY",
                format!("{}: node {}", self.name(), node.name),
                "not Ready",
                "mend or replace the node first",
            ));
        }
    }

    fn istiod(&self, found: &mut Vec<Finding>) {
        let istiod = &self.facts.rollout.istiod;
        let expected = self.planned.from(Direction::Upgrade);
        if istiod.deployments.is_empty() {
            found.push(Finding::blocking(
                "ISTIOD_MISSING",
                self.name(),
                "no Deployment with app=istiod",
                "is this the right cluster?",
            ));
        }
        for (name, _) in istiod.deployments.iter().filter(|(_, counts)| !counts.is_complete()) {
            found.push(Finding::blocking(
                "ISTIOD_NOT_READY",
                format!("{}: {name}", self.name()),
                "not rolled out and ready",
                "bring istiod up before upgrading it",
            ));
        }
        for (version, pods) in istiod.pods.iter().filter(|(version, _)| version.as_ref() != Some(expected)) {
            let seen = version.as_ref().map_or_else(|| "an unknown version".to_owned(), ToString::to_string);
            found.push(Finding::blocking(
                "ISTIOD_VERSION",
                self.name(),
                format!("{pods} istiod pods run {seen}, the registry says {expected}"),
                "correct the registry's current_istio_version, or finish the change that is under way",
            ));
        }
    }

    fn flux(&self, found: &mut Vec<Finding>) {
        let rollout = &self.facts.rollout;
        let suspended = rollout
            .suspended_sources
            .iter()
            .map(|name| format!("GitRepository {name}"))
            .chain(
                rollout
                    .kustomizations
                    .iter()
                    .filter(|k| k.is_suspended)
                    .map(|k| format!("Kustomization {}", k.name)),
            )
            .chain(
                rollout.releases.iter().filter(|r| r.is_suspended).map(|r| format!("HelmRelease {}", r.name)),
            );
        for name in suspended {
            found.push(Finding::blocking(
                "FLUX_SUSPENDED",
                format!("{}: {name}", self.name()),
                "suspended: a merged change would never arrive",
                "resume it, or take the cluster out of the batch",
            ));
        }
        if rollout.releases.is_empty() {
            found.push(Finding::blocking(
                "NO_HELM_RELEASES",
                self.name(),
                "no HelmRelease of an Istio chart",
                "GUARD upgrades Istio that Flux installs by HelmRelease",
            ));
        }
        for release in rollout.releases.iter().filter(|release| release.ready.status != Some(true)) {
            found.push(Finding::blocking(
                "HELM_RELEASE_NOT_READY",
                format!("{}: HelmRelease {}", self.name(), release.name),
                format!("{} {}", release.ready.reason, release.ready.message),
                "bring the release to Ready before upgrading it",
            ));
        }
    }

    fn data_plane(&self, found: &mut Vec<Finding>) {
        let expected = self.planned.from(Direction::Upgrade);
        let strange: Vec<String> = self
            .facts
            .workloads
            .iter()
            .filter(|workload| workload.pods_not_at(expected) > 0)
            .map(|workload| workload.workload.to_string())
            .collect();
        if !strange.is_empty() {
            found.push(Finding::warning(
                "PROXY_VERSION",
                self.name(),
                format!("{} workloads do not run proxies {expected}: {}", strange.len(), first(&strange)),
                "they are restarted with the others",
            ));
        }
        let unready: Vec<String> = self
            .facts
            .workloads
            .iter()
            .filter(|workload| !workload.counts.is_complete())
            .map(|workload| workload.workload.to_string())
            .collect();
        if !unready.is_empty() {
            found.push(Finding::blocking(
                "WORKLOAD_NOT_READY",
                self.name(),
                format!("{} workloads are not ready: {}", unready.len(), first(&unready)),
                "a restart would add to it: bring them up first",
            ));
        }
    }

    fn datadog(&self, found: &mut Vec<Finding>) {
        let volume = self.config.validation.thresholds.min_request_volume;
        match self.baseline {
            None => found.push(Finding::unknown(
                "NO_BASELINE",
                self.name(),
                "Datadog has no request series for this cluster",
                "check the Istio integration and the registry's datadog_tags",
            )),
            Some(window) if lacks_volume(window, volume) => found.push(Finding::unknown(
                "THIN_BASELINE",
                self.name(),
                format!("{:.0} requests in the baseline window, {volume} are needed", window.requests),
                "choose a busier hour, a longer soak, or lower validation.thresholds.min_request_volume",
            )),
            Some(_) => {}
        }
        for monitor in self.monitors {
            let subject = format!("{}: monitor {} {}", self.name(), monitor.id, monitor.name);
            if monitor.is_muted {
                found.push(Finding::warning(
                    "MONITOR_MUTED",
                    subject,
                    format!("{}, muted", monitor.state),
                    "a muted monitor protects nobody",
                ));
            } else if monitor.state == "Alert" || monitor.state == "Warn" {
                found.push(Finding::blocking(
                    "MONITOR_FIRING",
                    subject,
                    &monitor.state,
                    "resolve it before changing the mesh",
                ));
            } else {
                found.push(Finding::warning(
                    "MONITOR_NO_ANSWER",
                    subject,
                    &monitor.state,
                    "find out why it has no data",
                ));
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a request volume is far below 2^52")]
fn lacks_volume(window: &TrafficWindow, volume: u64) -> bool {
    window.requests < volume as f64
}

fn first(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    let more = names.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

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
    use crate::facts::*;
    use crate::{Component, Verdict};

    fn complete(n: u32) -> RolloutCounts {
        RolloutCounts { desired: n, updated: n, ready: n, total: n, is_observed: true }
    }

    fn healthy() -> (PlannedCluster, ClusterFacts, TrafficWindow) {
        let planned = crate::plan::fixtures::plan().clusters.remove(0);
        let version = planned.old.clone();
        let facts = ClusterFacts {
            eks_status: "ACTIVE".into(),
            eks_health_issues: vec![],
            kubernetes_version: "1.33".into(),
            nodes: vec![NodeFacts { name: "n1".into(), is_ready: true }],
            rollout: RolloutFacts {
                kustomizations: vec![],
                suspended_sources: vec![],
                releases: vec![HelmReleaseFacts {
                    name: "istio-system/istiod".into(),
                    component: Component::Istiod,
                    spec_version: Some(version.to_string()),
                    is_observed: true,
                    is_suspended: false,
                    ready: Condition { status: Some(true), ..Default::default() },
                    deployed_version: Some(version.to_string()),
                }],
                istiod: IstiodFacts {
                    deployments: [("istio-system/istiod".to_owned(), complete(2))].into(),
                    pods: vec![(Some(version.clone()), 2)],
                },
            },
            workloads: vec![WorkloadFacts {
                workload: WorkloadRef {
                    namespace: "shop".into(),
                    kind: WorkloadKind::Deployment,
                    name: "web".into(),
                },
                counts: complete(3),
                restart_mark: None,
                proxies: vec![(Some(version), 3)],
            }],
        };
        let traffic = TrafficWindow {
            requests: 50_000.0,
            errors: 10.0,
            latency_p95_ms: vec![100.0; 60],
            minutes_seen: 60,
        };
        (planned, facts, traffic)
    }

    fn codes(
        bend: impl FnOnce(
            &mut PlannedCluster,
            &mut ClusterFacts,
            &mut Option<TrafficWindow>,
            &mut Vec<MonitorFacts>,
        ),
    ) -> (Vec<String>, Verdict) {
        let (mut planned, mut facts, traffic) = healthy();
        let (mut baseline, mut monitors) = (Some(traffic), Vec::new());
        bend(&mut planned, &mut facts, &mut baseline, &mut monitors);
        let (config, compatibility) = (Config::default(), Compatibility::built_in().unwrap());
        let check = PreCheck {
            planned: &planned,
            facts: &facts,
            baseline: baseline.as_ref(),
            monitors: &monitors,
            config: &config,
            compatibility: &compatibility,
        };
        let found = check.findings();
        (found.iter().map(|f| f.code.clone()).collect(), Verdict::of(&found))
    }

    #[test]
    fn a_healthy_cluster_has_no_findings() {
        assert_eq!(codes(|_, _, _, _| {}), (vec![], Verdict::Pass));
    }

    #[test]
    fn each_bend_is_found_by_its_own_check() {
        let one = |got: (Vec<String>, Verdict), code: &str, verdict| {
            assert_eq!(got, (vec![code.to_owned()], verdict));
        };
        one(codes(|_, f, _, _| f.eks_status = "UPDATING".into()), "EKS_NOT_ACTIVE", Verdict::Fail);
        one(
            codes(|_, f, _, _| f.kubernetes_version = "1.31".into()),
            "KUBERNETES_UNSUPPORTED",
            Verdict::Fail,
        );
        one(codes(|_, f, _, _| f.kubernetes_version = "?".into()), "KUBERNETES_UNKNOWN", Verdict::Unknown);
        one(codes(|_, f, _, _| f.nodes[0].is_ready = false), "NODE_NOT_READY", Verdict::Fail);
        one(codes(|_, f, _, _| f.nodes.clear()), "NO_NODES", Verdict::Unknown);
        one(codes(|_, f, _, _| f.rollout.istiod.pods[0].0 = None), "ISTIOD_VERSION", Verdict::Fail);
        one(codes(|_, f, _, _| f.rollout.istiod.deployments.clear()), "ISTIOD_MISSING", Verdict::Fail);
        one(codes(|_, f, _, _| f.rollout.releases[0].is_suspended = true), "FLUX_SUSPENDED", Verdict::Fail);
        one(
            codes(|_, f, _, _| f.rollout.releases[0].ready.status = None),
            "HELM_RELEASE_NOT_READY",
            Verdict::Fail,
        );
        one(codes(|_, f, _, _| f.rollout.releases.clear()), "NO_HELM_RELEASES", Verdict::Fail);
        one(codes(|_, f, _, _| f.workloads[0].counts.ready = 1), "WORKLOAD_NOT_READY", Verdict::Fail);
        one(codes(|_, f, _, _| f.workloads[0].proxies[0].0 = None), "PROXY_VERSION", Verdict::Pass);
        one(codes(|_, _, b, _| *b = None), "NO_BASELINE", Verdict::Unknown);
        one(codes(|_, _, b, _| b.as_mut().unwrap().requests = 3.0), "THIN_BASELINE", Verdict::Unknown);
        let monitor =
            |state: &str, is_muted| MonitorFacts { id: 1, name: "5xx".into(), state: state.into(), is_muted };
        one(codes(|_, _, _, m| m.push(monitor("Alert", false))), "MONITOR_FIRING", Verdict::Fail);
        one(codes(|_, _, _, m| m.push(monitor("Alert", true))), "MONITOR_MUTED", Verdict::Pass);
        one(codes(|_, _, _, m| m.push(monitor("No Data", false))), "MONITOR_NO_ANSWER", Verdict::Pass);
    }

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
