//! Monitors and their states.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::errors;
use crate::call::{self, Answer, Call};
use crate::chance;
use crate::state::State;

#[derive(Debug, Clone)]
pub(crate) struct Monitor {
    pub(crate) cluster: String,
    pub(crate) name: String,
    pub(crate) status: &'static str,
    pub(crate) muted: bool,
    pub(crate) since: Timestamp,
}

impl State {
    /// Changes a monitor, which comes into being when it is first named.
    pub(crate) fn monitor(&mut self, cluster: &str, name: &str, change: impl FnOnce(&mut Monitor)) {
        let now = self.now;
        let monitors = &mut self.signals.monitors;
        let at =
            monitors.iter().position(|one| one.cluster == cluster && one.name == name).unwrap_or_else(|| {
                monitors.push(Monitor {
                    cluster: cluster.to_owned(),
                    name: name.to_owned(),
                    status: "OK",
                    muted: false,
                    since: now,
                });
                monitors.len() - 1
            });
        if let Some(monitor) = monitors.get_mut(at) {
            change(monitor);
            monitor.since = now;
        }
    }

    /// Each cluster's own monitors, and those that levers made.
    fn all_monitors(&self) -> Vec<Monitor> {
        let mut all = self.signals.monitors.clone();
        for id in self.clusters.keys() {
            for name in ["Istio 5xx ratio", "istiod is up"] {
                if !all.iter().any(|one| one.cluster == *id && one.name == name) {
                    let since = self.spec.start;
                    all.push(Monitor {
                        cluster: id.clone(),
                        name: name.to_owned(),
                        status: "OK",
                        muted: false,
                        since,
                    });
                }
            }
        }
        all.sort_by(|a, b| (&a.cluster, &a.name).cmp(&(&b.cluster, &b.name)));
        all
    }
}

fn id(monitor: &Monitor) -> u64 {
    chance::number(3, &[&monitor.cluster, &monitor.name]) % 100_000_000
}

fn monitor_json(state: &State, monitor: &Monitor) -> Value {
    let spec = state.clusters.get(&monitor.cluster).map(|cluster| &cluster.spec);
    let tag = spec.map_or(monitor.cluster.as_str(), |spec| spec.datadog_cluster_tag.as_str());
    let env = spec.map_or("unknown", |spec| spec.environment.as_str());
    let group = format!("kube_cluster_name:{tag}");
    let silenced = if monitor.muted { json!({ "*": null }) } else { json!({}) };
    json!({
        "id": id(monitor),
        "name": format!("{} on {}", monitor.name, monitor.cluster),
        "type": "query alert",
        "query": format!("avg(last_5m):sum:istio.mesh.request.count{{{group},response_code:5*}}.as_count() > 100"),
        "message": "",
        "tags": [group, format!("env:{env}"), "service:istio"],
        "overall_state": monitor.status,
        "overall_state_modified": crate::state::stamp(monitor.since),
        "priority": 2,
        "multi": false,
        "options": { "silenced": silenced, "notify_no_data": true, "no_data_timeframe": 10 },
        "state": { "groups": { &*group: { "name": group, "status": monitor.status, "last_triggered_ts": monitor.since.as_second() } } },
        "matching_downtimes": [],
    })
}

pub(super) fn list(state: &State, call: &Call) -> Answer {
    let wanted: Vec<&str> = [call.get("monitor_tags"), call.get("tags")]
        .into_iter()
        .flatten()
        .flat_map(|tags| tags.split(','))
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .collect();
    let tagged = |monitor: &Value| {
        let tags = monitor.get("tags").and_then(Value::as_array);
        wanted.iter().all(|tag| tags.is_some_and(|tags| tags.iter().any(|have| have.as_str() == Some(tag))))
    };
    let named = |monitor: &Value| {
        let name = monitor.get("name").and_then(Value::as_str).unwrap_or_default();
        call.get("name").is_none_or(|part| name.contains(part))
    };
    let (page, size) = (call.number("page"), call.number("page_size").unwrap_or(100).clamp(1, 1000));
    let size = usize::try_from(size).unwrap_or(100);
    // Without `page` Datadog gives all at once.
    let (skip, take) = match page.map(usize::try_from) {
        None => (0, usize::MAX),
        Some(Ok(page)) => (page.saturating_mul(size), size),
        Some(Err(_)) => return errors(400, "The value provided for parameter 'page' is invalid"),
    };
    let all = state.all_monitors();
    let shown = all.iter().map(|one| monitor_json(state, one)).filter(|one| tagged(one) && named(one));
    call::json(200, &shown.skip(skip).take(take).collect())
}

pub(super) fn show(state: &State, wanted: &str) -> Answer {
    match state.all_monitors().iter().find(|one| id(one).to_string() == wanted) {
        Some(monitor) => call::json(200, &monitor_json(state, monitor)),
        None => errors(404, "Monitor not found"),
    }
}
