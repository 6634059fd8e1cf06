//! Definitions of Istio's and the Gateway API's resources, without their schemas, which are nearly all of them.

use guard_domain::DefinitionFacts;
use guard_tasks::{Context as _, TaskError};
use kube::Client;
use kube::api::ApiResource;
use serde::Deserialize;

use crate::list::{List, or_default};
use crate::object::Metadata;

/// Most are some 20 kB of schema, and a few are a megabyte.
const PAGE: u32 = 100;

#[derive(Debug, Deserialize)]
struct Definition {
    metadata: Metadata,
    spec: Spec,
    #[serde(default, deserialize_with = "or_default")]
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Spec {
    group: String,
    #[serde(default, deserialize_with = "or_default")]
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(deserialize_with = "or_default")]
    stored_versions: Vec<String>,
}

pub(crate) async fn facts(client: &Client) -> Result<Vec<DefinitionFacts>, TaskError> {
    let resource = ApiResource {
        group: "apiextensions.k8s.io".into(),
        version: "v1".into(),
        api_version: "apiextensions.k8s.io/v1".into(),
        kind: "CustomResourceDefinition".into(),
        plural: "customresourcedefinitions".into(),
    };
    let list = List::of_resource(&resource).by(PAGE);
    let facts = |one: Definition| {
        let Definition { metadata, spec: Spec { group, versions }, status } = one;
        let is_meant = group.ends_with(".istio.io") || group == "gateway.networking.k8s.io";
        is_meant.then(|| DefinitionFacts {
            is_helms: is_helms(&metadata),
            versions: versions.into_iter().map(|version| version.name).collect(),
            stored: status.stored_versions,
            gateway_api: metadata.annotations.get("gateway.networking.k8s.io/bundle-version").cloned(),
            name: metadata.name,
            group,
        })
    };
    list.read(client, facts).await.context("list CustomResourceDefinitions")
}

/// What Helm looks for before it takes an object for its own.
fn is_helms(metadata: &Metadata) -> bool {
    let has = |name: &str| metadata.annotations.contains_key(name);
    metadata.labels.get("app.kubernetes.io/managed-by").is_some_and(|by| by == "Helm")
        && has("meta.helm.sh/release-name")
        && has("meta.helm.sh/release-namespace")
}
