//! The post-check against the simulated world: what got worse with the change takes the cluster back, what was so before
//! does not.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use guard_asl::TransitionKind;
use guard_domain::{Finding, RunId};
use guard_simulation::{Fleet, House};
use guard_tasks::RunRecords as _;
use guard_world::{Injector, World};
use serde_json::json;

const CLUSTER: &str = "test-euw1-1";

/// How an upgrade ends when this happens to the world as the post-check begins, and what the post-check found.
async fn ending(
    before: impl FnOnce(&House),
    meanwhile: impl Fn(&World) + Send + Sync + 'static,
) -> (String, Vec<Finding>) {
    let house = House::new(&Fleet::new(1, 1, None, None).unwrap()).unwrap();
    before(&house);
    let world = house.world.clone();
    house.observe(move |transition| {
        let is_entry = matches!(transition.kind, TransitionKind::Entered);
        if is_entry && transition.state.as_deref() == Some("PostCheckClusters") {
            meanwhile(&world);
        }
    });
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    let run = RunId::parse("run-1").unwrap();
    let entry = house.store.entry(&run, &format!("findings#{CLUSTER}#post-check-upgrade")).await.unwrap();
    let found: Vec<Finding> = serde_json::from_value(entry.unwrap_or_default()).unwrap_or_default();
    let found = found.into_iter().filter(|finding| !finding.code.starts_with("ANALYZER")).collect();
    (execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()), found)
}

fn codes(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|finding| finding.code.as_str()).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn a_good_upgrade_has_nothing_to_tell() {
    let (ending, found) = ending(|_| {}, |_| {}).await;
    assert_eq!((ending.as_str(), codes(&found)), ("SUCCEEDED", vec![]));
}

/// Containers of the new version restart in pods whose name begins so, in whichever list they are.
fn restarted(
    pod: &'static str,
    container: &'static str,
    restarts: u32,
    reason: &'static str,
) -> impl Fn(&World) {
    move |world: &World| {
        world.show(CLUSTER, "pods", move |objects| {
            for object in objects.iter_mut() {
                if !object["metadata"]["name"].as_str().unwrap().starts_with(pod) {
                    continue;
                }
                for list in ["containerStatuses", "initContainerStatuses"] {
                    for status in object["status"][list].as_array_mut().into_iter().flatten() {
                        let is_new = status["image"].as_str().unwrap().ends_with(":1.30.5");
                        if status["name"] == container && is_new {
                            status["restartCount"] = json!(restarts);
                            status["lastState"] = json!({"terminated": {"reason": reason, "exitCode": 137,
                                "finishedAt": "2026-03-02T11:00:00Z"}});
                        }
                    }
                }
            }
        });
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_got_worse_takes_the_cluster_back() {
    type Meanwhile = Box<dyn Fn(&World) + Send + Sync>;
    let new_istiod_rejected =
        |world: &World| world.istiod_counts(CLUSTER, "1.30.5", "pilot_total_xds_rejects", 5);
    let webhook_broken = |world: &World| {
        world.show(CLUSTER, "validatingwebhookconfigurations", |objects| {
            objects[0]["webhooks"][0]["clientConfig"]["caBundle"] = json!("");
        });
    };
    let table: Vec<(&str, &str, Meanwhile)> = vec![
        ("XDS_REJECTS", "RolledBack", Box::new(new_istiod_rejected)),
        (
            "INJECTED_VERSION",
            "RolledBack",
            Box::new(|world| {
                let old = Injector::Image("docker.io/istio/proxyv2:1.29.8".into());
                world.injector_does(CLUSTER, old);
            }),
        ),
        ("OUT_OF_MEMORY", "RolledBack", Box::new(restarted("istiod-", "discovery", 1, "OOMKilled"))),
        ("CRASHES", "RolledBack", Box::new(restarted("cart-", "istio-proxy", 3, "Error"))),
        // The old version does not mend it: a person must come.
        ("WEBHOOK_WITHOUT_CA", "RollbackFailed", Box::new(webhook_broken)),
    ];
    for (code, wanted, meanwhile) in table {
        let (ending, found) = ending(|_| {}, meanwhile).await;
        assert_eq!(ending, wanted, "{code}: {found:?}");
        assert!(codes(&found).iter().all(|found| *found == code), "{code}: {found:?}");
        assert!(!found.is_empty(), "{code}");
    }
}

/// The same, but the cluster was like that before: nothing got worse.
#[tokio::test(flavor = "current_thread")]
async fn what_was_so_before_is_not_the_changes_doing() {
    let bad_before = |house: &House| {
        for version in ["1.29.8", "1.30.5"] {
            house.world.istiod_counts(CLUSTER, version, "pilot_total_xds_rejects", 5);
        }
    };
    let (ended, found) = ending(bad_before, |_| {}).await;
    assert_eq!((ended.as_str(), codes(&found)), ("SUCCEEDED", vec![]));
}

/// A list that is refused only now: nobody knows, so nothing passes, and nothing goes back for it either.
#[tokio::test(flavor = "current_thread")]
async fn what_cannot_be_read_afterwards_halts() {
    for (resource, code) in [
        ("pods/proxy", "CONTROL_PLANE_UNREAD"),
        ("customresourcedefinitions", "DEFINITIONS_UNREAD"),
        ("kustomizations", "FLUX_UNREAD"),
        ("replicasets", "WORKLOADS_UNREAD"),
    ] {
        let (ending, found) = ending(|_| {}, move |world| world.forbid(CLUSTER, resource)).await;
        assert_eq!((ending.as_str(), codes(&found)), ("Halted", vec![code]), "{resource}: {found:?}");
    }
}

/// A pod that restarted once is told, and no reason to go back.
#[tokio::test(flavor = "current_thread")]
async fn one_restart_is_told() {
    let (ended, found) = ending(|_| {}, restarted("cart-", "istio-proxy", 1, "Error")).await;
    assert_eq!((ended.as_str(), codes(&found)), ("SUCCEEDED", vec!["RESTARTED"]));
    assert!(found[0].message.contains("(1, Error)"), "{}", found[0]);
}
