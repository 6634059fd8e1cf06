//! A pod that is given to the API server as a dry run, for what the injector makes of it.

use std::collections::{BTreeMap, BTreeSet};

use guard_domain::{InjectionProbe, IstioVersion, NamespaceFacts, ProbeOutcome};
use guard_tasks::{Context as _, TaskError};
use http::Request;
use http::header::CONTENT_TYPE;
use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error;
use crate::list::or_default;
use crate::pods::PROXY;
use crate::restart::FIELD_MANAGER;

/// An empty namespace without labels about injection, in which GUARD may make pods; docs/rbac.yaml makes it. RBAC knows
/// no dry runs, so the permission is for real pods too, and is given where they can do least.
const NAMESPACE: &str = "guard-probe";

/// What API servers write of a pod that a webhook or an admission rule stopped. A missing permission reads otherwise.
const STOPPED: [&str; 4] =
    ["failed calling webhook", "denied the request", "violates PodSecurity", "exceeded quota"];

/// One dry run for each revision that the namespaces ask for, and one for the default where none does.
pub(crate) async fn facts(
    client: &Client,
    namespaces: &BTreeMap<String, NamespaceFacts>,
) -> Result<Vec<InjectionProbe>, TaskError> {
    let mut revisions: BTreeSet<&str> =
        namespaces.values().filter_map(|namespace| namespace.revision.as_deref()).collect();
    if revisions.is_empty() || namespaces.values().any(|one| one.injection.as_deref() == Some("enabled")) {
        revisions.insert("default");
    }
    let mut probes = Vec::new();
    for revision in revisions {
        let outcome = probe(client, revision).await.context(format!("try the injection of {revision}"))?;
        probes.push(InjectionProbe { revision: revision.to_owned(), outcome });
    }
    Ok(probes)
}

async fn probe(client: &Client, revision: &str) -> Result<ProbeOutcome, TaskError> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All&fieldManager={FIELD_MANAGER}");
    let request = Request::post(path)
        .header(CONTENT_TYPE, "application/json")
        .body(pod(revision).to_string().into_bytes())
        .map_err(|error| TaskError::internal(error.to_string()))?;
    match client.request::<Made>(request).await {
        Ok(made) => Ok(made.outcome()),
        Err(error) => {
            let error = error::task_error(&error);
            let words = error.to_string();
            if STOPPED.iter().any(|sign| words.contains(sign)) {
                return Ok(ProbeOutcome::Refused(guard_http::clip(&words)));
            }
            if words.contains("NotFound") {
                let missing = format!("namespace {NAMESPACE} is not there: apply docs/rbac.yaml");
                return Err(TaskError::rejected(missing));
            }
            Err(error)
        }
    }
}

/// A pod that asks for a proxy, and that the strictest PodSecurity lets through.
fn pod(revision: &str) -> Value {
    let labels = match revision {
        "default" => json!({"sidecar.istio.io/inject": "true"}),
        revision => json!({"istio.io/rev": revision}),
    };
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "guard-probe-", "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65_532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "probe",
                "image": "registry.k8s.io/pause:3.10",
                "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "8Mi"}},
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}

/// The pod as it would have been made.
#[derive(Debug, Deserialize)]
struct Made {
    spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default, deserialize_with = "or_default")]
    containers: Vec<Container>,
    #[serde(default, deserialize_with = "or_default")]
    init_containers: Vec<Container>,
}

#[derive(Debug, Deserialize)]
struct Container {
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    image: String,
}

impl Made {
    fn outcome(&self) -> ProbeOutcome {
        let mut all = self.spec.containers.iter().chain(&self.spec.init_containers);
        match all.find(|container| container.name == PROXY) {
            Some(proxy) => ProbeOutcome::Injected(IstioVersion::from_image(&proxy.image)),
            None => ProbeOutcome::Bare,
        }
    }
}
