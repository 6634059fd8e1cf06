//! EnvoyFilters, as far as they name proxies' versions.

use guard_domain::EnvoyFilterFacts;
use guard_tasks::{Context as _, TaskError};
use kube::api::ApiResource;
use kube::core::Object;
use kube::{Api, Client, ResourceExt as _};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::list;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    config_patches: Vec<Patch>,
}

#[derive(Debug, Clone, Deserialize)]
struct Patch {
    #[serde(rename = "match")]
    matching: Option<Match>,
}

#[derive(Debug, Clone, Deserialize)]
struct Match {
    proxy: Option<Proxy>,
}

#[derive(Debug, Clone, Deserialize)]
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
    let api: Api<Object<Spec, IgnoredAny>> = Api::all_with(client.clone(), &resource);
    let found = list::all(&api, None, |filter| {
        let name = format!("{}/{}", filter.namespace().unwrap_or_default(), filter.name_any());
        let patches = filter.spec.config_patches.into_iter();
        let versions = patches.filter_map(|patch| patch.matching?.proxy?.proxy_version);
        Some(EnvoyFilterFacts { name, proxy_versions: versions.collect() })
    });
    found.await.context("list EnvoyFilters")
}
