//! May this cluster be upgraded now? One question a file; all of them are asked, so that a person sees everything at once.
//!
//! A check looks at facts and answers with its findings: none is a pass. Where a fact could not be read it has no answer,
//! which is told once for each thing that could not be read, and is never a pass. A check that is written here and not
//! listed in [`ALL`] does not compile (`dead_code`); docs/checks.md is made from the list.

mod baseline;
mod chart_sources;
mod component_images;
mod component_path;
mod control_plane;
mod definitions;
mod drift_detection;
mod eks_active;
mod eks_health;
mod envoy_filters;
mod flux_api;
mod flux_base;
mod flux_suspended;
mod gateway_api;
mod git_sources;
pub(crate) mod helm_releases;
pub(crate) mod injection;
mod integration;
mod istiod_once;
mod istiod_ready;
mod istiod_redundancy;
mod istiod_version;
mod kubernetes_version;
mod kustomizations_ready;
mod memory;
mod monitors;
pub(crate) mod nodes_ready;
mod proxy_skew;
mod proxy_version;
mod restart_budgets;
mod restart_gaps;
mod restart_injection;
mod restart_strategy;
mod restart_strays;
mod restart_time;
mod retiring_hosts;
mod system_pods;
mod webhooks;
mod workloads_ready;

use jiff::Timestamp;

use crate::compatibility::Compatibility;
use crate::retirement::Retirement;
use crate::skew::Skew;
use crate::{
    BaseFacts, ClusterFacts, Config, Finding, IntegrationMode, MemoryFacts, MonitorFacts, PlannedCluster,
    Reading, Severity, TrafficWindow, Unread,
};

/// Every check, in the order people read them.
pub const ALL: [&Check; 39] = [
    &eks_active::CHECK,
    &eks_health::CHECK,
    &kubernetes_version::CHECK,
    &nodes_ready::CHECK,
    &system_pods::CHECK,
    &istiod_ready::CHECK,
    &istiod_version::CHECK,
    &istiod_redundancy::CHECK,
    &control_plane::CHECK,
    &proxy_version::CHECK,
    &proxy_skew::CHECK,
    &definitions::CHECK,
    &gateway_api::CHECK,
    &webhooks::CHECK,
    &envoy_filters::CHECK,
    &flux_api::CHECK,
    &flux_suspended::CHECK,
    &git_sources::CHECK,
    &kustomizations_ready::CHECK,
    &flux_base::CHECK,
    &chart_sources::CHECK,
    &helm_releases::CHECK,
    &istiod_once::CHECK,
    &component_path::CHECK,
    &component_images::CHECK,
    &retiring_hosts::CHECK,
    &drift_detection::CHECK,
    &workloads_ready::CHECK,
    &restart_strategy::CHECK,
    &restart_injection::CHECK,
    &injection::CHECK,
    &restart_strays::CHECK,
    &restart_gaps::CHECK,
    &restart_budgets::CHECK,
    &restart_time::CHECK,
    &memory::CHECK,
    &integration::CHECK,
    &baseline::CHECK,
    &monitors::CHECK,
];

/// Those whose answer must be no worse after the change than before it.
pub const AFTER: [&Check; 7] = [
    &eks_active::CHECK,
    &eks_health::CHECK,
    &system_pods::CHECK,
    &definitions::CHECK,
    &webhooks::CHECK,
    &flux_suspended::CHECK,
    &kustomizations_ready::CHECK,
];

/// One question.
#[derive(Debug)]
pub struct Check {
    /// What is asked, as a question.
    pub asks: &'static str,
    /// Why it matters, and where that is known from.
    pub because: &'static str,
    /// What it looks at.
    pub reads: &'static [Source],
    /// What it can find. The first one stands for the check where it has no answer.
    pub codes: &'static [Code],
    find: fn(&Subject<'_>) -> Option<Vec<Finding>>,
}

/// What a check can find.
#[derive(Debug)]
pub struct Code {
    /// The finding's code.
    pub code: &'static str,
    /// Its weight.
    pub severity: Severity,
    /// When it is found.
    pub when: &'static str,
}

const fn blocks(code: &'static str, when: &'static str) -> Code {
    Code { code, severity: Severity::Blocking, when }
}

const fn warns(code: &'static str, when: &'static str) -> Code {
    Code { code, severity: Severity::Warning, when }
}

const fn is_open(code: &'static str, when: &'static str) -> Code {
    Code { code, severity: Severity::Unknown, when }
}

/// Everything there is to look at.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The cluster's part of the plan.
    pub planned: &'a PlannedCluster,
    /// What the cluster says.
    pub facts: &'a ClusterFacts,
    /// The branch's head, and what the cluster has of it.
    pub base: &'a Reading<BaseFacts>,
    /// Traffic just before; `None` where Datadog has no series.
    pub baseline: &'a Reading<Option<TrafficWindow>>,
    /// How full memory was.
    pub memory: &'a Reading<MemoryFacts>,
    /// How Datadog's integration reports.
    pub integration: &'a Reading<IntegrationMode>,
    /// Monitors that are not OK.
    pub monitors: &'a Reading<Vec<MonitorFacts>>,
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

/// Something that is read in one go, and may be unreadable by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// EKS's description of the cluster.
    Eks,
    /// The Kubernetes version.
    KubernetesVersion,
    /// Nodes.
    Nodes,
    /// Deployments and pods of istiod.
    Istiod,
    /// GitRepositories, Kustomizations and HelmReleases.
    Flux,
    /// HelmRepositories, OCIRepositories and HelmCharts.
    ChartSources,
    /// The branch's head, and whether Flux has applied it.
    Base,
    /// Pods with proxies, and the workloads they belong to.
    Workloads,
    /// Pods of kube-system and istio-system.
    SystemPods,
    /// Istio's own pods, and every proxy.
    Mesh,
    /// istiod's own counters.
    ControlPlane,
    /// Pods that are given to the API server as a dry run.
    Injection,
    /// CustomResourceDefinitions.
    Definitions,
    /// Webhook configurations, and the endpoints of their services.
    Webhooks,
    /// PodDisruptionBudgets.
    Budgets,
    /// EnvoyFilters.
    EnvoyFilters,
    /// Labels of namespaces.
    Namespaces,
    /// Pods with proxies and without a workload.
    Strays,
    /// Memory in Datadog.
    Memory,
    /// Which request series Datadog has.
    Integration,
    /// Request series in Datadog.
    Traffic,
    /// Monitors in Datadog.
    Monitors,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Eks,
        Self::KubernetesVersion,
        Self::Nodes,
        Self::Istiod,
        Self::Flux,
        Self::ChartSources,
        Self::Base,
        Self::Workloads,
        Self::SystemPods,
        Self::Mesh,
        Self::ControlPlane,
        Self::Definitions,
        Self::Webhooks,
        Self::Budgets,
        Self::EnvoyFilters,
        Self::Namespaces,
        Self::Injection,
        Self::Strays,
        Self::Memory,
        Self::Integration,
        Self::Traffic,
        Self::Monitors,
    ];

    /// The code of the finding that it could not be read.
    pub fn code(self) -> &'static str {
        match self {
            Self::Eks => "EKS_UNREAD",
            Self::KubernetesVersion => "KUBERNETES_VERSION_UNREAD",
            Self::Nodes => "NODES_UNREAD",
            Self::Istiod => "ISTIOD_UNREAD",
            Self::Flux => "FLUX_UNREAD",
            Self::ChartSources => "CHART_SOURCES_UNREAD",
            Self::Base => "BASE_UNREAD",
            Self::Workloads => "WORKLOADS_UNREAD",
            Self::SystemPods => "SYSTEM_PODS_UNREAD",
            Self::Mesh => "MESH_UNREAD",
            Self::ControlPlane => "CONTROL_PLANE_UNREAD",
            Self::Injection => "INJECTION_UNTRIED",
            Self::Definitions => "DEFINITIONS_UNREAD",
            Self::Webhooks => "WEBHOOKS_UNREAD",
            Self::Budgets => "BUDGETS_UNREAD",
            Self::EnvoyFilters => "ENVOY_FILTERS_UNREAD",
            Self::Namespaces => "NAMESPACES_UNREAD",
            Self::Strays => "STRAYS_UNREAD",
            Self::Memory => "MEMORY_UNREAD",
            Self::Integration => "INTEGRATION_UNREAD",
            Self::Traffic => "TRAFFIC_UNREAD",
            Self::Monitors => "MONITORS_UNREAD",
        }
    }

    /// A cluster's API server tells it.
    pub fn is_in_cluster(self) -> bool {
        !matches!(
            self,
            Self::Eks | Self::Base | Self::Memory | Self::Integration | Self::Traffic | Self::Monitors
        )
    }

    /// What it is, for people.
    pub fn what(self) -> &'static str {
        match self {
            Self::Eks => "EKS's description of the cluster",
            Self::KubernetesVersion => "the Kubernetes version",
            Self::Nodes => "nodes",
            Self::Istiod => "Deployments and pods of istiod",
            Self::Flux => "GitRepositories, Kustomizations and HelmReleases",
            Self::ChartSources => "HelmRepositories, OCIRepositories and HelmCharts",
            Self::Base => "the branch's head, and what of it Flux has applied",
            Self::Workloads => "pods with proxies and their workloads",
            Self::SystemPods => "pods of kube-system and istio-system",
            Self::Mesh => "Istio's own pods and every proxy",
            Self::ControlPlane => "istiod's metrics",
            Self::Injection => "what the injector does with a pod that is never made",
            Self::Definitions => "CustomResourceDefinitions",
            Self::Webhooks => "webhook configurations and endpoints of their services",
            Self::Budgets => "PodDisruptionBudgets",
            Self::EnvoyFilters => "EnvoyFilters",
            Self::Namespaces => "namespaces",
            Self::Strays => "pods with proxies and without a workload",
            Self::Memory => "memory in Datadog",
            Self::Integration => "the names of request series in Datadog",
            Self::Traffic => "request series in Datadog",
            Self::Monitors => "monitors in Datadog",
        }
    }
}

impl Subject<'_> {
    fn name(&self) -> &str {
        self.planned.record.cluster_id.as_str()
    }

    fn unread(&self, source: Source) -> Option<&Unread> {
        match source {
            Source::Eks => self.facts.eks.as_ref().err(),
            Source::KubernetesVersion => self.facts.kubernetes_version.as_ref().err(),
            Source::Nodes => self.facts.nodes.as_ref().err(),
            Source::Istiod => self.facts.istiod.as_ref().err(),
            Source::Flux => self.facts.flux.as_ref().err(),
            Source::ChartSources => self.facts.chart_sources.as_ref().err(),
            Source::Base => self.base.as_ref().err(),
            Source::Workloads => self.facts.workloads.as_ref().err(),
            Source::SystemPods => self.facts.system_pods.as_ref().err(),
            Source::Mesh => self.facts.mesh.as_ref().err(),
            Source::ControlPlane => self.facts.control_plane.as_ref().err(),
            Source::Injection => self.facts.injection.as_ref().err(),
            Source::Definitions => self.facts.definitions.as_ref().err(),
            Source::Webhooks => self.facts.webhooks.as_ref().err(),
            Source::Budgets => self.facts.budgets.as_ref().err(),
            Source::EnvoyFilters => self.facts.envoy_filters.as_ref().err(),
            Source::Namespaces => self.facts.namespaces.as_ref().err(),
            Source::Strays => self.facts.strays.as_ref().err(),
            Source::Memory => self.memory.as_ref().err(),
            Source::Integration => self.integration.as_ref().err(),
            Source::Traffic => self.baseline.as_ref().err(),
            Source::Monitors => self.monitors.as_ref().err(),
        }
    }

    /// Every finding of every check. No finding is a pass.
    pub fn findings(&self) -> Vec<Finding> {
        self.findings_of(&ALL)
    }

    /// Every finding of these checks.
    pub fn findings_of(&self, checks: &[&'static Check]) -> Vec<Finding> {
        let (mut found, mut open) = (Vec::new(), Vec::new());
        for check in checks {
            match (check.find)(self) {
                Some(of_it) => found.extend(of_it),
                None => open.push(*check),
            }
        }
        found.extend(self.questions(checks, &open));
        found
    }

    /// What is not known, one finding for each reason.
    fn questions(&self, asked: &[&Check], open: &[&Check]) -> Vec<Finding> {
        let mut told: Vec<&str> = Vec::new();
        let mut found = Vec::new();
        let is_asked = |one: &Source| asked.iter().any(|check| check.reads.contains(one));
        let sources = Source::ALL.into_iter().filter(is_asked);
        for (source, unread) in sources.filter_map(|one| Some((one, self.unread(one)?))) {
            // A cluster that cannot be reached has one reason, and many things that cannot be read for it.
            if told.contains(&unread.why.as_str()) {
                continue;
            }
            told.push(&unread.why);
            let is_so = |check: &&&Check| {
                check.reads.iter().any(|one| self.unread(*one).is_some_and(|other| other.why == unread.why))
            };
            let codes: Vec<&str> = open.iter().filter(is_so).map(|check| check.codes[0].code).collect();
            found.push(Finding::unknown(
                source.code(),
                self.name(),
                format!("{}; not known: {}", unread.why, codes.join(", ")),
                "make it readable and start again: what is not known is never a pass",
            ));
        }
        let is_told = |check: &&&Check| {
            check.reads.iter().any(|one| Source::ALL.contains(one) && self.unread(*one).is_some())
        };
        for check in open.iter().filter(|check| !is_told(check)) {
            found.push(Finding::unknown(
                "CHECK_OPEN",
                self.name(),
                format!("no answer to: {}", check.asks),
                "this is a fault of GUARD: report it",
            ));
        }
        found
    }
}

/// Checks, by their first code, that hold the cluster against GUARD's registry.
const OF_THE_REGISTRY: [&str; 5] =
    ["ISTIOD_VERSION", "PROXY_VERSION", "FLUX_SUSPENDED", "GIT_SOURCE_NOT_READY", "KUSTOMIZATION_NOT_READY"];

/// What a check came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// What it found: nothing is a pass.
    Found(Vec<Finding>),
    /// It has no answer, and why.
    Open(String),
}

impl Check {
    /// What it needs beside the cluster, in words; `None` for a check that the cluster alone answers.
    pub fn needs_beside_the_cluster(&self) -> Option<&'static str> {
        let first = self.codes.first().map_or("", |first| first.code);
        let elsewhere = self.reads.iter().find(|source| !source.is_in_cluster());
        match elsewhere {
            Some(source) => Some(source.what()),
            None => OF_THE_REGISTRY.contains(&first).then_some("GUARD's registry"),
        }
    }
}

impl Subject<'_> {
    /// The answer of one check, for who watches them one by one.
    pub fn answer(&self, check: &Check) -> Answer {
        if let Some(found) = (check.find)(self) {
            return Answer::Found(found);
        }
        let why = check.reads.iter().find_map(|source| self.unread(*source));
        Answer::Open(why.map_or_else(|| "no answer".to_owned(), |unread| unread.why.clone()))
    }
}

/// The first names of many.
pub(crate) fn first(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    let more = names.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests;
