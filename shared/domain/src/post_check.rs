//! Is the cluster at the version it should be at, in control plane, charts and data plane, and no worse than before?

mod before;
pub(crate) mod control_plane;
pub(crate) mod crashes;

use jiff::Timestamp;

use crate::checks::{Source, Subject, first, injection, nodes_ready};
use crate::compatibility::Compatibility;
use crate::open_questions::OpenQuestions;
use crate::restart::Obstacle;
use crate::retirement::Retirement;
use crate::skew::Skew;
use crate::{
    ClusterFacts, Config, Direction, Finding, HelmReleaseFacts, IstioVersion, IstiodFacts, PlannedCluster,
    Reading, Unread, WorkloadFacts,
};

pub use before::{Before, restarts};

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct After<'a> {
    /// The cluster's part of the plan.
    pub planned: &'a PlannedCluster,
    /// Which version it should be at.
    pub direction: Direction,
    /// What it says.
    pub facts: &'a ClusterFacts,
    /// What it said before the change; `None` where nobody asked.
    pub before: Option<&'a Before<'a>>,
    /// Rules.
    pub config: &'a Config,
    /// The built-in table.
    pub compatibility: &'a Compatibility,
    /// How far proxies and istiod may be apart.
    pub skew: &'a Skew,
    /// Hosts that go away.
    pub retirement: &'a Retirement,
    /// The time.
    pub now: Timestamp,
}

impl After<'_> {
    /// Every finding against the expected version, and against the state before. No finding is a pass, and what could not
    /// be read is one.
    pub fn findings(&self) -> Vec<Finding> {
        let Self { planned, direction, facts, before, config, compatibility, skew, retirement, now } = *self;
        let cluster = planned.record.cluster_id.as_str();
        let min_share = config.policy.min_proxies_at_target_percent;
        let expected = planned.to(direction);
        let mut look =
            Look { cluster, expected, min_share, found: Vec::new(), open: OpenQuestions::default() };
        look.at(Source::Istiod, &facts.istiod, Look::control_plane);
        look.at(Source::Flux, &facts.flux, |look, flux| look.charts(&flux.releases));
        let obstacle = |workload: &WorkloadFacts| {
            // Without its namespace nobody knows, and all of them count.
            let why = Obstacle::of(workload, facts.namespaces.as_ref().ok()?, &config.policy);
            why.filter(|why| why.is_owners_choice())
        };
        look.at(Source::Workloads, &facts.workloads, |look, workloads| look.data_plane(workloads, obstacle));
        look.at(Source::Strays, &facts.strays, |look, strays| look.strays(strays));
        // As many may be down as before an upgrade. That an autoscaler cordons some is no reason to go back.
        look.at(Source::Nodes, &facts.nodes, |look, nodes| {
            let found = nodes_ready::findings(cluster, nodes, &config.policy);
            look.found.extend(found.into_iter().filter(|finding| !finding.code.starts_with("NODE_CORDONED")));
        });
        look.at(Source::ControlPlane, &facts.control_plane, |look, now| {
            let pods = facts.mesh.as_ref().map(Vec::as_slice).unwrap_or_default();
            look.found.extend(control_plane::findings(cluster, now, pods, before));
        });
        look.at(Source::Injection, &facts.injection, |look, probes| {
            look.found.extend(injection::findings(cluster, probes, expected));
        });
        look.at(Source::SystemPods, &facts.mesh, |look, pods| {
            look.found.extend(crashes::findings(cluster, pods, before));
        });
        // None of these is asked by what is compared; traffic and monitors have a gate of their own.
        let not_asked = || Unread::for_good("not asked");
        let (base, baseline, monitors) = (Err(not_asked()), Err(not_asked()), Err(not_asked()));
        let (memory, integration) = (Err(not_asked()), Err(not_asked()));
        let subject = Subject {
            planned,
            facts,
            base: &base,
            baseline: &baseline,
            memory: &memory,
            integration: &integration,
            monitors: &monitors,
            config,
            compatibility,
            skew,
            retirement,
            now,
        };
        let new = before::what_is_new(&subject, before);
        let (open, mut found) = (look.open, look.found);
        // The same list that cannot be read is told once.
        found.extend(new.into_iter().filter(|finding| !open.repeats(finding)));
        found
    }
}

struct Look<'a> {
    cluster: &'a str,
    expected: &'a IstioVersion,
    /// Proxies that must be at the version, percent of those that are restarted.
    min_share: u32,
    found: Vec<Finding>,
    open: OpenQuestions<'a>,
}

impl<'a> Look<'a> {
    fn at<T>(&mut self, source: Source, reading: &'a Reading<T>, look: impl FnOnce(&mut Self, &T)) {
        match reading {
            Ok(facts) => look(self, facts),
            Err(unread) => self.found.extend(self.open.finding(self.cluster, source, unread)),
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

    /// Proxies beyond the share that must be there are stragglers: told, each with its owner, and no reason to go back. So are
    /// those that no restart of GUARD's brings to the version.
    fn data_plane(
        &mut self,
        workloads: &[WorkloadFacts],
        obstacle: impl Fn(&WorkloadFacts) -> Option<Obstacle>,
    ) {
        let behind = |one: &WorkloadFacts| one.pods_not_at(self.expected);
        let (left, restarted): (Vec<_>, Vec<_>) =
            workloads.iter().partition(|one| behind(one) > 0 && obstacle(one).is_some());
        let sum = |count: &dyn Fn(&WorkloadFacts) -> u32| -> u64 {
            restarted.iter().map(|one| u64::from(count(one))).sum()
        };
        let (all, missing) = (sum(&WorkloadFacts::pods), sum(&behind));
        let are_enough = (all - missing) * 100 >= all * u64::from(self.min_share);
        for workload in left {
            let why = obstacle(workload).map(|why| why.told(self.cluster, workload, self.expected));
            self.found.extend(why);
        }
        for workload in restarted {
            let wrong = workload.pods_not_at(self.expected);
            let is_complete = workload.counts.is_complete();
            if wrong == 0 && is_complete {
                continue;
            }
            let subject = format!("{}: {}", self.cluster, workload.workload);
            let message = format!(
                "{wrong} pods without proxy {}, {} of {} ready",
                self.expected, workload.counts.ready, workload.counts.desired
            );
            let remedy = "look at the workload's pods and events";
            self.found.push(if are_enough && is_complete {
                Finding::warning("PROXY_VERSION", subject, message, remedy)
            } else {
                Finding::blocking("PROXY_VERSION", subject, message, remedy)
            });
        }
    }

    fn strays(&mut self, strays: &[String]) {
        if !strays.is_empty() {
            self.found.push(Finding::warning(
                "PROXY_NOT_RESTARTED",
                self.cluster,
                format!("{} pods with proxies are not restarted by GUARD: {}", strays.len(), first(strays)),
                "restart them by hand, or let their owners do it: their proxies keep the old version",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::facts::fixtures::healthy;
    use crate::{ProbeOutcome, Verdict};

    fn v(s: &str) -> IstioVersion {
        IstioVersion::parse(s).unwrap()
    }

    fn after(facts: &ClusterFacts, before: Option<&Before<'_>>, config: &Config) -> Vec<Finding> {
        let mut planned = crate::plan::fixtures::plan().clusters.remove(0);
        planned.new = v("1.30.5");
        let (direction, compatibility) = (Direction::Upgrade, &Compatibility::built_in().unwrap());
        let skew = &Skew::built_in().unwrap();
        let (retirement, now) = (&Retirement::built_in().unwrap(), Timestamp::UNIX_EPOCH);
        let planned = &planned;
        After { planned, direction, facts, before, config, compatibility, skew, retirement, now }.findings()
    }

    fn verdict(bend: impl FnOnce(&mut ClusterFacts)) -> Verdict {
        let mut facts = healthy(&v("1.30.5"));
        bend(&mut facts);
        let restarts = restarts(&healthy(&v("1.29.3")));
        let before = Before { restarts, ..Before::default() };
        Verdict::of(&after(&facts, Some(&before), &Config::default()))
    }

    #[test]
    fn at_the_version_everywhere_is_a_pass() {
        assert_eq!(verdict(|_| {}), Verdict::Pass);
    }

    #[test]
    fn what_no_restart_brings_to_the_version_is_named_and_no_reason_to_go_back() {
        let paused = |f: &mut ClusterFacts| {
            let workload = &mut f.workloads.as_mut().unwrap()[0];
            workload.proxies = vec![(Some(v("1.29.3")), 3)];
            workload.template.is_paused = true;
        };
        assert_eq!(verdict(paused), Verdict::Pass);
        let lost = |f: &mut ClusterFacts| {
            paused(f);
            f.workloads.as_mut().unwrap()[0].template.is_paused = false;
            f.namespaces.as_mut().unwrap().clear();
        };
        assert_eq!(verdict(lost), Verdict::Fail, "no list of namespaces makes old proxies well");
        let uninjected = |f: &mut ClusterFacts| {
            paused(f);
            let template = &mut f.workloads.as_mut().unwrap()[0].template;
            (template.is_paused, template.asks) = (false, Some("false".into()));
        };
        assert_eq!(verdict(uninjected), Verdict::Fail, "nor does an injection that was lost");
        let unread = |f: &mut ClusterFacts| {
            paused(f);
            f.namespaces = Err(Unread::for_good("refused"));
        };
        assert_eq!(verdict(unread), Verdict::Fail, "nobody knows whether it could be restarted");
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
        let old = ProbeOutcome::Injected(Some(v("1.29.3")));
        assert_eq!(verdict(|f| f.injection.as_mut().unwrap()[0].outcome = old), Verdict::Fail);
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
        assert_eq!(after(&nothing, None, &Config::default()).len(), 1, "one reason is told once");
        assert_eq!(verdict(|f| f.mesh = Err(unread("403"))), Verdict::Unknown);
        assert_eq!(verdict(|f| f.control_plane = Err(unread("403"))), Verdict::Unknown);
        assert_eq!(verdict(|f| f.strays = Err(unread("403"))), Verdict::Unknown);
        assert_eq!(verdict(|f| f.webhooks = Err(unread("403"))), Verdict::Unknown);
    }

    /// What the pre-check lets through must not take a cluster back afterwards.
    #[test]
    fn as_many_nodes_may_be_down_as_before() {
        let down = |count: usize| {
            verdict(|facts| {
                let one = facts.nodes.as_ref().unwrap()[0].clone();
                let mut nodes = vec![one; 20];
                nodes.iter_mut().take(count).for_each(|node| node.is_ready = false);
                facts.nodes = Ok(nodes);
            })
        };
        assert_eq!((down(1), down(2)), (Verdict::Pass, Verdict::Fail));
    }

    /// A webhook that was broken before is not the change's doing; one that broke with it is.
    #[test]
    fn what_was_so_before_is_no_finding_and_what_is_new_is() {
        let mut facts = healthy(&v("1.30.5"));
        facts.webhooks.as_mut().unwrap()[0].ready_endpoints = 0;
        let new = after(
            &facts,
            Some(&Before { restarts: BTreeMap::new(), findings: &[], control_plane: None }),
            &Config::default(),
        );
        assert_eq!(
            (new.len(), new[0].code.as_str(), Verdict::of(&new)),
            (1, "WEBHOOK_UNREACHABLE", Verdict::Fail)
        );
        let before = Before { findings: &new, restarts: BTreeMap::new(), control_plane: None };
        assert_eq!(after(&facts, Some(&before), &Config::default()), []);
        let of_unknown_age = after(&facts, None, &Config::default());
        assert_eq!(Verdict::of(&of_unknown_age), Verdict::Pass);
        assert!(of_unknown_age[0].message.ends_with("(whether it was so before the change is not known)"));
    }

    #[test]
    fn stragglers_within_the_share_are_told_and_stop_nothing() {
        let mut facts = healthy(&v("1.30.5"));
        facts.workloads.as_mut().unwrap()[0].proxies = vec![(Some(v("1.30.5")), 9), (Some(v("1.29.3")), 1)];
        let mut config = Config::default();
        assert_eq!(Verdict::of(&after(&facts, None, &config)), Verdict::Fail);
        config.policy.min_proxies_at_target_percent = 90;
        let found = after(&facts, None, &config);
        assert_eq!((found.len(), found[0].code.as_str()), (1, "PROXY_VERSION"));
        assert_eq!(Verdict::of(&found), Verdict::Pass);
        facts.workloads.as_mut().unwrap()[0].counts.ready = 1;
        assert_eq!(Verdict::of(&after(&facts, None, &config)), Verdict::Fail, "not ready is no straggler");
    }

    #[test]
    fn strays_are_told_with_their_owners() {
        let mut facts = healthy(&v("1.30.5"));
        facts.strays = Ok(vec!["shop/Rollout checkout".into()]);
        let found = after(&facts, None, &Config::default());
        assert_eq!(Verdict::of(&found), Verdict::Pass);
        assert!(found[0].message.ends_with("shop/Rollout checkout"), "{}", found[0]);
    }
}
