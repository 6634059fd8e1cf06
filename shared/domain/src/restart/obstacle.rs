//! Why a restart would not bring a workload's proxies to the version.

use std::collections::BTreeMap;

use crate::checks::first;
use crate::{Finding, IstioVersion, NamespaceFacts, PolicyConfig, WorkloadFacts};

/// One reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Its rollouts are paused: the changed template would lie there until somebody resumes them.
    Paused,
    /// The proxy stands in the template itself, with its version.
    ProxyByHand,
    /// The next pod would have no proxy at all.
    InjectionLost,
    /// A partition keeps some of its pods at the old template.
    Partition,
    /// Its own strategy takes more pods away at once than policy allows.
    TooWide,
    /// It was broken before its restart, and nobody has mended it since.
    Broken,
}

impl Obstacle {
    /// The first reason, if there is one. [`Self::Broken`] is told by time alone, and is none of a workload's own.
    pub fn of(
        workload: &WorkloadFacts,
        namespaces: &BTreeMap<String, NamespaceFacts>,
        policy: &PolicyConfig,
    ) -> Option<Self> {
        let template = &workload.template;
        // Of a namespace that is not listed nothing is known, and nothing is no reason.
        let namespace = namespaces.get(&workload.workload.namespace);
        let is_lost = |it: &NamespaceFacts| !it.injects(template.asks.as_deref(), template.has_revision);
        let most = policy.max_unavailable_pods.min(policy.max_unavailable_pods_per_namespace);
        if template.has_own_proxy {
            Some(Self::ProxyByHand)
        } else if namespace.is_some_and(is_lost) {
            Some(Self::InjectionLost)
        } else if template.is_paused {
            Some(Self::Paused)
        } else if template.partition > 0 {
            Some(Self::Partition)
        } else if super::limits::taken_by(workload) > most {
            Some(Self::TooWide)
        } else {
            None
        }
    }

    /// Its owner's own setting keeps the old pods: it counts in no share. The others stop the pre-check, so they came up
    /// since, and a mesh that lost its injection is not at the version because none of it could be restarted.
    pub fn is_owners_choice(self) -> bool {
        matches!(self, Self::Paused | Self::Partition | Self::TooWide)
    }

    /// It is said at the end, with what a person can do.
    pub fn told(self, cluster: &str, workload: &WorkloadFacts, target: &IstioVersion) -> Finding {
        let (why, remedy) = match self {
            Self::Paused => ("its rollouts are paused", "kubectl rollout resume, once its owner agrees"),
            Self::ProxyByHand => {
                ("its proxy stands in the template itself", "let istiod inject it, or change the template")
            }
            Self::InjectionLost => (
                "its next pod would have no proxy",
                "label the namespace istio-injection=enabled or istio.io/rev, or the pod template, and restart it",
            ),
            Self::Partition => (
                "a partition keeps pods at the old template",
                "set updateStrategy.rollingUpdate.partition to 0, and restart it",
            ),
            Self::TooWide => (
                "its strategy takes more pods away at once than policy.max_unavailable_pods allows",
                "give it a rolling strategy, or restart it by hand at a good time",
            ),
            Self::Broken => ("it was not ready before its restart", "bring it up, and restart it"),
        };
        let behind = workload.pods_not_at(target);
        Finding::warning(
            "PROXY_NOT_RESTARTED",
            format!("{cluster}: {}", workload.workload),
            format!("{why}: {behind} pods without proxy {target}"),
            remedy,
        )
    }
}

/// Pods of other owners.
pub(super) fn strays(cluster: &str, strays: &[String]) -> Option<Finding> {
    (!strays.is_empty()).then(|| {
        Finding::warning(
            "PROXY_NOT_RESTARTED",
            cluster,
            format!("{} pods with proxies belong to nothing GUARD restarts: {}", strays.len(), first(strays)),
            "restart them by hand, or let their owners do it: their proxies keep the old version",
        )
    })
}
