//! What a person does by docs/runbook.md with clusters that a run left in the middle.

use bytes::Bytes;
use guard_domain::{ClusterStatus, HistoryEntry, RunId};
use guard_simulation::{Fleet, House};
use http::Request;
use jiff::SignedDuration;
use serde_json::json;

/// Long enough for Flux, and for every pod.
const A_WHILE: SignedDuration = SignedDuration::from_mins(60);

/// *Clusters left in the middle*: merges a request of the way back that is open, deletes a branch that never became one, waits
/// for Flux and istiod, restarts what was not restarted yet, and sets each cluster to what it runs. Clusters at the target are
/// healthy there; the others are back.
pub(crate) async fn looks_after(house: &House, fleet: &Fleet, run: &str) {
    for request in house.world.merge_requests() {
        if request.state == "opened" {
            assert!(house.world.merge_request_by_person(request.iid, true), "{}", request.title);
        }
    }
    let requests = house.world.merge_requests();
    for branch in house.world.branches().into_keys().filter(|branch| branch.starts_with("rollback/")) {
        if requests.iter().all(|request| request.source_branch != branch) {
            house.world.delete_branch(&branch);
        }
    }
    house.wait_until(house.service.now() + A_WHILE).await;
    for row in in_the_middle(house) {
        restart_the_rest(house, row.cluster_id.as_str());
    }
    house.wait_until(house.service.now() + A_WHILE).await;
    for row in in_the_middle(house) {
        let cluster = house.world.cluster(row.cluster_id.as_str()).unwrap();
        let runs = cluster.istiod_version.clone().unwrap();
        let proxies: Vec<&String> = cluster.proxy_versions.keys().collect();
        assert_eq!(proxies, [&runs], "{}: a person restarted every workload", row.cluster_id);
        let (is_at_target, at) = (runs == fleet.target.to_string(), house.service.now());
        house.store.edit_cluster(&row.cluster_id, |row| {
            row.target_istio_version = None;
            row.status = if is_at_target {
                row.current_istio_version = fleet.target.clone();
                row.upgrade_history.push(HistoryEntry {
                    version: fleet.target.clone(),
                    date: at,
                    status: ClusterStatus::Healthy,
                    run_id: Some(RunId::parse(run).unwrap()),
                });
                ClusterStatus::Healthy
            } else {
                ClusterStatus::FailedUpgradeRolledBack
            };
        });
    }
}

/// Rows that no run touches before a person has looked.
pub(crate) fn in_the_middle(house: &House) -> Vec<guard_domain::ClusterRecord> {
    house.store.clusters().into_iter().filter(|row| row.status.needs_an_owner()).collect()
}

/// `kubectl rollout restart` of every workload with an old proxy.
fn restart_the_rest(house: &House, cluster_id: &str) {
    let cluster = house.world.cluster(cluster_id).unwrap();
    let runs = cluster.istiod_version.clone().unwrap();
    let (server, token) =
        (house.world.api_server(cluster_id).unwrap(), house.world.token(cluster_id).unwrap());
    for workload in cluster.workloads.iter().chain(&cluster.gateways) {
        if workload.proxy_versions.keys().all(|version| *version == runs) {
            continue;
        }
        let kind = format!("{:?}s", workload.kind).to_lowercase();
        let url = format!("{server}/apis/apps/v1/namespaces/{}/{kind}/{}", workload.namespace, workload.name);
        let at = house.service.now().to_string();
        let annotations = json!({"kubectl.kubernetes.io/restartedAt": at});
        let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        let request = Request::patch(&url)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/strategic-merge-patch+json")
            .body(Bytes::from(patch.to_string()))
            .unwrap();
        let answer = house.world.handle(request);
        assert!(answer.status().is_success(), "{url}: {answer:?}");
    }
}
