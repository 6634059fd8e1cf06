//! Are the nodes Ready?

use super::{Check, Source, Subject, blocks, is_open};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Is every node Ready?",
    because: "A restart moves pods; a node that is down takes their room away, and hides proxies that are still old. \
              Restarts have made nodes NotReady before (istio#23959).",
    reads: &[Source::Nodes],
    codes: &[
        blocks("NODE_NOT_READY", "a node that takes pods is not Ready"),
        is_open("NO_NODES", "the API server lists none"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let nodes = subject.facts.nodes.as_ref().ok()?;
    if nodes.is_empty() {
        return Some(vec![Finding::unknown(
            "NO_NODES",
            subject.name(),
            "the API server lists no nodes",
            "look at the cluster",
        )]);
    }
    let found = nodes.iter().filter(|node| !node.is_ready).map(|node| {
        Finding::blocking(
            "NODE_NOT_READY",
            format!("{}: node {}", subject.name(), node.name),
            "not Ready",
            "mend or replace the node first",
        )
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn a_node_that_is_not_ready_blocks() {
        let found =
            finds(&CHECK, "NODE_NOT_READY", |scene| scene.facts.nodes.as_mut().unwrap()[0].is_ready = false);
        assert_eq!(found[0].subject, "c1: node n1");
    }

    #[test]
    fn no_nodes_is_no_answer() {
        finds(&CHECK, "NO_NODES", |scene| scene.facts.nodes.as_mut().unwrap().clear());
    }
}
