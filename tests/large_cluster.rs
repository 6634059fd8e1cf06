//! A cluster of 5,000 pods, 300 namespaces and 1,500 workloads with ten old ReplicaSets each: what one look at it asks of its
//! API server.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use guard_aws::{Aws, Endpoints};
use guard_domain::{ClusterFacts, MeshRole};
use guard_http::{Call, Transport, TransportError};
use guard_kubernetes::Clusters;
use guard_simulation::Fleet;
use guard_tasks::{Clock, ClusterHealthReader as _};
use guard_world::{ClusterSpec, RequestLog, System, World};
use jiff::Timestamp;

/// What the issue allows one pre-check.
const REQUESTS_MAX: usize = 40;

struct InProcess(World);

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, call: Call) -> Result<http::Response<Bytes>, TransportError> {
        Ok(self.0.handle(call.request))
    }
}

struct WorldClock(World);

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

async fn look(fleet: &Fleet) -> (ClusterFacts, Vec<RequestLog>) {
    let world = World::new(fleet.world.clone());
    let transport: Arc<dyn Transport> = Arc::new(InProcess(world.clone()));
    let keys = aws_credential_types::Credentials::from_keys("AKIAGUARD", "secret", None);
    let keys = aws_credential_types::provider::SharedCredentialsProvider::new(keys);
    let clock = Arc::new(WorldClock(world.clone()));
    let aws = Arc::new(Aws::new(Arc::clone(&transport), keys, clock, Endpoints::default()));
    let facts = Clusters::new(transport, aws)
        .health(&fleet.rows[0], guard_tasks::Extent::Whole, Duration::from_mins(1))
        .await
        .unwrap();
    let is_kubernetes = |one: &RequestLog| matches!(one.system, System::Kubernetes(_));
    (facts, world.requests().into_iter().filter(is_kubernetes).collect())
}

#[tokio::test(flavor = "current_thread")]
async fn one_look_takes_forty_requests_at_most() {
    let mut fleet = Fleet::new(1, 1, None, None).unwrap();
    let usual = &mut fleet.world.clusters[0];
    // In their real sizes they take ten times as long to make, and no request more.
    *usual = ClusterSpec {
        kubernetes_version: usual.kubernetes_version.clone(),
        real_sizes: false,
        ..ClusterSpec::large(&usual.cluster_id, &usual.account_id)
    };
    let (facts, asked) = look(&fleet).await;

    assert_eq!(facts.namespaces.unwrap().len(), 301, "300, and the one for dry runs");
    let workloads = facts.workloads.unwrap();
    let mesh = facts.mesh.unwrap();
    let of = |role: MeshRole| mesh.iter().filter(|one| one.role == role).count();
    // 1,494 workloads of three pods and two of one a node in the mesh; two more beside it.
    assert_eq!((workloads.len(), of(MeshRole::Sidecar)), (1_497, 1_494 * 3 + 2 * 128));
    assert_eq!((of(MeshRole::Istiod), facts.strays.unwrap()), (2, vec![]));

    let mut by_list = BTreeMap::<String, usize>::new();
    for one in &asked {
        assert!([200, 201].contains(&one.status), "{one:?}");
        *by_list.entry(one.path.split('?').next().unwrap().to_owned()).or_default() += 1;
    }
    assert!(asked.len() <= REQUESTS_MAX, "{} requests: {by_list:#?}", asked.len());
    let pods = ["/api/v1/pods", "/apis/apps/v1/replicasets"].map(|list| by_list[list]);
    assert_eq!(pods, [10, 3], "the 14,000 old ReplicaSets are left out");
    for one in asked.iter().filter(|one| one.method == "GET" && one.path.contains('?')) {
        assert!(one.path.contains("limit="), "never a list without a limit: {}", one.path);
    }
}
