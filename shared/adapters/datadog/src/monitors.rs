//! Monitors that are not quiet.

use std::collections::BTreeMap;

use guard_domain::MonitorFacts;
use guard_tasks::TaskError;
use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;
use crate::query;

const PAGE_SIZE: usize = 100;

/// Ten thousand monitors of one cluster are a server that repeats its pages.
const MAX_PAGES: usize = 100;

#[derive(Deserialize)]
struct Monitor {
    id: u64,
    #[serde(default)]
    name: String,
    /// Absent or null for a monitor that was never evaluated.
    #[serde(default)]
    overall_state: Option<String>,
    #[serde(default)]
    options: Option<Options>,
    #[serde(default)]
    matching_downtimes: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Options {
    #[serde(default)]
    silenced: Option<BTreeMap<String, Value>>,
}

/// Everything not `OK`. A muted or data-less monitor is reported, since it must not read as healthy.
pub(crate) async fn read(client: &Client, cluster: &str) -> Result<Vec<MonitorFacts>, TaskError> {
    let tag = format!("kube_cluster_name:{}", query::tag(cluster)?);
    let page_size = PAGE_SIZE.to_string();
    let mut found = Vec::new();
    for page in 0..MAX_PAGES {
        let page = page.to_string();
        let parameters = [
            ("group_states", "all"),
            ("monitor_tags", tag.as_str()),
            ("with_downtimes", "true"),
            ("page", page.as_str()),
            ("page_size", page_size.as_str()),
        ];
        let monitors: Vec<Monitor> = client.get("/api/v1/monitor", &parameters).await?;
        let is_last = monitors.len() < PAGE_SIZE;
        found.extend(monitors.into_iter().filter_map(facts));
        if is_last {
            return Ok(found);
        }
    }
    Err(TaskError::internal(format!("Datadog GET /api/v1/monitor: no end after {MAX_PAGES} pages")))
}

fn facts(monitor: Monitor) -> Option<MonitorFacts> {
    let state = monitor.overall_state.unwrap_or_else(|| "Unknown".to_owned());
    let is_silenced = monitor.options.and_then(|options| options.silenced).is_some_and(|map| !map.is_empty());
    let has_downtime = monitor.matching_downtimes.is_some_and(|downtimes| !downtimes.is_empty());
    (state != "OK").then_some(MonitorFacts {
        id: monitor.id,
        name: monitor.name,
        state,
        is_muted: is_silenced || has_downtime,
    })
}
