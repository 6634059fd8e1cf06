//! Do Istio's containers stay up?

use super::Before;
use crate::{Finding, MeshPodFacts, MeshRole};

/// A container that restarts this often since the change does not come up by itself.
const CRASHES: u32 = 3;

/// Restarts and deaths for want of memory since the change. Most pods are new since then and count from zero.
pub(crate) fn findings(cluster: &str, pods: &[MeshPodFacts], before: Option<&Before<'_>>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut restarted = Vec::new();
    for pod in pods {
        let old = before.and_then(|before| before.restarts.get(&pod.name)).copied().unwrap_or_default();
        let restarts = pod.restarts.saturating_sub(old);
        if restarts == 0 {
            continue;
        }
        let reason = pod.last_end.as_ref().map_or("the kubelet does not say why", |end| end.reason.as_str());
        let what = match pod.role {
            MeshRole::Istiod => "istiod",
            MeshRole::Gateway => "a gateway",
            MeshRole::Sidecar => "a sidecar",
            MeshRole::Ztunnel => "ztunnel",
            MeshRole::Cni => "the CNI node agent",
        };
        let subject = format!("{cluster}: pod {}", pod.name);
        if pod.was_out_of_memory() {
            found.push(Finding::blocking(
                "OUT_OF_MEMORY",
                subject,
                format!("{what} was ended for want of memory, {restarts} restarts since the change"),
                "the new version needs more: raise its limit, or stay at the old one",
            ));
        } else if restarts >= CRASHES {
            found.push(Finding::blocking(
                "CRASHES",
                subject,
                format!("{what} restarted {restarts} times since the change, the last time: {reason}"),
                "look at the log of its last end (kubectl logs --previous)",
            ));
        } else {
            restarted.push(format!("{} ({restarts}, {reason})", pod.name));
        }
    }
    if !restarted.is_empty() {
        found.push(Finding::warning(
            "RESTARTED",
            cluster,
            format!("containers of Istio restarted since the change: {}", crate::checks::first(&restarted)),
            "look at their logs if it goes on",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{ContainerEnd, Severity};

    fn pod(name: &str, restarts: u32, reason: &str) -> MeshPodFacts {
        MeshPodFacts {
            name: name.into(),
            role: MeshRole::Istiod,
            version: None,
            hub: String::new(),
            is_ready: true,
            restarts,
            last_end: (!reason.is_empty()).then(|| ContainerEnd { reason: reason.into(), at: None }),
        }
    }

    #[test]
    fn only_what_happened_since_the_change_counts() {
        let restarts = BTreeMap::from([("a".to_owned(), 40)]);
        let before = Before { restarts, ..Before::default() };
        let found = |pod: MeshPodFacts| {
            let found = findings("c1", &[pod], Some(&before));
            found.first().map(|finding| (finding.code.clone(), finding.severity))
        };
        assert_eq!(found(pod("a", 40, "OOMKilled")), None);
        let is = |code: &str, severity| Some((code.to_owned(), severity));
        assert_eq!(found(pod("a", 41, "Error")), is("RESTARTED", Severity::Warning));
        assert_eq!(found(pod("a", 43, "Error")), is("CRASHES", Severity::Blocking));
        assert_eq!(found(pod("a", 41, "OOMKilled")), is("OUT_OF_MEMORY", Severity::Blocking));
        assert_eq!(found(pod("b", 3, "")), is("CRASHES", Severity::Blocking));
        assert_eq!(found(pod("b", 0, "")), None);
    }
}
