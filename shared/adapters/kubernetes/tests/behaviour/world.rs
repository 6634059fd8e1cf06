//! A cluster as lists by path, served a page at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use guard_domain::ClusterRecord;
use guard_http::cluster_access::{Access, ApiServer, ClusterAccess};
use guard_http::{Call, TransportError};
use guard_kubernetes::Clusters;
use guard_tasks::TaskError;
use serde_json::{Value, json};

use crate::objects;

pub(crate) type Answer = Result<http::Response<Bytes>, TransportError>;

/// Called before the world answers; an answer here replaces the world's.
pub(crate) type Hook = Box<dyn Fn(&Call) -> Option<Answer> + Send + Sync>;

/// More than any part of a look takes here.
pub(crate) const MINUTE: Duration = Duration::from_mins(1);

pub(crate) const PODS: &str = "/api/v1/pods";
pub(crate) const KUSTOMIZATIONS: &str = "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations";
pub(crate) const SOURCES: &str = "/apis/source.toolkit.fluxcd.io/v1/gitrepositories";
pub(crate) const RELEASES: &str = "/apis/helm.toolkit.fluxcd.io/v2/helmreleases";

pub(crate) struct World {
    pub(crate) clusters: Clusters,
    lists: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
    asked: Arc<Mutex<Vec<Call>>>,
}

/// Access to a cluster in some EKS status.
pub(crate) struct Door(pub(crate) &'static str);

#[async_trait]
impl ClusterAccess for Door {
    async fn access(&self, _: &ClusterRecord) -> Result<Access, TaskError> {
        let server = ApiServer {
            endpoint: "https://abc.eks.example/".into(),
            ca_pem: "the authority".into(),
            token: "hush-token".into(),
        };
        Ok(Access {
            eks_status: self.0.into(),
            kubernetes_version: "1.33".into(),
            health_issues: vec!["Ec2SubnetNotFound".into()],
            api_server: (self.0 == "ACTIVE").then_some(server),
        })
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with("ACTIVE", Box::new(|_| None))
    }

    pub(crate) fn hooked(hook: Hook) -> Self {
        Self::with("ACTIVE", hook)
    }

    pub(crate) fn with(eks_status: &'static str, hook: Hook) -> Self {
        let mut lists: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let budgets = "/apis/policy/v1/poddisruptionbudgets";
        for path in [PODS, "/api/v1/nodes", "/api/v1/namespaces", budgets, KUSTOMIZATIONS, SOURCES, RELEASES]
        {
            lists.insert(path.to_owned(), Vec::new());
        }
        for plural in ["deployments", "statefulsets", "daemonsets", "replicasets"] {
            lists.insert(format!("/apis/apps/v1/{plural}"), Vec::new());
        }
        let (lists, asked) = (Arc::new(Mutex::new(lists)), Arc::new(Mutex::new(Vec::new())));
        let (served, record) = (Arc::clone(&lists), Arc::clone(&asked));
        let transport = move |call: Call| {
            record.lock().unwrap().push(call.clone());
            hook(&call).unwrap_or_else(|| Ok(answer(&served.lock().unwrap(), &call)))
        };
        let clusters = Clusters::new(Arc::new(transport), Arc::new(Door(eks_status)));
        Self { clusters, lists, asked }
    }

    /// Puts objects into a list.
    pub(crate) fn put(&self, path: &str, objects: impl IntoIterator<Item = Value>) {
        self.lists.lock().unwrap().get_mut(path).unwrap().extend(objects);
    }

    /// Serves an API, without objects.
    pub(crate) fn add(&self, path: &str) {
        self.lists.lock().unwrap().insert(path.to_owned(), Vec::new());
    }

    /// Takes a whole API away.
    pub(crate) fn remove(&self, path: &str) {
        self.lists.lock().unwrap().remove(path);
    }

    /// What it says, without anybody's hook.
    pub(crate) fn answer(&self, call: &Call) -> http::Response<Bytes> {
        answer(&self.lists.lock().unwrap(), call)
    }

    pub(crate) fn asked(&self) -> MutexGuard<'_, Vec<Call>> {
        self.asked.lock().unwrap()
    }
}

/// The named value of a call's query.
pub(crate) fn parameter(call: &Call, name: &str) -> Option<String> {
    let query = call.request.uri().query()?;
    let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(found.to_owned())
}

fn answer(lists: &BTreeMap<String, Vec<Value>>, call: &Call) -> http::Response<Bytes> {
    let path = call.request.uri().path();
    if call.request.method() == http::Method::PATCH {
        return reply(200, &json!({"metadata": {"name": "any"}}));
    }
    // A dry run answers with what would have been made.
    if call.request.method() == http::Method::POST {
        return plain(201, std::str::from_utf8(call.request.body()).unwrap());
    }
    if path == "/apis" {
        return reply(200, &groups(lists));
    }
    // A namespace's own list, unless there is one, is what the list of all says of it.
    let (whole, namespace) =
        match path.split_once("/namespaces/").map(|(at, rest)| (at, rest.split_once('/'))) {
            Some((api, Some((namespace, plural)))) if !lists.contains_key(path) => {
                (format!("{api}/{plural}"), Some(namespace))
            }
            _ => (path.to_owned(), None),
        };
    let Some(objects) = lists.get(&whole) else { return plain(404, "404 page not found\n") };
    let is_there = |object: &&Value| namespace.is_none_or(|name| object["metadata"]["namespace"] == name);
    let labels = parameter(call, "labelSelector").map(|text| text.replace("%3D", "=").replace("%2F", "/"));
    let selected = |object: &&Value| {
        labels
            .as_deref()
            .and_then(|text| text.split_once('='))
            .is_none_or(|(name, value)| object["metadata"]["labels"][name] == value)
    };
    // The one field that is selected by.
    let with_pods = parameter(call, "fieldSelector").map(|text| assert_eq!(text, "status.replicas%21%3D0"));
    let counts_pods = |object: &&Value| with_pods.is_none() || object["status"]["replicas"] != 0;
    let objects: Vec<&Value> = objects.iter().filter(is_there).filter(selected).filter(counts_pods).collect();
    let limit: usize = parameter(call, "limit").expect("every list has a limit").parse().unwrap();
    let from: usize = parameter(call, "continue").map_or(0, |token| token.parse().unwrap());
    let mut metadata = json!({"resourceVersion": "7"});
    if objects.len() > from + limit {
        metadata["continue"] = json!((from + limit).to_string());
    }
    let items: Vec<&&Value> = objects.iter().skip(from).take(limit).collect();
    reply(200, &json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}))
}

/// The groups of all lists, each in all its versions; the first one is preferred.
fn groups(lists: &BTreeMap<String, Vec<Value>>) -> Value {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for rest in lists.keys().filter_map(|path| path.strip_prefix("/apis/")) {
        let mut parts = rest.split('/');
        if let (Some(group), Some(version)) = (parts.next(), parts.next()) {
            let versions = groups.entry(group).or_default();
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
    }
    let group = |(name, versions): (&str, Vec<&str>)| {
        let served: Vec<Value> = versions
            .iter()
            .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
            .collect();
        json!({"name": name, "versions": served, "preferredVersion": served[0]})
    };
    let groups: Vec<Value> = groups.into_iter().map(group).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

pub(crate) fn reply(status: u16, body: &Value) -> http::Response<Bytes> {
    plain(status, &body.to_string())
}

pub(crate) fn plain(status: u16, body: &str) -> http::Response<Bytes> {
    http::Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

/// A Status object.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> http::Response<Bytes> {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": message, "code": code});
    reply(code, &body)
}

pub(crate) fn row() -> ClusterRecord {
    objects::row("eks-1")
}
