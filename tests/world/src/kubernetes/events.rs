//! Events: what kubelets, the scheduler and the controllers wrote of the last hour.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::nodes::node_name;
use super::objects::metadata;
use super::pod_status::{culprit, not_found, trouble, unschedulable};
use super::pods::{pod_spec, uid};
use super::workloads::owner;
use crate::chance;
use crate::cluster::Cluster;
use crate::spec::WorkloadKind;
use crate::state::{later, stamp};
use crate::trouble::{Trouble, crashes};
use crate::workload::{Pod, Role, Workload};

/// How long the API server keeps one.
const KEPT: i64 = 3600;

/// How often a kubelet looks at a pod that does not run.
const SYNC: i64 = 15;

/// What is told, of whom, by whom.
struct Told<'a> {
    object: Value,
    reason: &'a str,
    message: String,
    is_warning: bool,
    component: &'a str,
    host: Option<String>,
    first: Timestamp,
    last: Timestamp,
    count: u64,
}

/// The events of one workload.
pub(super) fn of_workload(cluster: &Cluster, workload: &Workload, now: Timestamp) -> Vec<Value> {
    let mut told: Vec<Value> = refused(cluster, workload, now).into_iter().collect();
    for pod in &workload.pods {
        told.extend(of_pod(cluster, workload, pod, now));
    }
    told
}

/// A pod, and what its kubelet says of its container.
struct Scene<'a> {
    cluster: &'a Cluster,
    workload: &'a Workload,
    pod: &'a Pod,
    now: Timestamp,
    uid: String,
    /// The container's place in the pod, its name and its image.
    path: String,
    name: String,
    image: String,
}

/// One thing a kubelet tells.
struct Line {
    reason: &'static str,
    message: String,
    is_warning: bool,
    /// So many seconds after the pod was made it is told first.
    from: i64,
}

fn of_pod(cluster: &Cluster, workload: &Workload, pod: &Pod, now: Timestamp) -> Vec<Value> {
    let trouble = trouble(cluster, workload, pod);
    if trouble.is_none() && later(pod.created, KEPT) <= now {
        return Vec::new();
    }
    let spec = pod_spec(workload, pod);
    let (container, is_native) = culprit(&spec);
    let text = |field: &str| container[field].as_str().unwrap_or_default().to_owned();
    let field = if is_native { "initContainers" } else { "containers" };
    let (name, image) = (text("name"), text("image"));
    let path = format!("spec.{field}{{{name}}}");
    let scene = Scene { cluster, workload, pod, now, uid: uid(cluster, workload, pod), path, name, image };
    if trouble == Some(Trouble::Unschedulable) {
        return vec![scene.unscheduled()];
    }
    let lines = scene.lines(trouble).into_iter();
    // What does not go on is told once.
    lines.filter_map(|line| scene.told(line, trouble.is_some())).collect()
}

impl Scene<'_> {
    fn lines(&self, trouble: Option<Trouble>) -> Vec<Line> {
        let line = |reason: &'static str, message: String, is_warning: bool, from: i64| Line {
            reason,
            message,
            is_warning,
            from,
        };
        let (name, image) = (&self.name, &self.image);
        match trouble {
            Some(Trouble::NotReady) => {
                let message = "Readiness probe failed: HTTP probe failed with statuscode: 503".to_owned();
                vec![line("Unhealthy", message, true, 5)]
            }
            Some(Trouble::CrashLoop) => {
                let pod = format!("{}_{}({})", self.pod.name, self.workload.namespace(), self.uid);
                let message = format!("Back-off restarting failed container {name} in pod {pod}");
                vec![
                    line("Created", format!("Created container: {name}"), false, 2),
                    line("BackOff", message, true, 5),
                ]
            }
            Some(Trouble::ImagePull) => vec![
                line("Failed", format!("Failed to pull image \"{image}\": {}", not_found(image)), true, 2),
                line("Failed", "Error: ErrImagePull".to_owned(), true, 2),
                line("BackOff", format!("Back-off pulling image \"{image}\""), false, 3),
                line("Failed", "Error: ImagePullBackOff".to_owned(), true, 3),
            ],
            Some(Trouble::Unschedulable) | None => {
                vec![line("Started", format!("Started container {name}"), false, 2)]
            }
        }
    }

    /// First and last time, and how often, of what goes on.
    fn times(&self, from: i64) -> (Timestamp, Timestamp, u64) {
        let first = later(self.pod.created, from);
        let times = (self.now.as_second() - first.as_second()).max(0) / SYNC;
        (first, later(first, times * SYNC), u64::try_from(times).unwrap_or(0) + 1)
    }

    fn object(&self) -> Value {
        json!({ "kind": "Pod", "namespace": self.workload.namespace(), "name": self.pod.name, "uid": self.uid, "apiVersion": "v1",
            "resourceVersion": self.pod.resource_version.to_string() })
    }

    fn told(&self, line: Line, goes_on: bool) -> Option<Value> {
        let (first, last, count) = match self.times(line.from) {
            times if goes_on => times,
            (first, ..) => (first, first, 1),
        };
        if first > self.now || later(last, KEPT) <= self.now {
            return None;
        }
        let count = if line.reason == "Created" {
            u64::from(crashes(self.pod.created, self.now).0) + 1
        } else {
            count
        };
        let mut object = self.object();
        object["fieldPath"] = json!(self.path);
        let told = Told {
            object,
            reason: line.reason,
            message: line.message,
            is_warning: line.is_warning,
            component: "kubelet",
            host: Some(node_name(self.pod.node)),
            first,
            last,
            count,
        };
        Some(event(self.cluster, self.workload.namespace(), &told))
    }

    /// The scheduler writes the newer kind of event, whose times are elsewhere.
    fn unscheduled(&self) -> Value {
        let first = self.pod.created;
        let told = Told {
            object: self.object(),
            reason: "FailedScheduling",
            message: unschedulable(self.cluster),
            is_warning: true,
            component: "default-scheduler",
            host: None,
            first,
            last: first,
            count: 1,
        };
        let mut told = event(self.cluster, self.workload.namespace(), &told);
        let (_, last, count) = self.times(0);
        let precise = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        told["eventTime"] = json!(precise(first));
        told["source"] = json!({});
        told["action"] = json!("Scheduling");
        told["firstTimestamp"] = Value::Null;
        told["lastTimestamp"] = Value::Null;
        if let Some(told) = told.as_object_mut() {
            told.remove("count");
            if count > 1 {
                let series = json!({ "count": count, "lastObservedTime": precise(last) });
                told.insert("series".to_owned(), series);
            }
        }
        told
    }
}

/// The webhook that asks istiod for a pod of this workload.
pub(super) fn webhook_refusal(is_by_namespace: bool) -> String {
    let hook = if is_by_namespace { "namespace" } else { "object" };
    format!(
        "Internal error occurred: failed calling webhook \"{hook}.sidecar-injector.istio.io\": failed to call webhook: Post \
         \"https://istiod.istio-system.svc:443/inject?timeout=10s\": no endpoints available for service \"istiod\""
    )
}

/// Pods that could not be made.
fn refused(cluster: &Cluster, workload: &Workload, now: Timestamp) -> Option<Value> {
    let failures = workload.create_failures.as_ref().filter(|one| later(one.last, KEPT) > now)?;
    let (namespace, name) = (workload.namespace(), workload.name());
    let why = webhook_refusal(workload.role == Role::Application);
    let (kind, of, component, message) = match workload.kind() {
        WorkloadKind::Deployment => (
            "ReplicaSet",
            format!("{name}-{}", failures.hash),
            "replicaset-controller",
            format!("Error creating: {why}"),
        ),
        WorkloadKind::StatefulSet => (
            "StatefulSet",
            name.to_owned(),
            "statefulset-controller",
            format!("create Pod {name}-{} in StatefulSet {name} failed error: {why}", workload.pods.len()),
        ),
        WorkloadKind::DaemonSet => {
            ("DaemonSet", name.to_owned(), "daemonset-controller", format!("Error creating: {why}"))
        }
    };
    let mut object = owner(cluster, "apps/v1", kind, namespace, &of);
    object["namespace"] = json!(namespace);
    object["resourceVersion"] = json!(workload.resource_version.to_string());
    if let Some(object) = object.as_object_mut() {
        object.retain(|name, _| !["controller", "blockOwnerDeletion"].contains(&name.as_str()));
    }
    let (first, last, count) = (failures.first, failures.last, failures.count);
    Some(event(
        cluster,
        namespace,
        &Told {
            object,
            reason: "FailedCreate",
            message,
            is_warning: true,
            component,
            host: None,
            first,
            last,
            count,
        },
    ))
}

fn event(cluster: &Cluster, namespace: &str, told: &Told<'_>) -> Value {
    let object = told.object["name"].as_str().unwrap_or_default();
    let names = [namespace, object, told.reason, &told.message];
    let name = format!("{object}.{}", chance::hex(cluster.seed, &names, 16));
    let mut meta = metadata(cluster, "Event", Some(namespace), &name);
    meta["creationTimestamp"] = json!(stamp(told.first));
    if let Some(meta) = meta.as_object_mut() {
        meta.retain(|name, _| !["generation", "labels", "annotations"].contains(&name.as_str()));
    }
    let mut source = json!({ "component": told.component });
    if let Some(host) = &told.host {
        source["host"] = json!(host);
    }
    json!({
        "metadata": meta,
        "involvedObject": told.object,
        "type": if told.is_warning { "Warning" } else { "Normal" },
        "reason": told.reason, "message": told.message,
        "source": source, "count": told.count,
        "firstTimestamp": stamp(told.first), "lastTimestamp": stamp(told.last), "eventTime": null,
        "reportingComponent": told.component, "reportingInstance": told.host.clone().unwrap_or_default(),
    })
}
