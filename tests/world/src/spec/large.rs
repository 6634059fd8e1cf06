//! A cluster as large as any of the fleet.

use super::{ClusterSpec, WorkloadKind, WorkloadSpec};

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
}
