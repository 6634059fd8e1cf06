//! Istio's own analyzer: the program `istioctl`, started for each answer.
//!
//! It comes in a Lambda layer, hangs where it may not read something, writes its log where its answer belongs, and needs a
//! kubeconfig. So: a deadline of our own after which its whole process group is killed, an answer that is looked for in
//! what it wrote, and a kubeconfig in a folder of its own that goes with the call.
//!
//! Never here: a verdict about what was said, or a second attempt. Start reading at [`Istioctl`].

mod answer;
mod kubeconfig;
mod process;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guard_domain::analyzer::{Analysis, AtHand};
use guard_domain::{ClusterRecord, IstioVersion};
use guard_http::cluster_access::{ApiServer, ClusterAccess};
use guard_tasks::{ConfigurationAnalyzer, Context as _, TaskError};

use crate::kubeconfig::Private;
use crate::process::{Program, Unanswered};

/// For what asks no cluster. A program of 100 MB that nobody has read yet takes seconds on a small function.
const OFFLINE: Duration = Duration::from_secs(20);

/// For an analysis: 2.5 s with 5,000 pods on a whole core. What takes longer than this hangs.
const ONLINE: Duration = Duration::from_secs(90);

/// Looks into every Secret of the cluster, which GUARD may not: with it, the run would wait for that for ever.
const READS_SECRETS: [&str; 1] = ["gateway.SecretAnalyzer"];

/// The analyzer of one path.
pub struct Istioctl {
    program: PathBuf,
    scratch: PathBuf,
    access: Arc<dyn ClusterAccess>,
    online: Duration,
}

impl Istioctl {
    /// `program` need not exist: that is told when it is asked for. `scratch` is where private folders are made.
    pub fn new(
        program: impl Into<PathBuf>,
        scratch: impl Into<PathBuf>,
        access: Arc<dyn ClusterAccess>,
    ) -> Self {
        Self { program: program.into(), scratch: scratch.into(), access, online: ONLINE }
    }

    /// Another deadline for the analysis.
    #[must_use]
    pub fn with_deadline(mut self, online: Duration) -> Self {
        self.online = online;
        self
    }

    async fn version(&self) -> Result<IstioVersion, Unanswered> {
        let home = kubeconfig::folder(&self.scratch)?;
        let program = Program { path: &self.program, home: home.path(), deadline: OFFLINE };
        let ended = program.run(["version", "--remote=false", "-o", "json"]).await?;
        ended.succeeded()?;
        answer::version(&ended.stdout)
    }

    /// Every analyzer that this version has and that GUARD may run.
    async fn analyzers(&self, home: &Private) -> Result<Vec<String>, Unanswered> {
        let program = Program { path: &self.program, home: home.path(), deadline: OFFLINE };
        let ended = program.run(["analyze", "--list-analyzers"]).await?;
        ended.succeeded()?;
        let mut names = answer::analyzers(&ended.stdout)?;
        names.retain(|name| !READS_SECRETS.contains(&name.as_str()));
        Ok(names)
    }

    async fn ask(&self, context: &str, server: &ApiServer) -> Result<Analysis, Unanswered> {
        let home = Private::new(&self.scratch, context, server)?;
        let names = self.analyzers(&home).await?;
        let program = Program { path: &self.program, home: home.path(), deadline: self.online };
        let kubeconfig = home.kubeconfig();
        let mut words: Vec<&str> = ["analyze", "-A", "-o", "json"].into();
        // A hidden flag, but an old one: it keeps the log out of the answer, which is looked for all the same.
        words.extend(["--log_target", "stderr", "--kubeconfig", &kubeconfig, "--context", context]);
        words.extend(names.iter().flat_map(|name| ["--analyzer", name.as_str()]));
        let ended = program.run(words).await.map_err(|error| home.without_token(error))?;
        answer::analysis(&ended).map_err(|error| home.without_token(error))
    }
}

#[async_trait]
impl ConfigurationAnalyzer for Istioctl {
    async fn at_hand(&self) -> AtHand {
        match self.version().await {
            Ok(version) => AtHand::Version(version),
            Err(Unanswered::Missing) => AtHand::Nothing(self.program.display().to_string()),
            Err(other) => AtHand::Broken(other.to_string()),
        }
    }

    async fn analyze(&self, cluster: &ClusterRecord) -> Result<Analysis, TaskError> {
        let access =
            self.access.access(cluster).await.context(format!("open {} for istioctl", cluster.cluster_id))?;
        let Some(server) = &access.api_server else {
            return Ok(Analysis::Nothing(format!("EKS says {}", access.eks_status)));
        };
        let asked = self.ask(cluster.cluster_id.as_str(), server).await;
        Ok(asked.unwrap_or_else(|why| Analysis::Nothing(why.to_string())))
    }
}

impl fmt::Debug for Istioctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Istioctl").field("program", &self.program).finish_non_exhaustive()
    }
}
