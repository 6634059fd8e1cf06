//! Restarts.

use guard_domain::{WorkloadKind, WorkloadRef};
use guard_kubernetes::{FIELD_MANAGER, RESTART_ANNOTATION};
use guard_tasks::{ErrorName, ProxyRestarter as _};
use serde_json::{Value, json};

use crate::world::{World, parameter, row, status};

fn workload(kind: WorkloadKind) -> WorkloadRef {
    WorkloadRef { namespace: "shop".into(), kind, name: "web".into() }
}

#[tokio::test]
async fn a_restart_applies_one_annotation_under_guards_own_name() {
    for (kind, plural) in [
        (WorkloadKind::Deployment, "deployments"),
        (WorkloadKind::StatefulSet, "statefulsets"),
        (WorkloadKind::DaemonSet, "daemonsets"),
    ] {
        let world = World::new();
        world.clusters.restart(&row(), &[workload(kind)], "run-1").await.unwrap();
        let asked = world.asked();
        let [call] = &asked[..] else { panic!("one call") };
        assert_eq!(call.request.method(), "PATCH");
        assert_eq!(call.request.uri().path(), format!("/apis/apps/v1/namespaces/shop/{plural}/web"));
        assert_eq!(call.request.headers()["content-type"], "application/apply-patch+yaml");
        assert_eq!(parameter(call, "fieldManager").as_deref(), Some(FIELD_MANAGER));
        assert_ne!(parameter(call, "force").as_deref(), Some("true"));
        assert!(call.idempotent);
        let body: Value = serde_json::from_slice(call.request.body()).unwrap();
        let expected = json!({
            "apiVersion": "apps/v1", "kind": kind.as_str(), "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"template": {"metadata": {"annotations": {RESTART_ANNOTATION: "run-1"}}}}
        });
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn a_field_somebody_else_owns_is_a_conflict() {
    let world = World::hooked(Box::new(|_| {
        Some(Ok(status(409, "Conflict", "Apply failed with 1 conflict: conflict with \"other\"")))
    }));
    let error = world.clusters.restart(&row(), &[workload(WorkloadKind::Deployment)], "m").await.unwrap_err();
    assert_eq!(error.name, ErrorName::Conflict);
    assert!(error.chain().starts_with("restart shop/Deployment/web of eks-1: "), "{error}");
    assert!(error.chain().contains("Conflict: Apply failed with 1 conflict"), "{error}");
}

#[tokio::test]
async fn a_workload_that_is_gone_is_not_made_anew() {
    let world =
        World::hooked(Box::new(|_| Some(Ok(status(422, "Invalid", "spec.selector: Required value")))));
    let error = world.clusters.restart(&row(), &[workload(WorkloadKind::Deployment)], "m").await.unwrap_err();
    assert_eq!(error.name, ErrorName::Rejected);
}
