//! The data plane, found from the pods that run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;

use guard_domain::{IstioVersion, TemplateFacts, WorkloadFacts, WorkloadKind, WorkloadRef};
use guard_tasks::{Context as _, TaskError};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Api, Client, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::counts::Workload;
use crate::list;
use crate::restart::RESTART_ANNOTATION;

/// The sidecar, and the only container of a gateway.
const PROXY: &str = "istio-proxy";

/// What a pod says about its own injection; the label goes before the annotation.
const INJECT: &str = "sidecar.istio.io/inject";

/// A pod with a proxy, and what controls it.
struct ProxyPod {
    namespace: String,
    name: String,
    owner: Option<OwnerReference>,
    version: Option<IstioVersion>,
}

/// Pods by version of one workload.
type Proxies = BTreeMap<Option<IstioVersion>, u32>;

/// Workloads that GUARD can restart, and the pods with a proxy that belong to none.
pub(crate) async fn facts(client: &Client) -> Result<(Vec<WorkloadFacts>, Vec<String>), TaskError> {
    let pods = proxy_pods(client).await?;
    let owners_of_sets = replica_set_owners(client, &pods).await?;
    let (mut proxies, mut strays) = (BTreeMap::<WorkloadRef, Proxies>::new(), BTreeSet::new());
    for pod in pods {
        match workload_of(&pod, &owners_of_sets) {
            Some(workload) => *proxies.entry(workload).or_default().entry(pod.version).or_default() += 1,
            None => _ = strays.insert(stray(&pod, &owners_of_sets)),
        }
    }
    let mut found = Vec::new();
    read_kind::<Deployment>(client, &mut proxies, &mut found).await?;
    read_kind::<StatefulSet>(client, &mut proxies, &mut found).await?;
    read_kind::<DaemonSet>(client, &mut proxies, &mut found).await?;
    // What is left in `proxies` was deleted between the two lists: it runs no more.
    found.sort_by(|a, b| a.workload.cmp(&b.workload));
    Ok((found, strays.into_iter().collect()))
}

async fn proxy_pods(client: &Client) -> Result<Vec<ProxyPod>, TaskError> {
    let api: Api<Pod> = Api::all(client.clone());
    list::all(&api, None, |pod| {
        let version = IstioVersion::from_image(image_of(&pod, PROXY)?);
        if !is_running(&pod) {
            return None;
        }
        Some(ProxyPod {
            namespace: pod.namespace().unwrap_or_default(),
            owner: controller(&pod.metadata).cloned(),
            name: pod.name_any(),
            version,
        })
    })
    .await
    .context("list pods")
}

/// Which owner each ReplicaSet has, by uid. A name cannot tell: `web-5d4f` may be any Deployment's, or an Argo Rollout's.
async fn replica_set_owners(
    client: &Client,
    pods: &[ProxyPod],
) -> Result<HashMap<String, OwnerReference>, TaskError> {
    if !pods.iter().any(|pod| pod.owner.as_ref().is_some_and(|owner| owner.kind == "ReplicaSet")) {
        return Ok(HashMap::new());
    }
    let api: Api<ReplicaSet> = Api::all(client.clone());
    let owners = list::all_metadata(&api, |set| {
        let owner = controller(&set.metadata)?.clone();
        set.metadata.uid.map(|uid| (uid, owner))
    })
    .await
    .context("list replica sets")?;
    Ok(owners.into_iter().collect())
}

/// The workload at the end of the pod's owner chain, if GUARD can restart its kind. Jobs, bare pods and the workloads of
/// other controllers are not.
fn workload_of(pod: &ProxyPod, owners_of_sets: &HashMap<String, OwnerReference>) -> Option<WorkloadRef> {
    let owner = owner(pod, owners_of_sets)?;
    let kind = [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet]
        .into_iter()
        .find(|kind| is_apps(owner, kind.as_str()))?;
    Some(WorkloadRef { namespace: pod.namespace.clone(), kind, name: owner.name.clone() })
}

/// What controls the pod, or the ReplicaSet that does.
fn owner<'a>(
    pod: &'a ProxyPod,
    owners_of_sets: &'a HashMap<String, OwnerReference>,
) -> Option<&'a OwnerReference> {
    let owner = pod.owner.as_ref()?;
    if is_apps(owner, "ReplicaSet") { owners_of_sets.get(&owner.uid) } else { Some(owner) }
}

/// `shop/Rollout web`: who restarts it, since GUARD cannot.
fn stray(pod: &ProxyPod, owners_of_sets: &HashMap<String, OwnerReference>) -> String {
    match owner(pod, owners_of_sets) {
        Some(owner) => format!("{}/{} {}", pod.namespace, owner.kind, owner.name),
        None => format!("{}/Pod {}", pod.namespace, pod.name),
    }
}

/// The group counts: other projects have a `StatefulSet` and a `DaemonSet` too.
fn is_apps(owner: &OwnerReference, kind: &str) -> bool {
    owner.kind == kind && owner.api_version.starts_with("apps/")
}

fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.as_deref()?.iter().find(|owner| owner.controller == Some(true))
}

async fn read_kind<K>(
    client: &Client,
    proxies: &mut BTreeMap<WorkloadRef, Proxies>,
    found: &mut Vec<WorkloadFacts>,
) -> Result<(), TaskError>
where
    K: Workload
        + kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync,
{
    if !proxies.keys().any(|workload| workload.kind == K::KIND) {
        return Ok(());
    }
    let api: Api<K> = Api::all(client.clone());
    let wanted = &*proxies;
    let read = list::all(&api, None, |object| {
        let namespace = object.namespace().unwrap_or_default();
        let workload = WorkloadRef { namespace, kind: K::KIND, name: object.name_any() };
        let proxies = wanted.get(&workload)?;
        let annotations = object.template().and_then(|template| template.metadata.as_ref());
        Some(WorkloadFacts {
            counts: object.counts(),
            template: template_facts(object.template(), object.is_on_delete()),
            restart_mark: annotations
                .and_then(|metadata| metadata.annotations.as_ref())
                .and_then(|annotations| annotations.get(RESTART_ANNOTATION).cloned()),
            proxies: proxies.iter().map(|(version, pods)| (version.clone(), *pods)).collect(),
            workload,
        })
    })
    .await
    .context(format!("list {}s", K::KIND.as_str()))?;
    found.extend(read);
    Ok(())
}

fn template_facts(template: Option<&PodTemplateSpec>, is_on_delete: bool) -> TemplateFacts {
    let metadata = template.and_then(|template| template.metadata.as_ref());
    let label = |name: &str| metadata.and_then(|one| one.labels.as_ref()?.get(name)).cloned();
    let annotation = |name: &str| metadata.and_then(|one| one.annotations.as_ref()?.get(name)).cloned();
    let spec = template.and_then(|template| template.spec.as_ref());
    let containers =
        spec.into_iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    // A gateway's template names the image `auto`, which is no image: istiod fills it in.
    let has_own_proxy = containers
        .filter(|container| container.name == PROXY)
        .any(|container| container.image.as_deref().is_some_and(|image| image != "auto"));
    TemplateFacts {
        is_on_delete,
        asks: label(INJECT).or_else(|| annotation(INJECT)),
        has_revision: label("istio.io/rev").is_some(),
        has_own_proxy,
    }
}

/// The image of the named container, in either list: native sidecars are init containers that stay.
pub(crate) fn image_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a str> {
    let spec = pod.spec.as_ref()?;
    spec.containers
        .iter()
        .chain(spec.init_containers.iter().flatten())
        .find(|candidate| candidate.name == container)
        .map(|found| found.image.as_deref().unwrap_or_default())
}

/// False for pods that are done or on their way out: their proxies serve nobody and no restart changes them.
pub(crate) fn is_running(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}
