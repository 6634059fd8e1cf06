//! The stage: a fleet whose deadlines suit a clock that runs faster than the machine computes.

use std::fs;
use std::io;
use std::path::Path;

use clap::Args;
use guard_simulation::{Fleet, FleetError};
use guard_world::{Answer, Person, Served, WorkloadKind, WorkloadSpec, World};
use jiff::Timestamp;
use serde_json::json;

/// What the fleet is like.
#[derive(Debug, Clone, Args)]
pub struct FleetOptions {
    /// Clusters in all
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub clusters: usize,

    /// Batches, one after the other
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub batches: usize,

    /// Decides every chance of the world
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,

    /// Soak of each batch, minutes of the world's time
    #[arg(long, default_value_t = 30, value_name = "N")]
    pub soak_minutes: u32,

    /// Deployments of three pods in each cluster, beside the usual few workloads
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub workloads: usize,
}

/// As many workloads as a team has in its namespace.
const PER_NAMESPACE: usize = 5;

fn deployment(n: usize) -> WorkloadSpec {
    let namespace = format!("team-{}", n / PER_NAMESPACE);
    let plain = WorkloadSpec::new(&namespace, &format!("app-{n}"), WorkloadKind::Deployment, 3);
    if n.is_multiple_of(2) { plain } else { plain.with_native_sidecar() }
}

/// The fleet of these options. A function that takes 0.2 s of a clock that runs 120 times too fast has used 24 s, so what
/// is a deadline of minutes elsewhere is one of hours here: only the soak keeps its length.
pub fn fleet(options: &FleetOptions) -> Result<Fleet, FleetError> {
    let mut fleet = Fleet::new(options.clusters, options.seed, None, None)?.in_batches(options.batches)?;
    for cluster in &mut fleet.world.clusters {
        cluster.workloads.extend((0..options.workloads).map(deployment));
    }
    fleet.config.validation.soak_period_minutes = options.soak_minutes;
    fleet.config.validation.flux_sync_timeout_minutes = 240;
    fleet.config.policy.restart_timeout_minutes = 600;
    fleet.config.policy.soak_data_grace_minutes = 240;
    Ok(fleet)
}

/// The same with a world that begins now and a person who touches nothing until told to.
pub fn fleet_of_today(options: &FleetOptions, now: Timestamp) -> Result<Fleet, FleetError> {
    let mut fleet = fleet(options)?;
    fleet.world.start = now;
    fleet.world.person = Person { upgrade: Answer::Ignore, rollback: Answer::Ignore };
    Ok(fleet)
}

/// Writes a kubeconfig for each cluster, `<cluster>.kubeconfig`. Their tokens are good for a quarter of an hour.
pub fn write_kubeconfigs(folder: &Path, world: &World, served: &Served) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (cluster, url) in &served.kubernetes_urls {
        let user = json!({ "token": world.token(cluster) });
        let kubeconfig = world.kubeconfig(cluster, url, &user);
        fs::write(folder.join(format!("{cluster}.kubeconfig")), serde_json::to_vec_pretty(&kubeconfig)?)?;
    }
    Ok(())
}

/// Writes what the product needs to know of this world: `config.yaml` (JSON is YAML), `registry.json`, and last, when
/// everything listens, `world.json`.
pub fn write(folder: &Path, fleet: &Fleet, served: &Served, control_url: &str) -> io::Result<()> {
    let mut config = fleet.config.clone();
    config.gitlab.url.clone_from(&served.gitlab_url);
    config.datadog.site.clone_from(&served.datadog_url);
    fs::create_dir_all(folder)?;
    fs::write(folder.join("config.yaml"), serde_json::to_vec_pretty(&config)?)?;
    fs::write(folder.join("registry.json"), serde_json::to_vec_pretty(&fleet.rows)?)?;
    let world = json!({
        "pid": std::process::id(),
        "control_url": control_url,
        "gitlab_url": served.gitlab_url,
        "datadog_url": served.datadog_url,
        "sts_url": served.sts_url,
        "eks_url": served.eks_url,
        "slack_webhook_url": served.slack_webhook_url,
        "pagerduty_url": served.pagerduty_url,
        "pagerduty_routing_key": fleet.world.pagerduty_routing_key,
        "region": fleet.world.region,
        "gitlab_token": fleet.world.gitlab_token,
        "datadog_api_key": fleet.world.datadog_api_key,
        "datadog_app_key": fleet.world.datadog_app_key,
        "start_version": fleet.start,
        "target_version": fleet.target,
        "batches": fleet.batches,
    });
    let unfinished = folder.join("world.json.part");
    fs::write(&unfinished, serde_json::to_vec_pretty(&world)?)?;
    fs::rename(unfinished, folder.join("world.json"))
}
