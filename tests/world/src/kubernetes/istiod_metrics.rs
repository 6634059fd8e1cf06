//! istiod's metrics, through the API server's proxy to a pod.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::call::{self, Answer};
use crate::cluster::Cluster;
use crate::workload::{Pod, Role};

/// Configurations of each kind that a proxy gets when it connects.
const PUSHES_A_PROXY: usize = 10;

/// What most of them are about.
const KIND: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";

/// `GET .../pods/NAME:15014/proxy/metrics`.
pub(super) fn answer(cluster: &Cluster, namespace: &str, pod: &str) -> Answer {
    let Some((name, "15014")) = pod.split_once(':') else {
        return refused("no endpoints available");
    };
    let istiods = cluster.workloads.values().filter(|one| one.role == Role::Istiod);
    let pods: Vec<&Pod> =
        istiods.filter(|one| one.namespace() == namespace).flat_map(|one| &one.pods).collect();
    let Some(index) = pods.iter().position(|one| one.name == name) else {
        let text = format!("pods \"{name}\" not found");
        return super::status(404, "NotFound", &text, &serde_json::json!({"name": name, "kind": "pods"}));
    };
    let ready: Vec<&Pod> = pods.iter().filter(|one| one.ready).copied().collect();
    let Some(turn) = ready.iter().position(|one| one.name == name) else {
        return refused("dial tcp: connect: connection refused");
    };
    let mut connected: BTreeMap<&str, usize> = BTreeMap::new();
    // Every ready pod with a proxy is connected to one istiod, in turn.
    let proxies = cluster.workloads.values().flat_map(|one| &one.pods).filter(|one| one.ready);
    let versions = proxies.filter_map(|one| one.proxy.as_deref());
    for version in versions.skip(turn).step_by(ready.len()) {
        *connected.entry(version).or_default() += 1;
    }
    let version = pods[index].version.as_str();
    let mut text = text(version, &connected);
    for ((of, metric), count) in cluster.counters.iter().filter(|_| turn == 0) {
        if of == version {
            _ = write!(text, "# TYPE {metric} counter\n{metric}{{type=\"{KIND}\"}} {count}\n");
        }
    }
    call::text(200, text)
}

/// As the API server says that it cannot reach a pod.
fn refused(why: &str) -> Answer {
    super::status(
        503,
        "ServiceUnavailable",
        &format!("error trying to reach service: {why}"),
        &serde_json::Value::Null,
    )
}

fn text(version: &str, connected: &BTreeMap<&str, usize>) -> String {
    let mut text = format!("# TYPE pilot_info gauge\npilot_info{{version=\"{version}-world-Clean\"}} 1\n");
    text.push_str(
        "# HELP pilot_xds Number of endpoints connected to this pilot using XDS.\n# TYPE pilot_xds gauge\n",
    );
    text.push_str("pilot_xds{version=\"65536.65536.65536\"} 0\n");
    for (proxy, count) in connected {
        _ = writeln!(text, "pilot_xds{{version=\"{proxy}\"}} {count}");
    }
    text.push_str("# TYPE pilot_xds_pushes counter\n");
    let pushes = connected.values().sum::<usize>() * PUSHES_A_PROXY;
    for kind in ["cds", "eds", "lds", "rds"] {
        _ = writeln!(text, "pilot_xds_pushes{{type=\"{kind}\"}} {pushes}");
    }
    text
}
