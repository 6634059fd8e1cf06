//! `/version` and API discovery.

use serde_json::{Value, json};

use super::resources::{Resource, SERVED};
use crate::call::{self, Answer};

pub(super) fn version(version: &str) -> Value {
    let (major, minor) = version.split_once('.').unwrap_or(("1", version));
    json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("v{major}.{minor}.5-eks-3025e55"),
        "gitCommit": "3025e55fa5a1b2a5b3bd2b6ea1d0e7f1a5c1c1a7",
        "gitTreeState": "clean",
        "buildDate": "2026-08-12T03:17:41Z",
        "goVersion": "go1.24.6",
        "compiler": "gc",
        "platform": "linux/amd64",
    })
}

/// The groups, each with its version, in the order they are served.
fn groups() -> Vec<&'static Resource> {
    let mut seen: Vec<&Resource> = Vec::new();
    for one in SERVED.iter().filter(|one| !one.group.is_empty()) {
        if !seen.iter().any(|known| known.group == one.group) {
            seen.push(one);
        }
    }
    seen
}

/// A group with its version; Flux may be an older one, which serves HelmReleases in another.
fn group(one: &Resource, helm_version: &str) -> Value {
    let version = if one.kind == "HelmRelease" { helm_version } else { one.version };
    let version = json!({ "groupVersion": format!("{}/{version}", one.group), "version": version });
    json!({ "name": one.group, "versions": [version], "preferredVersion": version })
}

fn resource_list(name: &str, version: &str) -> Option<Answer> {
    let mut members: Vec<Value> = SERVED
        .iter()
        .filter(|one| one.group == name && one.version == version)
        .map(|one| {
            let verbs: &[&str] = match one.plural {
                "deployments" | "statefulsets" | "daemonsets" => &["get", "list", "patch"],
                "pods" => &["create", "get", "list"],
                _ if one.group.ends_with(".fluxcd.io") => &["get", "list", "patch"],
                _ => &["get", "list"],
            };
            let singular = one.kind.to_lowercase();
            json!({ "name": one.plural, "singularName": singular, "namespaced": one.namespaced, "kind": one.kind, "verbs": verbs })
        })
        .collect();
    if name.is_empty() {
        members.push(
            json!({ "name": "pods/eviction", "singularName": "", "namespaced": true, "kind": "Eviction",
            "group": "policy", "version": "v1", "verbs": ["create"] }),
        );
    }
    let group_version = if name.is_empty() { version.to_owned() } else { format!("{name}/{version}") };
    let list = json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": members });
    (!members.is_empty() && (!name.is_empty() || version == "v1")).then(|| call::json(200, &list))
}

pub(super) fn answer(parts: &[&str], helm_version: &str) -> Option<Answer> {
    match parts {
        ["api"] => Some(call::json(
            200,
            &json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
        )),
        ["apis"] => {
            let groups: Vec<Value> = groups().into_iter().map(|one| group(one, helm_version)).collect();
            Some(call::json(200, &json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })))
        }
        ["api", version] => resource_list("", version),
        ["apis", name] => {
            let found = groups().into_iter().find(|one| one.group == *name)?;
            let mut body = json!({ "kind": "APIGroup", "apiVersion": "v1" });
            if let (Some(body), Value::Object(rest)) = (body.as_object_mut(), group(found, helm_version)) {
                body.extend(rest);
            }
            Some(call::json(200, &body))
        }
        ["apis", name, version] => resource_list(name, version),
        ["readyz" | "livez" | "healthz"] => Some(call::text(200, "ok")),
        _ => None,
    }
}
