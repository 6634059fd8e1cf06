//! What a simulated run looked like in the end: read from the world, the registry and the execution, for people and as
//! JSON.

use std::collections::BTreeMap;

use guard_asl::MAX_EVENTS;
use guard_domain::{ClusterStatus, RunId, manifest};
use guard_tasks::judge_soak::LookEntry;
use guard_tasks::{AuditEntry, RunRecords};
use guard_world::System;
use jiff::Timestamp;
use serde::Serialize;

use crate::fleet::Fleet;
use crate::house::House;

/// The whole report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// Seed of every choice.
    pub seed: u64,
    /// The version the batch started at.
    pub start_version: String,
    /// The version it was to go to.
    pub target_version: String,
    /// Virtual time at the start.
    pub started_at: Timestamp,
    /// Virtual time at the end.
    pub ended_at: Timestamp,
    /// The execution.
    pub execution_arn: String,
    /// Its status, as Step Functions spells it.
    pub execution_status: String,
    /// Its error, if it failed.
    pub error: Option<String>,
    /// Its cause, if it failed.
    pub cause: Option<String>,
    /// Its output, if it succeeded; a dry run's holds the diff.
    pub output: Option<serde_json::Value>,
    /// One line a cluster.
    pub clusters: Vec<ClusterLine>,
    /// Every merge request, oldest first.
    pub merge_requests: Vec<MergeRequestLine>,
    /// The soak's verdict of each cluster.
    pub soak: Vec<SoakLine>,
    /// What people were told, oldest first.
    pub notifications: Vec<NotificationLine>,
    /// Keys of the incidents that are open in the end.
    pub open_incidents: Vec<String>,
    /// The audit log of the run.
    pub audit: Vec<AuditEntry>,
    /// What the service would have counted, by machine, with the sum as the last.
    pub bill: Vec<BillLine>,
    /// Outward calls by system.
    pub calls: BTreeMap<String, CallLine>,
    /// Lock rows still held.
    pub held_locks: Vec<String>,
    /// Where the end is not as the scenario says. Empty is success.
    pub surprises: Vec<String>,
}

/// One cluster in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterLine {
    /// The cluster.
    pub cluster_id: String,
    /// Its status in the registry.
    pub status: ClusterStatus,
    /// Its version in the registry.
    pub registry_version: String,
    /// What istiod runs; `None` while its pods differ.
    pub istiod_version: Option<String>,
    /// Proxies by version.
    pub proxies: BTreeMap<String, usize>,
    /// Rolling restarts since the start, the most of any workload.
    pub restarts: u32,
}

/// One merge request.
#[derive(Debug, Clone, Serialize)]
pub struct MergeRequestLine {
    /// Number.
    pub iid: u64,
    /// Title.
    pub title: String,
    /// `opened`, `merged` or `closed`.
    pub state: String,
    /// Page.
    pub web_url: String,
    /// From this branch.
    pub source_branch: String,
    /// Description in Markdown.
    pub description: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was merged.
    pub merged_at: Option<Timestamp>,
    /// What it changes.
    pub files: Vec<FileLine>,
}

/// One changed file.
#[derive(Debug, Clone, Serialize)]
pub struct FileLine {
    /// Its path.
    pub path: String,
    /// Its change as a unified diff.
    pub diff: String,
}

/// One cluster's soak.
#[derive(Debug, Clone, Serialize)]
pub struct SoakLine {
    /// The cluster.
    pub cluster_id: String,
    /// `pass`, `fail` or `insufficient`.
    pub outcome: String,
    /// Why.
    pub reasons: Vec<String>,
}

/// One notification that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotificationLine {
    /// When.
    pub at: Timestamp,
    /// Where: `chat`, or `pager` with the event's action.
    pub channel: String,
    /// What it says.
    pub text: String,
}

/// One machine's cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillLine {
    /// The machine, or `all`.
    pub machine: String,
    /// Executions.
    pub executions: usize,
    /// Billable state transitions.
    pub transitions: u64,
    /// History events of all executions.
    pub events: u64,
    /// Share of the 25,000 events that the longest execution used, percent.
    pub worst_history_percent: u64,
    /// Largest state data, bytes.
    pub peak_state_bytes: usize,
    /// Lambda invocations by the machine.
    pub lambda_invocations: u64,
}

/// What one system was asked. The stores and Step Functions are in this process: their bytes are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CallLine {
    /// Calls.
    pub calls: u64,
    /// Bytes of request bodies.
    pub bytes_sent: u64,
    /// Bytes of answer bodies, uncompressed.
    pub bytes_received: u64,
}

impl Report {
    /// Reads everything once the run is over.
    pub(crate) async fn read(house: &House, fleet: &Fleet, scenario: &str, arn: &str) -> Self {
        let execution = house.service.describe_execution(arn);
        let (mut audit, mut looks) = (Vec::new(), Vec::new());
        for run_id in house.store.runs().iter().filter_map(|name| RunId::parse(name).ok()) {
            // The memory's reads cannot fail.
            audit.extend(house.store.audit_log(&run_id).await.unwrap_or_default());
            looks.extend(soak(house, &run_id).await);
        }
        audit.sort_by_key(|line| line.at);
        Self {
            scenario: scenario.to_owned(),
            seed: fleet.world.seed,
            start_version: fleet.start.to_string(),
            target_version: fleet.target.to_string(),
            started_at: fleet.world.start,
            ended_at: house.service.now(),
            execution_arn: arn.to_owned(),
            execution_status: execution
                .as_ref()
                .map_or("?", |execution| execution.status.as_str())
                .to_owned(),
            error: execution.as_ref().and_then(|execution| execution.error.clone()),
            cause: execution.as_ref().and_then(|execution| execution.cause.clone()),
            output: execution.and_then(|execution| execution.output),
            clusters: clusters(house),
            merge_requests: merge_requests(house),
            soak: looks,
            notifications: notifications(house),
            open_incidents: house.world.open_incidents(),
            audit,
            bill: bill(house),
            calls: calls(house),
            held_locks: house.store.held_locks().into_iter().map(|(name, _)| name).collect(),
            surprises: Vec::new(),
        }
    }
}

/// Calls by system; the clusters' API servers count as one.
fn calls(house: &House) -> BTreeMap<String, CallLine> {
    let mut all: BTreeMap<String, CallLine> = BTreeMap::new();
    for (system, calls) in house.calls() {
        all.entry(system.to_owned()).or_default().calls = calls;
    }
    for (system, traffic) in house.world.traffic() {
        let name = match system {
            System::GitLab => "GitLab",
            System::Datadog => "Datadog",
            System::Sts => "STS",
            System::Eks => "EKS",
            System::Kubernetes(_) => "Kubernetes",
            System::Slack => "Slack",
            System::PagerDuty => "PagerDuty",
            System::Unknown => "unknown host",
        };
        let line = all.entry(name.to_owned()).or_default();
        line.bytes_sent += traffic.bytes_in;
        line.bytes_received += traffic.bytes_out;
    }
    all
}

fn notifications(house: &House) -> Vec<NotificationLine> {
    let messages = house.world.messages().into_iter();
    let chat = messages.map(|message| NotificationLine {
        at: message.at,
        channel: "chat".to_owned(),
        text: message.text,
    });
    let events = house.world.events().into_iter();
    let pager = events.map(|event| NotificationLine {
        at: event.at,
        channel: format!("pager {}", event.action),
        text: match event.action.as_str() {
            "trigger" => format!("{}: {}", event.severity, event.summary),
            _ => event.dedup_key,
        },
    });
    let mut all: Vec<NotificationLine> = chat.chain(pager).collect();
    all.sort_by_key(|line| line.at);
    all
}

fn clusters(house: &House) -> Vec<ClusterLine> {
    house
        .store
        .clusters()
        .into_iter()
        .map(|row| {
            let seen = house.world.cluster(row.cluster_id.as_str());
            ClusterLine {
                cluster_id: row.cluster_id.to_string(),
                status: row.status,
                registry_version: row.current_istio_version.to_string(),
                istiod_version: seen.as_ref().and_then(|cluster| cluster.istiod_version.clone()),
                proxies: seen.as_ref().map(|cluster| cluster.proxy_versions.clone()).unwrap_or_default(),
                restarts: seen
                    .map_or(0, |cluster| cluster.workloads.iter().map(|w| w.restarts).max().unwrap_or(0)),
            }
        })
        .collect()
}

fn merge_requests(house: &House) -> Vec<MergeRequestLine> {
    let mut lines: Vec<MergeRequestLine> = house
        .world
        .merge_requests()
        .into_iter()
        .map(|request| MergeRequestLine {
            iid: request.iid,
            title: request.title,
            state: request.state,
            web_url: request.web_url,
            source_branch: request.source_branch,
            description: request.description,
            created_at: request.created_at,
            merged_at: request.merged_at,
            files: request
                .diffs
                .into_iter()
                .map(|(path, before, after)| {
                    let diff = manifest::unified_diff(
                        &path,
                        before.as_deref().unwrap_or_default(),
                        after.as_deref().unwrap_or_default(),
                    );
                    FileLine { path, diff }
                })
                .collect(),
        })
        .collect();
    lines.sort_by_key(|line| line.iid);
    lines
}

async fn soak(house: &House, run_id: &RunId) -> Vec<SoakLine> {
    let entries = house.store.entries(run_id, "soak#").await.unwrap_or_default();
    entries
        .into_iter()
        .filter_map(|(name, value)| {
            let look: LookEntry = serde_json::from_value(value).ok()?;
            let outcome = serde_json::to_value(look.verdict.outcome).ok()?.as_str()?.to_owned();
            Some(SoakLine {
                cluster_id: name.trim_start_matches("soak#").to_owned(),
                outcome,
                reasons: look.verdict.reasons,
            })
        })
        .collect()
}

fn bill(house: &House) -> Vec<BillLine> {
    let executions = house.service.list_executions();
    let line = |machine: &str, bill: guard_asl::Bill| {
        let own: Vec<_> =
            executions.iter().filter(|execution| machine == "all" || execution.machine == machine).collect();
        let longest =
            own.iter().map(|execution| house.service.bill(&execution.arn).events).max().unwrap_or(0);
        BillLine {
            machine: machine.to_owned(),
            executions: own.len(),
            transitions: bill.transitions,
            events: bill.events,
            worst_history_percent: (longest * 100).div_ceil(MAX_EVENTS as u64),
            peak_state_bytes: bill.peak_state_bytes,
            lambda_invocations: bill.lambda_invocations,
        }
    };
    let mut machines: Vec<&str> = executions.iter().map(|execution| execution.machine.as_str()).collect();
    machines.sort_unstable();
    machines.dedup();
    let mut lines: Vec<BillLine> =
        machines.into_iter().map(|machine| line(machine, house.service.bill(machine))).collect();
    lines.push(line("all", house.service.bill_of_all()));
    lines
}
