//! istiod as it runs.

use std::collections::BTreeMap;

use guard_domain::{IstioVersion, IstiodFacts, MeshRole};

use crate::pods::MeshPod;
use crate::workload_object::Found;

/// What these Deployments and pods, which may be those of others too, say of istiod.
pub(crate) fn facts(deployments: &[Found], pods: &[MeshPod]) -> IstiodFacts {
    let mut versions: BTreeMap<Option<IstioVersion>, u32> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| pod.role == MeshRole::Istiod) {
        *versions.entry(pod.version.clone()).or_default() += 1;
    }
    let deployments = || deployments.iter().filter(|one| one.is_istiod);
    let name = |one: &Found| format!("{}/{}", one.workload.namespace, one.workload.name);
    let istiods = pods.iter().filter(|pod| pod.role == MeshRole::Istiod && !pod.is_ready);
    let trouble = |pod: &MeshPod| Some((format!("{}/{}", pod.namespace, pod.name), pod.trouble.clone()?));
    IstiodFacts {
        deployments: deployments().map(|one| (name(one), one.counts.clone())).collect(),
        stuck: deployments().filter_map(|one| Some((name(one), one.stuck_since?))).collect(),
        troubles: istiods.filter_map(trouble).collect(),
        pods: versions.into_iter().collect(),
    }
}
