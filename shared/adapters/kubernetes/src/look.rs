//! One look at everything of a cluster: all parts at once, each within its own time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use guard_domain::checks::Source;
use guard_domain::{ClusterFacts, Unread};
use guard_tasks::{Extent, TaskError};
use kube::Client;

use crate::mesh::Mesh;
use crate::{budgets, definitions, envoy_filters, flux, injection, namespaces, nodes, webhooks};

/// Reads every part of the extent. One that cannot be read, or not within its time, says so and takes nothing from the others. `tell` hears
/// of each when it is there, with all that is known so far. Without `dry_runs` nothing but lists and metrics is asked for.
pub(crate) async fn look(
    client: &Client,
    known: ClusterFacts,
    extent: Extent,
    within: Duration,
    dry_runs: bool,
    tell: &(dyn Fn(&ClusterFacts, &[Source]) + Send + Sync),
) -> ClusterFacts {
    let facts = Mutex::new(known);
    let put = |sources: &[Source], set: &mut dyn FnMut(&mut ClusterFacts)| {
        let mut facts = facts.lock().unwrap_or_else(PoisonError::into_inner);
        set(&mut facts);
        tell(&facts, sources);
    };
    // One line a part: what is read, where it goes, and who hears of it.
    macro_rules! part {
        ($what:literal, $read:expr, $field:ident, $source:ident) => {
            async {
                let mut read = Some(in_time($what, within, $read).await);
                put(&[Source::$source], &mut |facts| {
                    if let Some(read) = read.take() {
                        facts.$field = read;
                    }
                });
            }
        };
    }
    let mesh = async {
        let mut mesh = Some(Mesh::read(client, within).await);
        let sources = [
            Source::Istiod,
            Source::Workloads,
            Source::Strays,
            Source::SystemPods,
            Source::Mesh,
            Source::ControlPlane,
        ];
        put(&sources, &mut |facts| {
            if let Some(mesh) = mesh.take() {
                facts.istiod = mesh.istiod;
                facts.control_plane = mesh.control_plane;
                facts.workloads = mesh.workloads;
                facts.strays = mesh.strays;
                facts.system_pods = mesh.system_pods;
                facts.mesh = mesh.pods;
            }
        });
    };
    let flux = async {
        let mut read = Some(flux::everything(client, within).await);
        put(&[Source::Flux, Source::ChartSources], &mut |facts| {
            if let Some((flux, sources)) = read.take() {
                facts.flux = flux;
                facts.chart_sources = sources;
            }
        });
    };
    let injected = async {
        let namespaces = in_time("namespaces", within, namespaces::facts(client)).await;
        let injection = match &namespaces {
            Ok(found) if dry_runs => {
                in_time("a pod as a dry run", within, injection::facts(client, found)).await
            }
            Ok(_) => Err(Unread::for_good("no pod is tried: this only looks")),
            Err(why) => Err(why.clone()),
        };
        let mut read = Some((namespaces, injection));
        put(&[Source::Namespaces, Source::Injection], &mut |facts| {
            if let Some((namespaces, injection)) = read.take() {
                facts.namespaces = namespaces;
                facts.injection = injection;
            }
        });
    };
    let others = async {
        futures::join!(
            part!("nodes", nodes::facts(client), nodes, Nodes),
            flux,
            part!("CustomResourceDefinitions", definitions::facts(client), definitions, Definitions),
            part!("webhooks", webhooks::facts(client), webhooks, Webhooks),
            part!("PodDisruptionBudgets", budgets::facts(client), budgets, Budgets),
            part!("EnvoyFilters", envoy_filters::facts(client), envoy_filters, EnvoyFilters),
        )
    };
    let others = async {
        if extent == Extent::Whole {
            Box::pin(others).await;
        }
    };
    // All at once: an API server that does not answer is waited for once.
    futures::join!(mesh, others, injected);
    facts.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A part, or why it is not known.
pub(crate) async fn in_time<T>(
    what: &str,
    within: Duration,
    read: impl Future<Output = Result<T, TaskError>>,
) -> Result<T, Unread> {
    match tokio::time::timeout(within, read).await {
        Ok(read) => read.map_err(Unread::from),
        Err(_) => {
            Err(Unread { why: format!("{what}: not read within {} s", within.as_secs()), may_pass: true })
        }
    }
}
