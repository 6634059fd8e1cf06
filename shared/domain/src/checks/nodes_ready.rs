//! Are enough nodes there?

use super::{Check, Source, Subject, blocks, first, is_open, warns};
use crate::{Finding, NodeFacts, PolicyConfig};

pub(super) const CHECK: Check = Check {
    asks: "Are the nodes Ready and taking pods, up to what policy tolerates?",
    because: "A restart moves pods; a node that is down takes their room away, and hides proxies that are still old. \
              Restarts have made nodes NotReady before (istio#23959). In a large cluster some node is always being \
              replaced: policy.nodes_not_ready_percent_max and policy.nodes_cordoned_percent_max say how many are \
              ordinary.",
    reads: &[Source::Nodes],
    codes: &[
        blocks("NODE_NOT_READY", "more nodes are not Ready than policy tolerates"),
        warns("NODE_NOT_READY_TOLERATED", "some are not Ready, and policy tolerates as many"),
        blocks("NODE_CORDONED", "more nodes are cordoned than policy tolerates"),
        warns("NODE_CORDONED_TOLERATED", "some are cordoned, and policy tolerates as many"),
        is_open("NO_NODES", "the API server lists none"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let nodes = subject.facts.nodes.as_ref().ok()?;
    Some(findings(subject.name(), nodes, &subject.config.policy))
}

/// The same of any cluster, before an upgrade or after it.
pub(crate) fn findings(cluster: &str, nodes: &[NodeFacts], policy: &PolicyConfig) -> Vec<Finding> {
    if nodes.is_empty() {
        return vec![Finding::unknown(
            "NO_NODES",
            cluster,
            "the API server lists no nodes",
            "look at the cluster",
        )];
    }
    let those = |is_meant: fn(&NodeFacts) -> bool| -> Vec<String> {
        nodes.iter().filter(|node| is_meant(node)).map(|node| node.name.clone()).collect()
    };
    let tell = |names: Vec<String>, state: &str, percent: u32, codes: [&str; 2], remedy: &str| {
        let seen = format!("{} of {} nodes are {state}: {}", names.len(), nodes.len(), first(&names));
        if names.is_empty() {
            None
        } else if is_tolerated(names.len(), nodes.len(), percent) {
            let seen = format!("{seen}; policy tolerates {percent} %");
            Some(Finding::warning(codes[1], cluster, seen, remedy))
        } else {
            let seen = format!("{seen}; policy tolerates {percent} %");
            Some(Finding::blocking(codes[0], cluster, seen, remedy))
        }
    };
    let not_ready = tell(
        those(|node| !node.is_ready),
        "not Ready",
        policy.nodes_not_ready_percent_max,
        ["NODE_NOT_READY", "NODE_NOT_READY_TOLERATED"],
        "mend or replace them",
    );
    let cordoned = tell(
        those(|node| node.is_ready && node.is_cordoned),
        "cordoned",
        policy.nodes_cordoned_percent_max,
        ["NODE_CORDONED", "NODE_CORDONED_TOLERATED"],
        "wait until whoever drains them is done, or uncordon them",
    );
    not_ready.into_iter().chain(cordoned).collect()
}

/// `some` of `all` are at most `percent` of them.
fn is_tolerated(some: usize, all: usize, percent: u32) -> bool {
    some.saturating_mul(100) <= all.saturating_mul(percent as usize)
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::NodeFacts;
    use crate::checks::tests::{Scene, finds};

    /// So many nodes, of which the first few are bent.
    fn nodes(all: usize, some: usize, bend: fn(&mut NodeFacts)) -> impl FnOnce(&mut Scene) {
        move |scene| {
            let nodes = scene.facts.nodes.as_mut().unwrap();
            let node = nodes[0].clone();
            *nodes = (0..all).map(|n| NodeFacts { name: format!("n{n}"), ..node.clone() }).collect();
            nodes.iter_mut().take(some).for_each(bend);
        }
    }

    #[test]
    fn policy_says_how_many_may_be_missing() {
        let down: fn(&mut NodeFacts) = |node| node.is_ready = false;
        finds(&CHECK, "NODE_NOT_READY", nodes(1, 1, down));
        finds(&CHECK, "NODE_NOT_READY", nodes(19, 1, down));
        let found = finds(&CHECK, "NODE_NOT_READY_TOLERATED", nodes(20, 1, down));
        assert!(found[0].message.starts_with("1 of 20 nodes are not Ready: n0;"), "{}", found[0]);
        finds(&CHECK, "NODE_NOT_READY", |scene| {
            nodes(20, 1, down)(scene);
            scene.config.policy.nodes_not_ready_percent_max = 0;
        });
    }

    #[test]
    fn cordoned_nodes_are_counted_by_themselves() {
        let cordon: fn(&mut NodeFacts) = |node| node.is_cordoned = true;
        finds(&CHECK, "NODE_CORDONED", nodes(10, 3, cordon));
        finds(&CHECK, "NODE_CORDONED_TOLERATED", nodes(10, 2, cordon));
        finds(
            &CHECK,
            "NODE_NOT_READY",
            nodes(1, 1, |node| {
                node.is_cordoned = true;
                node.is_ready = false;
            }),
        );
    }

    #[test]
    fn no_nodes_is_no_answer() {
        finds(&CHECK, "NO_NODES", |scene| scene.facts.nodes.as_mut().unwrap().clear());
    }
}
