//! Rules for every check, and the cluster that their own tests bend.

use std::collections::BTreeSet;

use super::*;
use crate::facts::fixtures;
use crate::{Severity as S, Verdict};

/// The data files that are built in.
type Tables = (Compatibility, Skew, Retirement);

fn tables() -> Tables {
    (Compatibility::built_in().unwrap(), Skew::built_in().unwrap(), Retirement::built_in().unwrap())
}

/// A cluster in which nothing is wrong, and what else a check looks at.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) planned: PlannedCluster,
    pub(super) facts: ClusterFacts,
    pub(super) base: Reading<BaseFacts>,
    pub(super) baseline: Reading<Option<TrafficWindow>>,
    pub(super) memory: Reading<MemoryFacts>,
    pub(super) integration: Reading<IntegrationMode>,
    pub(super) monitors: Reading<Vec<MonitorFacts>>,
    pub(super) config: Config,
    pub(super) now: Timestamp,
}

impl Scene {
    fn healthy() -> Self {
        let planned = crate::plan::fixtures::plan().clusters.remove(0);
        let traffic = TrafficWindow {
            requests: 50_000.0,
            errors: 10.0,
            latency_p95_ms: vec![100.0; 60],
            minutes_seen: 60,
        };
        Self {
            facts: fixtures::healthy(&planned.old),
            planned,
            base: Ok(fixtures::base()),
            baseline: Ok(Some(traffic)),
            memory: Ok(MemoryFacts {
                istiod_used: Some(0.5e9),
                istiod_limit: Some(2.0e9),
                node_left_percent: Some(40.0),
            }),
            integration: Ok(IntegrationMode::OpenMetrics),
            monitors: Ok(Vec::new()),
            config: Config::default(),
            now: "2026-11-23T12:00:00Z".parse().unwrap(),
        }
    }

    /// Another upgrade of the same cluster.
    pub(super) fn goes(&mut self, from: crate::IstioVersion, to: crate::IstioVersion) {
        for (version, _) in &mut self.facts.istiod.as_mut().unwrap().pods {
            *version = Some(from.clone());
        }
        for pod in self.facts.mesh.as_mut().unwrap() {
            pod.version = Some(from.clone());
        }
        for probe in self.facts.injection.as_mut().unwrap() {
            probe.outcome = crate::ProbeOutcome::Injected(Some(from.clone()));
        }
        for workload in self.facts.workloads.as_mut().unwrap() {
            workload.proxies = vec![(Some(from.clone()), 3)];
        }
        for release in &mut self.facts.flux.as_mut().unwrap().releases {
            release.deployed_version = Some(from.to_string());
        }
        (self.planned.old, self.planned.new) = (from, to);
    }

    fn subject<'a>(&'a self, tables: &'a Tables) -> Subject<'a> {
        Subject {
            planned: &self.planned,
            facts: &self.facts,
            base: &self.base,
            baseline: &self.baseline,
            memory: &self.memory,
            integration: &self.integration,
            monitors: &self.monitors,
            config: &self.config,
            compatibility: &tables.0,
            skew: &tables.1,
            retirement: &tables.2,
            now: self.now,
        }
    }

    fn findings(&self) -> Vec<Finding> {
        self.subject(&tables()).findings()
    }

    fn answers(&self, check: &Check) -> bool {
        (check.find)(&self.subject(&tables())).is_some()
    }

    fn cannot_read(&mut self, source: Source, why: &str) {
        let unread = Unread::for_good(why);
        match source {
            Source::Eks => self.facts.eks = Err(unread),
            Source::KubernetesVersion => self.facts.kubernetes_version = Err(unread),
            Source::Nodes => self.facts.nodes = Err(unread),
            Source::Istiod => self.facts.istiod = Err(unread),
            Source::Flux => self.facts.flux = Err(unread),
            Source::ChartSources => self.facts.chart_sources = Err(unread),
            Source::Base => self.base = Err(unread),
            Source::Workloads => self.facts.workloads = Err(unread),
            Source::SystemPods => self.facts.system_pods = Err(unread),
            Source::Mesh => self.facts.mesh = Err(unread),
            Source::ControlPlane => self.facts.control_plane = Err(unread),
            Source::Injection => self.facts.injection = Err(unread),
            Source::Definitions => self.facts.definitions = Err(unread),
            Source::Webhooks => self.facts.webhooks = Err(unread),
            Source::Budgets => self.facts.budgets = Err(unread),
            Source::EnvoyFilters => self.facts.envoy_filters = Err(unread),
            Source::Namespaces => self.facts.namespaces = Err(unread),
            Source::Strays => self.facts.strays = Err(unread),
            Source::Memory => self.memory = Err(unread),
            Source::Integration => self.integration = Err(unread),
            Source::Traffic => self.baseline = Err(unread),
            Source::Monitors => self.monitors = Err(unread),
        }
    }
}

/// Bends the healthy cluster: this check finds `code`, as heavy as it says it is, and no other check finds anything.
#[track_caller]
pub(super) fn finds(check: &Check, code: &str, bend: impl FnOnce(&mut Scene)) -> Vec<Finding> {
    let mut scene = Scene::healthy();
    bend(&mut scene);
    let found = scene.findings();
    let codes: BTreeSet<&str> = found.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, BTreeSet::from([code]), "{found:?}");
    let declared = check.codes.iter().find(|one| one.code == code).expect("it says that it can find it");
    assert!(found.iter().all(|finding| finding.severity == declared.severity), "{found:?}");
    assert!(found.iter().all(|finding| finding.subject.starts_with("c1")), "{found:?}");
    found
}

/// Bends it so that nothing is found.
#[track_caller]
pub(super) fn passes(bend: impl FnOnce(&mut Scene)) {
    let mut scene = Scene::healthy();
    bend(&mut scene);
    assert_eq!(scene.findings(), []);
}

#[test]
fn a_healthy_cluster_has_no_findings() {
    passes(|_| {});
}

#[test]
fn every_check_says_what_it_is() {
    let mut codes = BTreeSet::new();
    for check in ALL {
        assert!(check.asks.ends_with('?') && check.because.ends_with('.'), "{check:?}");
        assert!(!check.reads.is_empty() && !check.codes.is_empty(), "{check:?}");
        assert!(check.reads.iter().all(|source| Source::ALL.contains(source)), "{check:?}");
        for code in check.codes {
            assert!(codes.insert(code.code), "{} twice", code.code);
            assert!(code.code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'));
        }
    }
    for source in Source::ALL {
        assert!(codes.insert(source.code()), "{} twice", source.code());
    }
}

/// What a check says that it reads is exactly what it cannot do without.
#[test]
fn a_check_without_its_facts_has_no_answer_and_says_so() {
    for source in Source::ALL {
        let mut scene = Scene::healthy();
        scene.cannot_read(source, "list nodes: status 403");
        for check in ALL {
            assert_eq!(scene.answers(check), !check.reads.contains(&source), "{source:?}, {}", check.asks);
        }
        let found = scene.findings();
        assert_eq!(Verdict::of(&found), Verdict::Unknown, "{source:?}");
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!((one.code.as_str(), one.severity), (source.code(), S::Unknown));
        for check in ALL.iter().filter(|check| check.reads.contains(&source)) {
            assert!(one.message.contains(check.codes[0].code), "{one}");
        }
        assert!(one.message.starts_with("list nodes: status 403; not known: "), "{one}");
    }
}

#[test]
fn one_reason_is_told_once_and_two_are_told_apart() {
    let mut scene = Scene::healthy();
    for source in [Source::Nodes, Source::Flux, Source::Workloads] {
        scene.cannot_read(source, "unreachable");
    }
    scene.cannot_read(Source::Monitors, "status 429");
    let found = scene.findings();
    let codes: Vec<&str> = found.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["NODES_UNREAD", "MONITORS_UNREAD"]);
    assert!(found[0].message.contains("NODE_NOT_READY") && found[0].message.contains("FLUX_SUSPENDED"));
}

#[test]
fn what_was_found_is_told_beside_what_is_not_known() {
    let mut scene = Scene::healthy();
    scene.cannot_read(Source::Nodes, "status 403");
    scene.facts.eks.as_mut().unwrap().status = "FAILED".into();
    let found = scene.findings();
    let codes: Vec<&str> = found.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!((codes, Verdict::of(&found)), (vec!["EKS_NOT_ACTIVE", "NODES_UNREAD"], Verdict::Fail));
}

#[test]
fn what_stands_outside_of_the_cluster_is_told() {
    let of = |code: &str| ALL.into_iter().find(|check| check.codes[0].code == code).unwrap();
    assert_eq!(of("EKS_NOT_ACTIVE").needs_beside_the_cluster(), Some("EKS's description of the cluster"));
    assert_eq!(of("NO_BASELINE").needs_beside_the_cluster(), Some("request series in Datadog"));
    for code in super::OF_THE_REGISTRY {
        assert_eq!(of(code).needs_beside_the_cluster(), Some("GUARD's registry"));
    }
    assert_eq!(of("ISTIOD_NOT_READY").needs_beside_the_cluster(), None);
    assert_eq!(of("KUBERNETES_UNSUPPORTED").needs_beside_the_cluster(), None);
}

#[test]
fn one_check_that_could_not_read_is_open_and_never_a_pass() {
    let tables = tables();
    let check = ALL.into_iter().find(|check| check.codes[0].code == "ISTIOD_NOT_READY").unwrap();
    let mut scene = Scene::healthy();
    assert_eq!(scene.subject(&tables).answer(check), super::Answer::Found(vec![]));
    scene.cannot_read(Source::Istiod, "list pods: 403");
    let open = super::Answer::Open("list pods: 403".into());
    assert_eq!(scene.subject(&tables).answer(check), open);
}
