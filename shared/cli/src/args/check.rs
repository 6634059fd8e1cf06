//! `guard check`.

use std::path::PathBuf;

use clap::Args;
use guard_domain::IstioVersion;

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// Kubeconfig of the cluster [default: what KUBECONFIG names, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// Istio version to go to
    #[arg(long, value_name = "V", value_parser = super::version)]
    pub(crate) target_version: IstioVersion,

    /// Print one JSON document: verdict, and every check with its answer
    #[arg(long)]
    pub(crate) json: bool,
}
