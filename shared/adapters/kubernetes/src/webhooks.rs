//! Istio's webhooks, and whether anybody answers at the other end.

use std::collections::BTreeMap;

use guard_domain::WebhookFacts;
use guard_tasks::{Context as _, TaskError};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;

use crate::list::List;

/// Namespace and name.
type Service = (String, String);

/// A configuration, a service that it calls, and whether all its webhooks there have a CA bundle.
type Calls = (String, Service, bool);

pub(crate) async fn facts(client: &Client) -> Result<Vec<WebhookFacts>, TaskError> {
    let of_one = |one: MutatingWebhookConfiguration| {
        let clients = one.webhooks.iter().flatten().map(|hook| &hook.client_config);
        Some(services("MutatingWebhookConfiguration", &one.metadata, clients))
    };
    let mutating = List::of::<MutatingWebhookConfiguration>().read(client, of_one);
    let mut calls = mutating.await.context("list MutatingWebhookConfigurations")?;
    let of_one = |one: ValidatingWebhookConfiguration| {
        let clients = one.webhooks.iter().flatten().map(|hook| &hook.client_config);
        Some(services("ValidatingWebhookConfiguration", &one.metadata, clients))
    };
    let validating = List::of::<ValidatingWebhookConfiguration>().read(client, of_one);
    calls.extend(validating.await.context("list ValidatingWebhookConfigurations")?);
    let calls: Vec<Calls> = calls.into_iter().flatten().collect();
    let mut ready: BTreeMap<Service, u32> = BTreeMap::new();
    for (_, service, _) in &calls {
        if !ready.contains_key(service) {
            ready.insert(service.clone(), ready_endpoints(client, service).await?);
        }
    }
    let facts = calls.into_iter().map(|(configuration, service, has_ca)| WebhookFacts {
        configuration,
        ready_endpoints: ready.get(&service).copied().unwrap_or_default(),
        service: format!("{}/{}", service.0, service.1),
        has_ca,
    });
    Ok(facts.collect())
}

/// Istio's are told by the label that each of them carries, whatever its revision.
fn services<'a>(
    kind: &str,
    metadata: &ObjectMeta,
    clients: impl Iterator<Item = &'a WebhookClientConfig>,
) -> Vec<Calls> {
    if !metadata.labels.as_ref().is_some_and(|labels| labels.contains_key("istio.io/rev")) {
        return Vec::new();
    }
    let name = format!("{kind} {}", metadata.name.as_deref().unwrap_or_default());
    let mut found: BTreeMap<Service, bool> = BTreeMap::new();
    // A webhook by URL calls something outside of the cluster.
    for (client, service) in clients.filter_map(|client| Some((client, client.service.as_ref()?))) {
        let has_ca = client.ca_bundle.as_ref().is_some_and(|bundle| !bundle.0.is_empty());
        let all = found.entry((service.namespace.clone(), service.name.clone())).or_insert(true);
        *all = *all && has_ca;
    }
    found.into_iter().map(|(service, has_ca)| (name.clone(), service, has_ca)).collect()
}

async fn ready_endpoints(client: &Client, (namespace, name): &Service) -> Result<u32, TaskError> {
    let list =
        List::within::<EndpointSlice>(namespace).labelled(&format!("kubernetes.io/service-name={name}"));
    let slices = list.read(client, |slice: EndpointSlice| {
        // What says nothing is to be taken for ready, as Kubernetes writes of this field.
        let is_ready = |ready: Option<bool>| ready.unwrap_or(true);
        let ready = slice.endpoints.iter().filter(|endpoint| {
            is_ready(endpoint.conditions.as_ref().and_then(|conditions| conditions.ready))
        });
        u32::try_from(ready.count()).ok()
    });
    Ok(slices.await.context(format!("list endpoints of {namespace}/{name}"))?.iter().sum())
}
