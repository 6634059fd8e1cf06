//! A small GitLab: one project, its commits as whole trees, branches and merge requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use guard_domain::{FileContent, Proposal};
use guard_gitlab::GitLab;
use guard_http::{Call, TransportError};
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
            ("GET", ["repository", "files", path]) => self.file(path, asked.value("ref")),
            ("GET", ["repository", "tree"]) => self.tree(asked),
            ("POST", ["repository", "commits"]) => self.commit(&asked.body),
            ("GET", ["merge_requests"]) => {
                let of_branch =
                    self.requests.values().filter(|mr| mr["source_branch"] == asked.value("source_branch"));
                reply(200, &of_branch.cloned().collect())
            }
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

    fn file(&self, path: &str, reference: &str) -> http::Response<Bytes> {
        let Some(tree) = self.trees.get(reference) else { return missing("Commit") };
        tree.get(path).map_or_else(
            || missing("File"),
            |content| {
                let content = BASE64_STANDARD.encode(content);
                reply(200, &json!({"content": content, "encoding": "base64", "last_commit_id": BASE}))
            },
        )
    }

    fn tree(&self, asked: &Asked) -> http::Response<Bytes> {
        let Some(tree) = self.trees.get(asked.value("ref")) else { return missing("Commit") };
        let prefix = format!("{}/", asked.value("path"));
        let entries: Vec<Value> = tree
            .keys()
            .filter(|path| path.starts_with(&prefix))
            .map(|path| json!({"path": path, "type": "blob", "mode": "100644"}))
            .collect();
        if entries.is_empty() {
            return missing("Tree");
        }
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
        for key in ["source_branch", "target_branch", "description", "labels", "title"] {
            request[key] = body[key].clone();
        }
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
        description: "marker run-1".into(),
        commit_message: "Istio 1.30.5".into(),
        files: vec![
            FileContent { path: "clusters/eks-1/istiod.yaml".into(), content: "version: 1.30.5\r\n".into() },
            FileContent { path: "clusters/eks-1/deep/base.yml".into(), content: "version: 1.29.3\n".into() },
            FileContent { path: "clusters/eks-1/new.yaml".into(), content: "a: 1\n".into() },
        ],
        labels: vec!["guard".into(), "istio".into()],
    }
}

pub(crate) fn reply(status: u16, body: &Value) -> http::Response<Bytes> {
    http::Response::builder().status(status).body(Bytes::from(body.to_string())).unwrap()
}

pub(crate) fn missing(what: &str) -> http::Response<Bytes> {
    reply(404, &json!({"message": format!("404 {what} Not Found")}))
}
