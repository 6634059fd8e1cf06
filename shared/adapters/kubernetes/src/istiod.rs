//! istiod as it runs.

use std::collections::BTreeMap;

use guard_domain::{IstioVersion, IstiodFacts, MeshRole, WorkloadKind};
use guard_tasks::{Context as _, TaskError};
use kube::Client;

use crate::pods::{ISTIOD_LABEL, MeshPod};
use crate::workload_object::{self, Workload};

/// `pods` may be those of the whole mesh.
pub(crate) async fn facts(client: &Client, pods: &[MeshPod]) -> Result<IstiodFacts, TaskError> {
    let (name, value) = ISTIOD_LABEL;
    let kind = WorkloadKind::Deployment;
    let list = workload_object::list(kind).labelled(&format!("{name}={value}"));
    let deployments =
        list.read(client, |one: Workload| Some((one.metadata.full_name(), one.counts(kind)))).await;
    let mut versions: BTreeMap<Option<IstioVersion>, u32> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| pod.role == MeshRole::Istiod) {
        *versions.entry(pod.version.clone()).or_default() += 1;
    }
    Ok(IstiodFacts {
        deployments: deployments.context("list istiod deployments")?.into_iter().collect(),
        pods: versions.into_iter().collect(),
    })
}
