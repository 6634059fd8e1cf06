//! Definitions of Istio's and the Gateway API's resources, without their schemas, which are nearly all of them.

use guard_domain::DefinitionFacts;
use guard_tasks::{Context as _, TaskError};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ApiResource;
use kube::core::Object;
use kube::{Api, Client, ResourceExt as _};
use serde::Deserialize;

use crate::list;

/// One may have a megabyte of schema.
const PAGE: u32 = 50;

#[derive(Debug, Clone, Deserialize)]
struct Spec {
    group: String,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Debug, Clone, Deserialize)]
struct Version {
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    stored_versions: Option<Vec<String>>,
}

pub(crate) async fn facts(client: &Client) -> Result<Vec<DefinitionFacts>, TaskError> {
    let resource = ApiResource {
        group: "apiextensions.k8s.io".into(),
        version: "v1".into(),
        api_version: "apiextensions.k8s.io/v1".into(),
        kind: "CustomResourceDefinition".into(),
        plural: "customresourcedefinitions".into(),
    };
    let api: Api<Object<Spec, Status>> = Api::all_with(client.clone(), &resource);
    list::all_large(&api, PAGE, |one| {
        let group = one.spec.group.clone();
        let is_meant = group.ends_with(".istio.io") || group == "gateway.networking.k8s.io";
        is_meant.then(|| DefinitionFacts {
            name: one.name_any(),
            is_helms: is_helms(&one.metadata),
            versions: one.spec.versions.iter().map(|version| version.name.clone()).collect(),
            stored: one.status.clone().and_then(|status| status.stored_versions).unwrap_or_default(),
            gateway_api: one.annotations().get("gateway.networking.k8s.io/bundle-version").cloned(),
            group,
        })
    })
    .await
    .context("list CustomResourceDefinitions")
}

/// What Helm looks for before it takes an object for its own.
fn is_helms(metadata: &ObjectMeta) -> bool {
    let label = metadata.labels.as_ref().and_then(|labels| labels.get("app.kubernetes.io/managed-by"));
    let annotations = metadata.annotations.as_ref();
    let has = |name: &str| annotations.is_some_and(|all| all.contains_key(name));
    label.is_some_and(|by| by == "Helm")
        && has("meta.helm.sh/release-name")
        && has("meta.helm.sh/release-namespace")
}
