//! What runs in a cluster.

use std::sync::Arc;

use async_trait::async_trait;
use guard_domain::ClusterRecord;
use guard_http::cluster_access::{Access, ClusterAccess};
use guard_kubernetes::Clusters;
use guard_tasks::{ClusterHealthReader as _, DataPlaneReader as _, ErrorName, RolloutReader as _, TaskError};

use crate::environment::wanted;
use crate::kubeconfig::Context;
use crate::metrics::invented;
use crate::world::{Outside, reads};

struct Subject {
    access: Arc<dyn ClusterAccess>,
    row: ClusterRecord,
}

/// The same way in, with a token that nobody gave.
struct Stranger(Arc<dyn ClusterAccess>);

#[async_trait]
impl ClusterAccess for Stranger {
    async fn access(&self, cluster: &ClusterRecord) -> Result<Access, TaskError> {
        let mut access = self.0.access(cluster).await?;
        if let Some(server) = &mut access.api_server {
            server.token = "guard-live-no-such-token".to_owned().into();
        }
        Ok(access)
    }
}

async fn reading(subject: &Subject) {
    let row = &subject.row;
    let clusters = Clusters::new(reads(), Arc::clone(&subject.access));
    let health =
        clusters.health(row, guard_tasks::Extent::Whole, std::time::Duration::from_mins(1)).await.unwrap();
    assert!(!health.nodes.unwrap().is_empty(), "a cluster that runs anything has nodes");
    let rollout = clusters.rollout(row).await.unwrap();
    let names = |releases: &[guard_domain::HelmReleaseFacts]| -> Vec<String> {
        releases.iter().map(|release| release.name.clone()).collect()
    };
    assert_eq!(names(&rollout.releases), names(&health.flux.unwrap().releases), "two ways to read the same");
    let workloads = clusters.data_plane(row, true).await.unwrap().workloads;
    for facts in &workloads {
        assert!(!facts.proxies.is_empty(), "{}: only workloads with proxies", facts.workload);
        assert!(facts.proxies.iter().all(|(_, pods)| *pods > 0), "{}", facts.workload);
    }
    let error = Clusters::new(reads(), Arc::new(Stranger(Arc::clone(&subject.access))))
        .rollout(row)
        .await
        .unwrap_err();
    assert_eq!(error.name, ErrorName::Denied, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_world_keeps_the_contract() {
    let outside = Outside::open().await;
    reading(&Subject { access: outside.aws(), row: outside.fleet.rows[0].clone() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_cluster_is_read() {
    let Some([files, context]) = wanted("Kubernetes", ["KUBECONFIG", "K8S_TEST_CONTEXT"]) else { return };
    let context = Context::read(&files, &context).unwrap();
    reading(&Subject { access: Arc::new(context), row: invented() }).await;
}
