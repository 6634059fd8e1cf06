//! Is there room for what the new version needs more?

use super::{Check, Source, Subject, blocks, is_open, warns};
use crate::{Finding, MemoryFacts};

pub(super) const CHECK: Check = Check {
    asks: "Has istiod memory left below its limit, and every node some of its own?",
    because: "From 1.25 to 1.27 istiod needed half as much again and up to six times as much, and was killed for it \
              (istio#58180; also istio#54970, istio#16873), and while proxies restart their memory has taken whole nodes down \
              (istio#23959). Measured is the fullest moment of the baseline window (kubernetes.memory.usage and .limits of \
              container discovery, system.mem.pct_usable). policy.istiod_memory_left_percent_min and \
              policy.node_memory_left_percent_min say how much; with 0 nobody asks.",
    reads: &[Source::Memory],
    codes: &[
        blocks("ISTIOD_MEMORY", "istiod was closer to its limit than policy allows"),
        is_open("NO_ISTIOD_MEMORY", "Datadog has no memory of istiod for the cluster's tag"),
        warns("NODE_MEMORY", "a node was fuller than policy allows"),
        is_open("NO_NODE_MEMORY", "Datadog has no memory of nodes for the cluster's tag"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let memory = subject.memory.as_ref().ok()?;
    let policy = &subject.config.policy;
    let istiod = istiod(subject.name(), memory, policy.istiod_memory_left_percent_min);
    let nodes = nodes(subject.name(), memory, policy.node_memory_left_percent_min);
    Some(istiod.into_iter().chain(nodes).collect())
}

fn istiod(cluster: &str, memory: &MemoryFacts, wanted: u32) -> Option<Finding> {
    if wanted == 0 {
        return None;
    }
    let Some(used) = memory.istiod_used else {
        return Some(Finding::unknown(
            "NO_ISTIOD_MEMORY",
            cluster,
            "Datadog has no kubernetes.memory.usage of container discovery for this cluster",
            "let the agent report it, or set policy.istiod_memory_left_percent_min to 0",
        ));
    };
    // Without a limit of its own it has the node's memory.
    let limit = memory.istiod_limit?;
    let left = (100.0 - used / limit * 100.0).max(0.0);
    // A limit of zero leaves nothing, and nothing is not a number.
    (!left.is_finite() || left < f64::from(wanted)).then(|| {
        Finding::blocking(
            "ISTIOD_MEMORY",
            cluster,
            format!(
                "istiod had {left:.0} % of its limit of {:.0} MiB left, {wanted} % are asked for",
                limit / 1_048_576.0
            ),
            "raise istiod's memory limit (pilot.resources) before the upgrade, or lower \
             policy.istiod_memory_left_percent_min",
        )
    })
}

fn nodes(cluster: &str, memory: &MemoryFacts, wanted: u32) -> Option<Finding> {
    if wanted == 0 {
        return None;
    }
    let Some(left) = memory.node_left_percent else {
        return Some(Finding::unknown(
            "NO_NODE_MEMORY",
            cluster,
            "Datadog has no system.mem.pct_usable for this cluster",
            "let the agent tag its hosts kube_cluster_name, or set policy.node_memory_left_percent_min to 0",
        ));
    };
    (left < f64::from(wanted)).then(|| {
        Finding::warning(
            "NODE_MEMORY",
            cluster,
            format!("the fullest node had {left:.0} % of its memory left, {wanted} % are asked for"),
            "add room, or lower policy.max_unavailable_workloads",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::MemoryFacts;
    use crate::checks::tests::{Scene, finds, passes};

    fn memory(bend: fn(&mut MemoryFacts)) -> impl FnOnce(&mut Scene) {
        move |scene| bend(scene.memory.as_mut().unwrap())
    }

    #[test]
    fn an_istiod_near_its_limit_blocks() {
        let found = finds(&CHECK, "ISTIOD_MEMORY", memory(|it| it.istiod_used = Some(1.6e9)));
        assert!(
            found[0].message.starts_with("istiod had 20 % of its limit of 1907 MiB left, 30 %"),
            "{}",
            found[0]
        );
        finds(&CHECK, "ISTIOD_MEMORY", memory(|it| it.istiod_used = Some(3e9)));
        finds(
            &CHECK,
            "ISTIOD_MEMORY",
            memory(|it| (it.istiod_used, it.istiod_limit) = (Some(1.0), Some(0.0))),
        );
        passes(memory(|it| it.istiod_used = Some(1.4e9)));
        passes(memory(|it| it.istiod_limit = None));
    }

    #[test]
    fn a_full_node_is_told() {
        finds(&CHECK, "NODE_MEMORY", memory(|it| it.node_left_percent = Some(9.9)));
        passes(memory(|it| it.node_left_percent = Some(10.0)));
    }

    #[test]
    fn no_data_is_no_answer_unless_policy_does_not_ask() {
        finds(&CHECK, "NO_ISTIOD_MEMORY", memory(|it| (it.istiod_used, it.istiod_limit) = (None, None)));
        finds(&CHECK, "NO_NODE_MEMORY", memory(|it| it.node_left_percent = None));
        passes(|scene| {
            *scene.memory.as_mut().unwrap() = MemoryFacts::default();
            scene.config.policy.istiod_memory_left_percent_min = 0;
            scene.config.policy.node_memory_left_percent_min = 0;
        });
    }
}
