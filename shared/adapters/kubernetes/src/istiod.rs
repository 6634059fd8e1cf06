//! istiod as it runs.

use std::collections::BTreeMap;

use guard_domain::{IstioVersion, IstiodFacts};
use guard_tasks::{Context as _, TaskError};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt as _};

use crate::counts::Workload as _;
use crate::{list, workloads};

/// Every revision's istiod carries it, Deployment and pods alike.
const LABEL: &str = "app=istiod";

/// The container that is the control plane.
const CONTAINER: &str = "discovery";

pub(crate) async fn facts(client: &Client) -> Result<IstiodFacts, TaskError> {
    let deployments: Api<Deployment> = Api::all(client.clone());
    let deployments = list::all(&deployments, Some(LABEL), |deployment| {
        let namespace = deployment.namespace().unwrap_or_default();
        Some((format!("{namespace}/{}", deployment.name_any()), deployment.counts()))
    })
    .await
    .context("list istiod deployments")?;

    let pods: Api<Pod> = Api::all(client.clone());
    let versions = list::all(&pods, Some(LABEL), |pod| {
        let image = workloads::image_of(&pod, CONTAINER)?;
        workloads::is_running(&pod).then(|| IstioVersion::from_image(image))
    })
    .await
    .context("list istiod pods")?;
    let mut pods: BTreeMap<Option<IstioVersion>, u32> = BTreeMap::new();
    for version in versions {
        *pods.entry(version).or_default() += 1;
    }
    Ok(IstiodFacts { deployments: deployments.into_iter().collect(), pods: pods.into_iter().collect() })
}
