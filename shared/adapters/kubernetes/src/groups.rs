//! Which API groups a cluster serves, and in which versions.

use guard_tasks::TaskError;
use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroupList;
use kube::Client;
use kube::api::ApiResource;

use crate::{error, list};

/// All groups, from one question. Every authenticated user may ask it (ClusterRole `system:discovery`).
pub(crate) struct Groups(APIGroupList);

impl Groups {
    pub(crate) async fn read(client: &Client) -> Result<Self, TaskError> {
        let doing = "find API groups";
        let request =
            Request::get("/apis").body(Vec::new()).map_err(|error| TaskError::internal(error.to_string()))?;
        let found = error::named(list::get(client, request).await, doing)?;
        let groups =
            serde_json::from_slice(&found).map_err(|cause| error::unreadable(&cause).context(doing))?;
        Ok(Self(groups))
    }

    /// The versions of a group, the preferred one first.
    pub(crate) fn versions(&self, group: &str) -> Result<Vec<String>, TaskError> {
        let found = self.0.groups.iter().find(|one| one.name == group);
        let preferred = found.and_then(|one| one.preferred_version.as_ref());
        let mut versions: Vec<String> = preferred.map(|one| one.version.clone()).into_iter().collect();
        for other in found.into_iter().flat_map(|one| &one.versions) {
            if !versions.contains(&other.version) {
                versions.push(other.version.clone());
            }
        }
        if versions.is_empty() { Err(error::missing_group(group)) } else { Ok(versions) }
    }

    /// The kind in the version this cluster prefers: Flux serves and removes versions release by release.
    pub(crate) fn resource(&self, group: &str, kind: &str, plural: &str) -> Result<ApiResource, TaskError> {
        let versions = self.versions(group)?;
        let version = versions.first().ok_or_else(|| error::missing_group(group))?;
        Ok(resource(group, version, kind, plural))
    }
}

/// A kind that no library knows.
pub(crate) fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        api_version: format!("{group}/{version}"),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}
