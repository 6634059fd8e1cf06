//! Monitors.

use guard_tasks::MonitorReader as _;
use serde_json::{Value, json};

use crate::world::{World, ok, row};

fn monitor(id: u64, state: &str) -> Value {
    json!({"id": id, "name": format!("m{id}"), "overall_state": state, "type": "brand new type", "options": {}})
}

#[tokio::test]
async fn everything_but_ok_is_told_and_muted_is_marked() {
    let world = World::new(|_| {
        let mut silenced = monitor(3, "Alert");
        silenced["options"]["silenced"] = json!({"*": null});
        let mut downtime = monitor(4, "No Data");
        downtime["matching_downtimes"] = json!([{"id": 1}]);
        let mut never = monitor(5, "x");
        never["overall_state"] = Value::Null;
        ok(&json!([
            monitor(1, "OK"),
            monitor(2, "Alert"),
            silenced,
            downtime,
            never,
            monitor(6, "Brand New")
        ]))
    });
    let found = world.datadog.monitors(&row("EKS-1")).await.unwrap();
    let told: Vec<_> = found.iter().map(|m| (m.id, m.state.as_str(), m.is_muted)).collect();
    assert_eq!(
        told,
        [
            (2, "Alert", false),
            (3, "Alert", true),
            (4, "No Data", true),
            (5, "Unknown", false),
            (6, "Brand New", false)
        ]
    );
    let asked = &world.asked()[0];
    assert_eq!(asked.path, "/api/v1/monitor");
    assert_eq!(asked.query["monitor_tags"], "kube_cluster_name:eks-1");
    assert_eq!(
        (asked.query["group_states"].as_str(), asked.query["with_downtimes"].as_str()),
        ("all", "true")
    );
}

#[tokio::test]
async fn all_pages_are_read() {
    let world = World::new(|asked| {
        let page: u64 = asked.query["page"].parse().unwrap();
        let size: u64 = asked.query["page_size"].parse().unwrap();
        let last = (page * size + size).min(250);
        ok(&(page * size..last).map(|id| monitor(id, "Warn")).collect())
    });
    let found = world.datadog.monitors(&row("eks-1")).await.unwrap();
    assert_eq!(found.len(), 250);
    assert_eq!(world.asked().len(), 3);
}

#[tokio::test]
async fn a_server_that_repeats_its_pages_is_left() {
    let world = World::new(|_| ok(&(0..100).map(|id| monitor(id, "Warn")).collect()));
    assert!(world.datadog.monitors(&row("eks-1")).await.unwrap_err().chain().contains("no end"));
}
