//! `policy`: rules of this fleet.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MINUTES;
use crate::{FreezeWindow, MrStrategy, OnEdited};

/// Which clusters of a batch go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RollbackScope {
    /// Those that failed.
    Failed,
    /// All of the batch.
    Batch,
}

/// What an answer that is not to be had does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// It is told, and the upgrade goes on.
    Warn,
    /// It stops the upgrade before anything is changed.
    Stop,
}

/// `policy`: rules of this fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own, and any may be true with any")]
pub struct PolicyConfig {
    /// Share of the nodes that may be not Ready, percent, 0 to 50: in a large cluster one is always being replaced. Above
    /// it the pre-check stops; below it tells.
    pub nodes_not_ready_percent_max: u32,
    /// Share of the nodes that may be cordoned, percent, 0 to 100.
    pub nodes_cordoned_percent_max: u32,
    /// Share of istiod's memory limit that must have been free at its fullest moment before an upgrade, percent, 0 to 90.
    /// New versions have needed more by half and up to six times. With 0 nobody asks.
    pub istiod_memory_left_percent_min: u32,
    /// Share of every node's memory that should have been free at its fullest moment, percent, 0 to 90. With 0 nobody asks.
    pub node_memory_left_percent_min: u32,
    /// Alpha, beta and release-candidate targets are allowed.
    pub allow_pre_release: bool,
    /// Which clusters go back when some fail.
    pub rollback_scope: RollbackScope,
    /// How a batch's change is cut into merge requests; one never reaches over two GitLab projects.
    pub mr_strategy: MrStrategy,
    /// What happens where a person changed more than GUARD proposed before merging it. Other versions than the proposed
    /// ones always stop the run.
    pub on_edited_merge_request: OnEdited,
    /// How long a merge request may wait for a person, hours.
    pub merge_timeout_hours: u32,
    /// Flux is asked to look at once after a merge (`reconcile.fluxcd.io/requestedAt`), instead of at its next interval.
    pub nudge_flux: bool,
    /// How long the new istiod is watched before any proxy is restarted, minutes, 5 to 240: its memory is read in points of
    /// five minutes. What is wrong in the end has as long again to become right.
    pub control_plane_watch_minutes: u32,
    /// How long the restarts of one cluster may take, minutes.
    pub restart_timeout_minutes: u32,
    /// How long a pod takes from its end to its successor's being ready, seconds, 1 to 3600: for predicting how long the
    /// restarts take.
    pub restart_seconds_per_pod: u32,
    /// How long the first workloads, one of each shape, are watched before the others are restarted, minutes, 0 to 240.
    pub canary_watch_minutes: u32,
    /// How long a restarted workload may come no further, minutes: no pod of it made or ready. Then the restarts stop.
    pub restart_stuck_minutes: u32,
    /// Workloads of one cluster restarted at the same time, after the first ones.
    pub max_unavailable_workloads: u32,
    /// Of these, in one namespace.
    pub max_unavailable_workloads_per_namespace: u32,
    /// Pods of one cluster that restarts may take away at the same time.
    pub max_unavailable_pods: u32,
    /// Of these, in one namespace.
    pub max_unavailable_pods_per_namespace: u32,
    /// Proxies that must be at the new version in the end, percent of those that GUARD restarts. Those beyond are told.
    pub min_proxies_at_target_percent: u32,
    /// Time between two looks at the soak, minutes.
    pub soak_look_minutes: u32,
    /// How long the judge may wait for missing data after the soak, minutes.
    pub soak_data_grace_minutes: u32,
    /// By how much the soak is extended when it cannot be judged at its end, minutes.
    pub soak_extension_minutes: u32,
    /// How often it is extended before a person is asked.
    pub soak_extensions_max: u32,
    /// How long a person may take to answer a question, hours.
    pub decision_timeout_hours: u32,
    /// Clusters of a batch that may fail their pre-check and be left out, each for a cause of its own: the same cause in
    /// two of them stops the batch, and so does one more. A later batch that waits for this one waits for them too.
    pub pre_check_failure_budget: u32,
    /// How long each part of a cluster may take to be read, seconds. One that takes longer is not known; the others are.
    pub cluster_read_seconds: u32,
    /// What happens where `istioctl analyze` gave no answer.
    pub analyzer_unknown: OnUnknown,
    /// Errors of `istioctl analyze` that stop no upgrade of this fleet, with a reason.
    pub analyzer_accepted: Vec<AcceptedMessage>,
    /// A version range, or no version, in a Flux file is pinned by the upgrade. Without it such files are refused: Flux
    /// upgrades them by itself.
    pub pin_ranges: bool,
    /// The umbrella chart `ambient` may be upgraded, which moves base, istiod, cni and ztunnel at once.
    pub allow_umbrella_chart: bool,
    /// What happens where a target of 1.31 or later needs new chart hosts and the repository is not among a cluster's
    /// files. `warn` says that it was moved already.
    pub repositories_elsewhere: OnUnknown,
    /// Times in which nothing starts: `{from, to, reason}` once, `{cron, minutes, time_zone, reason}` again and again.
    pub freeze_windows: Vec<FreezeWindow>,
    /// Kubernetes minor lines allowed for an Istio minor line beyond the built-in table, with a reason.
    pub kubernetes_overrides: Vec<KubernetesOverride>,
}

impl PolicyConfig {
    /// [`Self::cluster_read_seconds`].
    pub fn cluster_read(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.cluster_read_seconds.into())
    }

    /// What types alone cannot check: hands each rule, whether it is kept, its field and what is wrong to `check`.
    pub(super) fn check(&self, check: &mut dyn FnMut(bool, &'static str, String)) {
        let whole: [(&'static str, u32, RangeInclusive<u32>); 20] = [
            ("policy.merge_timeout_hours", self.merge_timeout_hours, MINUTES),
            ("policy.restart_timeout_minutes", self.restart_timeout_minutes, MINUTES),
            ("policy.restart_stuck_minutes", self.restart_stuck_minutes, MINUTES),
            ("policy.max_unavailable_workloads", self.max_unavailable_workloads, MINUTES),
            (
                "policy.max_unavailable_workloads_per_namespace",
                self.max_unavailable_workloads_per_namespace,
                MINUTES,
            ),
            ("policy.max_unavailable_pods", self.max_unavailable_pods, MINUTES),
            ("policy.max_unavailable_pods_per_namespace", self.max_unavailable_pods_per_namespace, MINUTES),
            ("policy.soak_look_minutes", self.soak_look_minutes, MINUTES),
            ("policy.soak_extension_minutes", self.soak_extension_minutes, MINUTES),
            ("policy.decision_timeout_hours", self.decision_timeout_hours, MINUTES),
            ("policy.control_plane_watch_minutes", self.control_plane_watch_minutes, 5..=240),
            ("policy.canary_watch_minutes", self.canary_watch_minutes, 0..=240),
            ("policy.nodes_not_ready_percent_max", self.nodes_not_ready_percent_max, 0..=50),
            ("policy.nodes_cordoned_percent_max", self.nodes_cordoned_percent_max, 0..=100),
            ("policy.istiod_memory_left_percent_min", self.istiod_memory_left_percent_min, 0..=90),
            ("policy.node_memory_left_percent_min", self.node_memory_left_percent_min, 0..=90),
            ("policy.restart_seconds_per_pod", self.restart_seconds_per_pod, 1..=3_600),
            ("policy.min_proxies_at_target_percent", self.min_proxies_at_target_percent, 1..=100),
            ("policy.soak_extensions_max", self.soak_extensions_max, 0..=20),
            ("policy.soak_data_grace_minutes", self.soak_data_grace_minutes, 0..=43_200),
        ];
        for (field, value, sound) in whole {
            let problem = format!("{value} is not between {} and {}", sound.start(), sound.end());
            check(sound.contains(&value), field, problem);
        }
        let read = self.cluster_read_seconds;
        check(
            (5..=90).contains(&read),
            "policy.cluster_read_seconds",
            format!(
                "{read} is not between 5 and 90: a look has two steps, and a function less than five minutes"
            ),
        );
        for (window, n) in self.freeze_windows.iter().zip(0..) {
            let problem = window.problem().unwrap_or_default();
            check(problem.is_empty(), "policy.freeze_windows", format!("[{n}]: {problem}"));
        }
    }
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            nodes_not_ready_percent_max: 5,
            nodes_cordoned_percent_max: 20,
            istiod_memory_left_percent_min: 30,
            node_memory_left_percent_min: 10,
            allow_pre_release: false,
            rollback_scope: RollbackScope::Failed,
            mr_strategy: MrStrategy::Batch,
            on_edited_merge_request: OnEdited::Stop,
            merge_timeout_hours: 72,
            nudge_flux: false,
            control_plane_watch_minutes: 5,
            restart_timeout_minutes: 120,
            restart_seconds_per_pod: 45,
            canary_watch_minutes: 2,
            restart_stuck_minutes: 10,
            max_unavailable_workloads: 5,
            max_unavailable_workloads_per_namespace: 3,
            max_unavailable_pods: 20,
            max_unavailable_pods_per_namespace: 10,
            min_proxies_at_target_percent: 100,
            soak_look_minutes: 5,
            soak_data_grace_minutes: 60,
            soak_extension_minutes: 60,
            soak_extensions_max: 3,
            decision_timeout_hours: 72,
            pre_check_failure_budget: 0,
            cluster_read_seconds: 60,
            analyzer_unknown: OnUnknown::Warn,
            analyzer_accepted: Vec::new(),
            pin_ranges: false,
            allow_umbrella_chart: false,
            repositories_elsewhere: OnUnknown::Stop,
            freeze_windows: Vec::new(),
            kubernetes_overrides: Vec::new(),
        }
    }
}

/// A Kubernetes line allowed on the fleet's own responsibility.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesOverride {
    /// Istio line, `1.30`.
    pub istio: String,
    /// Kubernetes line, `1.31`.
    pub kubernetes: String,
    /// Why this is fine.
    pub reason: String,
}

/// A message of `istioctl analyze` that this fleet lives with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptedMessage {
    /// Istio's code, `IST0101`.
    pub code: String,
    /// The object as the analyzer names it, `VirtualService shop/web`; a `*` at the end stands for any ending. Without
    /// it, every object.
    pub origin: Option<String>,
    /// Why this is fine.
    pub reason: String,
}

impl AcceptedMessage {
    /// Is a message of this code about this object meant?
    pub fn covers(&self, code: &str, origin: &str) -> bool {
        self.code == code
            && self.origin.as_deref().is_none_or(|meant| match meant.strip_suffix('*') {
                Some(start) => origin.starts_with(start),
                None => origin == meant,
            })
    }
}
