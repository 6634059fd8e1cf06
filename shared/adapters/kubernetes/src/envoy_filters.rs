//! EnvoyFilters, as far as they name proxies' versions.

use guard_domain::EnvoyFilterFacts;
use guard_tasks::{Context as _, TaskError};
use kube::Client;
use kube::api::ApiResource;
use serde::Deserialize;

use crate::list::{List, or_default};
use crate::object::Metadata;

#[derive(Debug, Deserialize)]
struct Filter {
    metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    config_patches: Vec<Patch>,
}

#[derive(Debug, Deserialize)]
struct Patch {
    #[serde(rename = "match")]
    matching: Option<Match>,
}

#[derive(Debug, Deserialize)]
struct Match {
    proxy: Option<Proxy>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proxy {
    proxy_version: Option<String>,
}

/// It has one version only, and always had.
pub(crate) async fn facts(client: &Client) -> Result<Vec<EnvoyFilterFacts>, TaskError> {
    let resource = ApiResource {
        group: "networking.istio.io".into(),
        version: "v1alpha3".into(),
        api_version: "networking.istio.io/v1alpha3".into(),
        kind: "EnvoyFilter".into(),
        plural: "envoyfilters".into(),
    };
    let facts = |filter: Filter| {
        let patches = filter.spec.config_patches.into_iter();
        let versions = patches.filter_map(|patch| patch.matching?.proxy?.proxy_version);
        Some(EnvoyFilterFacts { name: filter.metadata.full_name(), proxy_versions: versions.collect() })
    };
    List::of_resource(&resource).read(client, facts).await.context("list EnvoyFilters")
}
