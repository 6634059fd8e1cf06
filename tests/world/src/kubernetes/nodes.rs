//! Nodes.

use serde_json::{Value, json};

use super::objects::metadata;
use crate::chance;
use crate::cluster::Cluster;
use crate::spec::NodeFamily;
use crate::state::stamp;

pub(super) fn node_name(at: usize) -> String {
    format!("ip-10-20-{at}-10.eu-west-1.compute.internal")
}

/// The label by which a pod asks for a family.
pub(super) const NODE_GROUP: &str = "eks.amazonaws.com/nodegroup";

pub(super) fn nodes(cluster: &Cluster) -> Vec<Value> {
    cluster.nodes.iter().enumerate().map(|(at, family)| node(cluster, at, *family)).collect()
}

fn node(cluster: &Cluster, at: usize, family: NodeFamily) -> Value {
    let kubelet = format!("v{}.5-eks-113cf36", cluster.spec.kubernetes_version);
    let name = node_name(at);
    let mut meta = metadata(cluster, "Node", None, &name);
    meta["labels"] = json!({ "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        NODE_GROUP: family.group() });
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({ "type": kind, "status": status, "reason": reason, "message": "",
            "lastHeartbeatTime": stamp(cluster.born), "lastTransitionTime": stamp(cluster.born) })
    };
    json!({
        "metadata": meta,
        "spec": { "providerID": format!("aws:///eu-west-1a/i-{}", chance::hex(cluster.seed, &["node", &name], 17)) },
        "status": {
            "allocatable": { "cpu": "3920m", "memory": "15Gi", "pods": "58" },
            "capacity": { "cpu": "4", "memory": "16Gi", "pods": "58" },
            "addresses": [{ "type": "InternalIP", "address": format!("10.20.{at}.10") }],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                condition("Ready", "True", "KubeletReady"),
            ],
            "nodeInfo": {
                "kubeletVersion": kubelet, "kubeProxyVersion": kubelet, "operatingSystem": "linux",
                "architecture": "amd64", "osImage": family.os_image(), "kernelVersion": family.kernel(),
                "containerRuntimeVersion": "containerd://1.7.27", "machineID": "", "systemUUID": "", "bootID": "",
            },
        },
    })
}
