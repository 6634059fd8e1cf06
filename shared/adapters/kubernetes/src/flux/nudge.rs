//! Asking Flux to look at once.

use guard_tasks::TaskError;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::json;

use super::{KUSTOMIZE, SOURCE};
use crate::error;
use crate::groups::Groups;
use crate::restart::FIELD_MANAGER;

/// A value of this that Flux has not handled yet makes it reconcile:
/// <https://fluxcd.io/flux/components/source/gitrepositories/#triggering-a-reconcile>.
const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Sources first: a Kustomization applies what was fetched. The same value again asks for nothing.
pub(crate) async fn nudge(
    client: &Client,
    repositories: &[String],
    kustomizations: &[String],
    value: &str,
) -> Result<(), TaskError> {
    let groups = Groups::read(client).await?;
    let kinds = [
        (SOURCE, "GitRepository", "gitrepositories", repositories),
        (KUSTOMIZE, "Kustomization", "kustomizations", kustomizations),
    ];
    let patch = json!({"metadata": {"annotations": {REQUESTED_AT: value}}});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    for (group, kind, plural, names) in kinds {
        let resource = groups.resource(group, kind, plural)?;
        for name in names {
            let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
            let answer = api.patch_metadata(name, &params, &Patch::Merge(&patch)).await;
            error::named(answer.map(|_| ()), &format!("ask {kind} {namespace}/{name} to reconcile"))?;
        }
    }
    Ok(())
}
