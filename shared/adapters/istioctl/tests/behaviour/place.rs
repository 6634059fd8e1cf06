//! A folder with a stub of istioctl and its answers, and a scratch folder for the adapter.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guard_domain::ClusterRecord;
use guard_domain::analyzer::{Analysis, Message};
use guard_http::cluster_access::{Access, ApiServer, ClusterAccess};
use guard_istioctl::Istioctl;
use guard_tasks::{ConfigurationAnalyzer as _, TaskError};
use serde_json::json;
use tempfile::TempDir;

pub(crate) const TOKEN: &str = "k8s-aws-v1.hush";

/// What 1.30 says of itself.
pub(crate) const VERSION: &str =
    "{\n  \"clientVersion\": {\n    \"version\": \"1.30.5\",\n    \"status\": \"Clean\"\n  }\n}\n";

/// Three analyzers, one of which GUARD may not run.
pub(crate) const LIST: &str = "* gateway.SecretAnalyzer:\n    Checks secrets\n* injection.Analyzer:\n    Checks \
                               injection\n* webhook.Analyzer:\n";

pub(crate) struct Place {
    folder: TempDir,
    scratch: TempDir,
    /// `None` for a cluster that EKS does not call ACTIVE.
    is_active: bool,
}

/// An access that is always the same.
struct Door(bool);

#[async_trait]
impl ClusterAccess for Door {
    async fn access(&self, _: &ClusterRecord) -> Result<Access, TaskError> {
        let server = ApiServer {
            endpoint: "https://abc.eks.example".into(),
            ca_pem: "the authority".into(),
            token: TOKEN.into(),
        };
        Ok(Access {
            eks_status: if self.0 { "ACTIVE" } else { "UPDATING" }.into(),
            kubernetes_version: "1.33".into(),
            health_issues: vec![],
            api_server: self.0.then_some(server),
        })
    }
}

impl Place {
    /// A stub of 1.30.5 that finds nothing.
    pub(crate) fn new() -> Self {
        let place = Self::empty();
        // A link and no copy: a file that was just written may still be open in a process that another test forked.
        let stub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stub.sh");
        std::os::unix::fs::symlink(stub, place.program()).unwrap();
        place.write("version.stdout", VERSION);
        place.write("list.stdout", LIST);
        place.write("analyze.stdout", "[]\n");
        place
    }

    /// No program.
    pub(crate) fn empty() -> Self {
        Self { folder: TempDir::new().unwrap(), scratch: TempDir::new().unwrap(), is_active: true }
    }

    pub(crate) fn updating(mut self) -> Self {
        self.is_active = false;
        self
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.path("istioctl")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// What the stub left.
    pub(crate) fn left(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn istioctl(&self) -> Istioctl {
        Istioctl::new(self.program(), self.scratch.path(), Arc::new(Door(self.is_active)))
    }

    pub(crate) async fn analyze(&self) -> Analysis {
        self.istioctl().analyze(&row()).await.unwrap()
    }

    /// The same with a deadline that a hanging program always misses.
    pub(crate) async fn analyze_shortly(&self) -> Analysis {
        self.istioctl().with_deadline(Duration::from_secs(2)).analyze(&row()).await.unwrap()
    }

    /// What is in the scratch folder now.
    pub(crate) fn scratch(&self) -> Vec<PathBuf> {
        fs::read_dir(self.scratch.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

pub(crate) fn row() -> ClusterRecord {
    serde_json::from_value(json!({
        "cluster_id": "eks-1", "batch_id": "test", "environment": "test", "region": "eu-west-1",
        "gitlab_repo": "g/p", "flux_config_path": "clusters/eks-1", "aws_role_arn": "arn",
        "current_istio_version": "1.29.3", "datadog_tags": {"cluster": "eks-1", "env": "test"},
        "owner_team": "t", "owner_handle": "h", "last_updated": "2026-11-01T00:00:00Z"
    }))
    .unwrap()
}

/// The messages of an answer that saw everything.
#[track_caller]
pub(crate) fn said(analysis: Analysis) -> Vec<Message> {
    match analysis {
        Analysis::Said { messages, gap: None } => messages,
        other => panic!("{other:?}"),
    }
}

/// Why there was no answer.
#[track_caller]
pub(crate) fn why(analysis: Analysis) -> String {
    match analysis {
        Analysis::Nothing(why) => why,
        other @ Analysis::Said { .. } => panic!("{other:?}"),
    }
}
