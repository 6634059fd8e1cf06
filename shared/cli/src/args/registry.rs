//! `guard registry`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use guard_domain::{BatchId, ClusterId, IstioVersion};

use super::version;

#[derive(Debug, Subcommand)]
pub(crate) enum Registry {
    /// Add and change clusters from a file
    ///
    /// Every row is checked before any is written, and what would change is shown. A row that is there already needs only
    /// `cluster_id` and what changes; clusters that are not in the file stay as they are, and so do attributes of other
    /// tools. A cluster that a run is at work on is refused.
    Import(ImportOptions),

    /// Print every cluster as a file that `import` takes
    Export {
        /// The document's language
        #[arg(long, value_enum, default_value_t = DocumentFormat::Yaml)]
        format: DocumentFormat,
    },

    /// Print one cluster, whole
    Show(ShowOptions),

    /// Add one cluster
    Add(Box<AddOptions>),

    /// Remove one cluster that no run is at work on
    Remove(RemoveOptions),
}

/// The language of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DocumentFormat {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ImportOptions {
    /// YAML or JSON: a list of clusters, or one below `clusters`
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Check and show what would change; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Also rows that a run, which is over, left in the middle; look at the cluster first, as docs/runbook.md says
    #[arg(long)]
    pub(crate) unfinished: bool,

    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    /// The cluster
    #[arg(value_name = "CLUSTER", value_parser = ClusterId::parse)]
    pub(crate) cluster: ClusterId,

    /// The document's language
    #[arg(long, value_enum, default_value_t = DocumentFormat::Yaml)]
    pub(crate) format: DocumentFormat,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveOptions {
    /// The cluster
    #[arg(value_name = "CLUSTER", value_parser = ClusterId::parse)]
    pub(crate) cluster: ClusterId,

    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "guard registry add [OPTIONS] <CLUSTER>")]
pub(crate) struct AddOptions {
    /// Its name in EKS
    #[arg(value_name = "CLUSTER", value_parser = ClusterId::parse)]
    pub(crate) cluster: ClusterId,

    /// The batch it is upgraded with
    #[arg(long, value_name = "BATCH", value_parser = BatchId::parse)]
    pub(crate) batch: BatchId,

    /// Environment, such as test or prod
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: String,

    /// AWS region of the cluster; --region is GUARD's own
    #[arg(long, value_name = "REGION")]
    pub(crate) cluster_region: String,

    /// Path of the GitLab project that Flux follows
    #[arg(long, value_name = "GROUP/PROJECT")]
    pub(crate) gitlab_repo: String,

    /// File or folder in that project which pins this cluster's Istio charts
    #[arg(long, value_name = "PATH")]
    pub(crate) flux_config_path: String,

    /// Role to assume in the cluster's account
    #[arg(long, value_name = "ARN")]
    pub(crate) aws_role_arn: String,

    /// Istio version that runs
    #[arg(long, value_name = "V", value_parser = version)]
    pub(crate) current_istio_version: IstioVersion,

    /// Team that owns it
    #[arg(long, value_name = "NAME")]
    pub(crate) owner_team: String,

    /// GitLab handle of its owner
    #[arg(long, value_name = "HANDLE")]
    pub(crate) owner_handle: String,

    /// Value of Datadog's `kube_cluster_name` [default: the cluster's name]
    #[arg(long, value_name = "TAG")]
    pub(crate) datadog_cluster: Option<String>,

    /// Value of Datadog's `env` [default: the environment]
    #[arg(long, value_name = "TAG")]
    pub(crate) datadog_env: Option<String>,

    /// Check and show it; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}
