//! Clusters as large as any of the fleet.

use super::{Amount, ClusterSpec, NodeFamily, NodeGroup, Strategy, WorkloadKind, WorkloadSpec};

/// Nodes, and so pods of each DaemonSet.
const NODES: u32 = 128;

impl ClusterSpec {
    /// 300 namespaces, 1,500 workloads and 5,000 pods, with all that Kubernetes keeps beside them, in the size that real
    /// API servers answer with.
    pub fn large(cluster_id: &str, account_id: &str) -> Self {
        use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
        let mut workloads = Vec::new();
        // Four namespaces are there without them: default, flux-system, istio-system, kube-system; and the gateway's.
        for number in 0..1_494_u32 {
            let (namespace, name) = (format!("team-{:03}", number % 294), format!("service-{number:04}"));
            let kind = if number % 6 == 5 { StatefulSet } else { Deployment };
            let workload = WorkloadSpec::new(&namespace, &name, kind, 3);
            workloads.push(if number % 4 == 3 { workload.with_native_sidecar() } else { workload });
        }
        for name in ["relay", "shipper"] {
            workloads.push(WorkloadSpec::new("edge", name, DaemonSet, NODES));
        }
        for name in ["node-agent", "csi-driver"] {
            workloads.push(WorkloadSpec::new("kube-system", name, DaemonSet, NODES).on_host_network());
        }
        Self {
            workloads,
            old_replica_sets: 10,
            other_definitions: 150,
            real_sizes: true,
            ..Self::usual(cluster_id, account_id)
        }
    }

    /// 100 namespaces and 2,000 workloads of two pods each, of every shape: the three kinds, native and classic sidecars,
    /// two systems of nodes, each strategy; one in a hundred is paused or has no pods.
    pub fn of_two_thousand(cluster_id: &str, account_id: &str) -> Self {
        use NodeFamily::{AmazonLinux2023, Bottlerocket, Ubuntu};
        let nodes = |family: NodeFamily, nodes: u32| NodeGroup { family, nodes };
        Self {
            // The two that DaemonSets are on.
            node_groups: vec![nodes(AmazonLinux2023, 60), nodes(Bottlerocket, 30), nodes(Ubuntu, 2)],
            workloads: (0..2_000).map(one_of_many).collect(),
            ..Self::usual(cluster_id, account_id)
        }
    }
}

/// Five namespaces are there without them: default, flux-system, istio-system, kube-system; and the gateway's.
fn one_of_many(number: u32) -> WorkloadSpec {
    use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
    let (namespace, name) = (format!("team-{:02}", number % 95), format!("service-{number:04}"));
    let kind = match number % 20 {
        3 | 8 | 13 => StatefulSet,
        18 => DaemonSet,
        _ => Deployment,
    };
    let workload = WorkloadSpec::new(&namespace, &name, kind, 2);
    let workload = if number % 4 == 1 { workload.with_native_sidecar() } else { workload };
    match (kind, number % 100) {
        (DaemonSet, _) => workload.on_nodes(NodeFamily::Ubuntu),
        (StatefulSet, 3) => workload.replaced_by(Strategy::OnDelete),
        (Deployment, 10) => workload.replaced_by(Strategy::Recreate),
        (Deployment, 11) => workload.paused(),
        (Deployment, 12) => WorkloadSpec { replicas: 0, ..workload },
        // What Kubernetes fills in where nothing is said.
        (Deployment, _) if number.is_multiple_of(2) => {
            workload.rolling(Amount::Percent(25), Amount::Percent(25))
        }
        (Deployment, _) if number.is_multiple_of(3) => workload.on_nodes(NodeFamily::Bottlerocket),
        _ => workload,
    }
}
