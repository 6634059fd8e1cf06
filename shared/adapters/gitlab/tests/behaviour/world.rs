//! A small GitLab: one project, its commits as whole trees, branches and merge requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use guard_domain::{FileContent, Finding, Proposal};
use guard_gitlab::GitLab;
use guard_http::{Call, TransportError};
use guard_tasks::{MergeRequestWriter as _, OpenedRequest, Opening};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

pub(crate) type Answer = Result<http::Response<Bytes>, TransportError>;

/// Called before the world acts; an answer here replaces the world's.
pub(crate) type Hook = Box<dyn Fn(&mut State, &Asked) -> Option<Answer> + Send + Sync>;

pub(crate) const BASE: &str = "b000000000000000000000000000000000000000";

/// `page_size` entries a page of a tree, whatever is asked for.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) page_size: usize,
    pub(crate) trees: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    pub(crate) branches: BTreeMap<String, String>,
    pub(crate) requests: BTreeMap<u64, Value>,
    pub(crate) asked: Vec<Asked>,
}

#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Below the project, decoded.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Value,
    pub(crate) call: Call,
}

impl Asked {
    fn of(call: Call) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let path = call.request.uri().path();
        let path = path.strip_prefix("/api/v4/projects/mesh%2Ffleet/").unwrap_or(path);
        let query = call.request.uri().query().unwrap_or_default();
        Self {
            method: call.request.method().to_string(),
            path: path.split('/').map(decode).collect::<Vec<_>>().join("|"),
            query: query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
            body: serde_json::from_slice(call.request.body()).unwrap_or_default(),
            call,
        }
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        self.query.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }
}

pub(crate) struct World {
    pub(crate) gitlab: GitLab,
    state: Arc<Mutex<State>>,
}

impl World {
    /// `main` at [`BASE`] with one YAML file and some others.
    pub(crate) fn new() -> Self {
        Self::with(Box::new(|_, _| None))
    }

    pub(crate) fn with(hook: Hook) -> Self {
        let mut state = State { page_size: 2, ..State::default() };
        let files: [(&str, &[u8]); 4] = [
            ("clusters/eks-1/istiod.yaml", b"version: 1.29.3\r\n"),
            ("clusters/eks-1/deep/base.yml", b"version: 1.29.3\n"),
            ("clusters/eks-1/README.md", b"words"),
            ("clusters/latin.yaml", b"name: caf\xe9"),
        ];
        let tree = files.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect();
        state.trees.insert(BASE.into(), tree);
        state.branches.insert("main".into(), BASE.into());
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let transport = move |call: Call| {
            let asked = Asked::of(call);
            let mut state = shared.lock().unwrap();
            state.asked.push(asked.clone());
            hook(&mut state, &asked).unwrap_or_else(|| Ok(state.answer(&asked)))
        };
        let gitlab = GitLab::new(Arc::new(transport), "https://gitlab.example/", "hush-token".into());
        Self { gitlab, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What came of opening it.
    pub(crate) async fn opened(&self, proposal: &Proposal) -> OpenedRequest {
        match self.gitlab.open(proposal).await.unwrap() {
            Opening::Opened(opened) => *opened,
            Opening::Refused(finding) => panic!("{finding}"),
        }
    }

    /// Who is in the way.
    pub(crate) async fn refused(&self, proposal: &Proposal) -> Finding {
        match self.gitlab.open(proposal).await.unwrap() {
            Opening::Opened(opened) => panic!("{opened:?}"),
            Opening::Refused(finding) => finding,
        }
    }

    /// How often this was asked.
    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        self.state().asked.iter().filter(|asked| asked.is(method, path)).count()
    }
}

impl State {
    pub(crate) fn answer(&mut self, asked: &Asked) -> http::Response<Bytes> {
        let parts: Vec<&str> = asked.path.split('|').collect();
        match (asked.method.as_str(), &parts[..]) {
            ("GET", ["repository", "branches", name]) => match self.branches.get(*name) {
                Some(commit) => reply(200, &json!({"name": name, "commit": {"id": commit}})),
                None => missing("Branch"),
            },
            ("DELETE", ["repository", "branches", name]) => match self.branches.remove(*name) {
                Some(_) => http::Response::builder().status(204).body(Bytes::new()).unwrap(),
                None => missing("Branch"),
            },
            ("GET", ["repository", "tree"]) => self.tree(asked),
            ("POST", ["repository", "commits"]) => self.commit(&asked.body),
            ("POST", ["", "api", "graphql"]) => self.graphql(&asked.body),
            ("GET", ["merge_requests"]) => {
                let wanted =
                    |name: &str, value: &Value| asked.value(name).is_empty() || *value == asked.value(name);
                let iids: Vec<&str> = asked
                    .query
                    .iter()
                    .filter(|(name, _)| name == "iids[]")
                    .map(|(_, iid)| iid.as_str())
                    .collect();
                let found = self.requests.values().filter(|mr| {
                    wanted("source_branch", &mr["source_branch"])
                        && (asked.value("state") == "all" || wanted("state", &mr["state"]))
                        && (iids.is_empty() || iids.contains(&mr["iid"].to_string().as_str()))
                });
                self.page(asked, found.cloned().collect())
            }
            ("GET", ["merge_requests", _, "diffs"]) => self.page(
                asked,
                vec![json!({"old_path": "a", "new_path": "b"}), json!({"old_path": "c", "new_path": "c"})],
            ),
            ("POST", ["merge_requests"]) => self.open(&asked.body),
            ("GET" | "PUT", ["merge_requests", iid]) => match self.requests.get_mut(&iid.parse().unwrap()) {
                None => missing(""),
                Some(request) => {
                    if asked.body["state_event"] == "close" {
                        request["state"] = json!("closed");
                    }
                    reply(200, request)
                }
            },
            other => panic!("not foreseen: {other:?}"),
        }
    }

    /// Files, as GitLab gives them: what is not UTF-8 in other bytes. Users: robin is number 7.
    fn graphql(&self, body: &Value) -> http::Response<Bytes> {
        let variables = &body["variables"];
        if body["query"].as_str().unwrap().contains("users(") {
            let names = variables["names"].as_array().unwrap().iter().filter(|name| **name == "robin");
            let nodes: Vec<Value> =
                names.map(|_| json!({"id": "gid://gitlab/User/7", "username": "Robin"})).collect();
            return reply(200, &json!({"data": {"users": {"nodes": nodes}}}));
        }
        if variables["project"] != "mesh/fleet" {
            return reply(200, &json!({"data": {"project": null}}));
        }
        let empty = BTreeMap::new();
        let tree = self.trees.get(variables["ref"].as_str().unwrap()).unwrap_or(&empty);
        let paths = variables["paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap());
        let found = paths.filter_map(|path| Some((path, tree.get(path)?)));
        let nodes: Vec<Value> = found
            .map(|(path, content)| {
                json!({"path": path, "size": content.len().to_string(), "rawBlob": String::from_utf8_lossy(content)})
            })
            .collect();
        assert!(nodes.len() <= 100, "GitLab gives no more at once");
        reply(200, &json!({"data": {"project": {"repository": {"blobs": {"nodes": nodes}}}}}))
    }

    fn tree(&self, asked: &Asked) -> http::Response<Bytes> {
        let Some(tree) = self.trees.get(asked.value("ref")) else { return missing("Commit") };
        let folder = asked.value("path");
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let entries: Vec<Value> = tree
            .keys()
            .filter(|path| path.starts_with(&prefix))
            .map(|path| json!({"path": path, "type": "blob", "mode": "100644"}))
            .collect();
        if entries.is_empty() {
            return missing("Tree");
        }
        self.page(asked, entries)
    }

    fn page(&self, asked: &Asked, entries: Vec<Value>) -> http::Response<Bytes> {
        let page: usize = asked.value("page").parse().unwrap();
        let next = if entries.len() > page * self.page_size { (page + 1).to_string() } else { String::new() };
        let slice: Vec<Value> =
            entries.into_iter().skip((page - 1) * self.page_size).take(self.page_size).collect();
        let mut response = reply(200, &json!(slice));
        response.headers_mut().insert("x-next-page", next.parse().unwrap());
        response
    }

    fn commit(&mut self, body: &Value) -> http::Response<Bytes> {
        let branch = body["branch"].as_str().unwrap();
        if self.branches.contains_key(branch) {
            let text = format!(
                "A branch called '{branch}' already exists. Switch to that branch in order to make changes"
            );
            return reply(400, &json!({"message": text}));
        }
        let mut tree = self.trees[body["start_sha"].as_str().unwrap()].clone();
        for action in body["actions"].as_array().unwrap() {
            let path = action["file_path"].as_str().unwrap().to_owned();
            assert_eq!(action["action"] == "update", tree.contains_key(&path), "{action}");
            tree.insert(path, BASE64_STANDARD.decode(action["content"].as_str().unwrap()).unwrap());
        }
        let id = format!("{:040x}", self.trees.len());
        self.trees.insert(id.clone(), tree);
        self.branches.insert(branch.to_owned(), id.clone());
        reply(201, &json!({"id": id}))
    }

    fn open(&mut self, body: &Value) -> http::Response<Bytes> {
        let is_twin = |mr: &&Value| mr["source_branch"] == body["source_branch"] && mr["state"] == "opened";
        if let Some(twin) = self.requests.values().find(is_twin) {
            let text =
                format!("Another open merge request already exists for this source branch: !{}", twin["iid"]);
            return reply(409, &json!({"message": [text]}));
        }
        let iid = self.requests.len() as u64 + 1;
        let mut request = request(iid, "opened");
        let copied = [
            "source_branch",
            "target_branch",
            "description",
            "labels",
            "title",
            "assignee_ids",
            "reviewer_ids",
        ];
        for key in copied {
            request[key] = body[key].clone();
        }
        let head = &self.branches[body["source_branch"].as_str().unwrap()];
        request["sha"] = json!(head);
        self.requests.insert(iid, request.clone());
        reply(201, &request)
    }
}

/// A merge request as GitLab tells it, with fields that GUARD does not know.
pub(crate) fn request(iid: u64, state: &str) -> Value {
    json!({
        "id": 1000 + iid, "iid": iid, "web_url": format!("https://gitlab.example/mesh/fleet/-/merge_requests/{iid}"),
        "source_branch": "guard/run-1", "target_branch": "main", "description": "marker run-1", "state": state,
        "created_at": format!("2026-11-{iid:02}T10:00:00.123+01:00"), "merged_at": null, "merge_commit_sha": null,
        "squash_commit_sha": null, "sha": "5ea0", "detailed_merge_status": "brand_new_value", "brand_new_field": {}
    })
}

pub(crate) fn proposal() -> Proposal {
    Proposal {
        project: "mesh/fleet".into(),
        base_commit: BASE.into(),
        source_branch: "guard/run-1".into(),
        target_branch: "main".into(),
        title: "Istio 1.30.5".into(),
        description: "words, and marker run-1".into(),
        marker: "marker run-1".into(),
        commit_message: "Istio 1.30.5".into(),
        files: vec![
            FileContent { path: "clusters/eks-1/istiod.yaml".into(), content: "version: 1.30.5\r\n".into() },
            FileContent { path: "clusters/eks-1/deep/base.yml".into(), content: "version: 1.30.5\n".into() },
        ],
        labels: vec!["guard".into(), "istio".into()],
        assignees: vec!["robin".into()],
        reviewers: vec!["Robin".into(), "nobody".into()],
    }
}

pub(crate) fn reply(status: u16, body: &Value) -> http::Response<Bytes> {
    http::Response::builder().status(status).body(Bytes::from(body.to_string())).unwrap()
}

pub(crate) fn missing(what: &str) -> http::Response<Bytes> {
    reply(404, &json!({"message": format!("404 {what} Not Found")}))
}
