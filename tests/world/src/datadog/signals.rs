//! What bends the metrics: regressions, silences, a shock that all clusters share.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::Monitor;

/// A regression that a version brings, from the moment the lever was pulled.
#[derive(Debug, Clone)]
pub(crate) struct ActiveRegression {
    pub(crate) cluster: String,
    pub(crate) since: Timestamp,
    pub(crate) from_version: String,
    pub(crate) error_factor: f64,
    pub(crate) latency_factor: f64,
}

/// A stretch of time without data; `None` as the cluster means all of them.
#[derive(Debug, Clone)]
pub(crate) struct Silence {
    pub(crate) cluster: Option<String>,
    pub(crate) from: Timestamp,
    pub(crate) until: Option<Timestamp>,
}

/// Factors that hold for every cluster from a moment on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shock {
    pub(crate) since: Timestamp,
    pub(crate) error_factor: f64,
    pub(crate) latency_factor: f64,
}

/// Values of one series, by the second at which their step begins.
pub(super) type Steps = HashMap<i64, Option<f64>>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    pub(crate) regressions: Vec<ActiveRegression>,
    pub(crate) silences: Vec<Silence>,
    pub(crate) shocks: Vec<Shock>,
    pub(crate) monitors: Vec<Monitor>,
    pub(crate) events: Vec<(Timestamp, String)>,
    /// Values of steps that are over, by series. The past does not change, but by a lever, which forgets them.
    memory: RefCell<HashMap<String, Steps>>,
    /// Requests of the running rate-limit period, by vendor.
    periods: BTreeMap<&'static str, (i64, u64)>,
}

impl Signals {
    /// Counts a request into its vendor's period and says how many there were.
    pub(crate) fn requests_in_period(&mut self, vendor: &'static str, period: i64) -> u64 {
        let entry = self.periods.entry(vendor).or_default();
        if entry.0 != period {
            *entry = (period, 0);
        }
        entry.1 += 1;
        entry.1
    }

    /// What is known of a series. Whoever takes it puts it back.
    pub(super) fn remembered(&self, series: &str) -> Steps {
        self.memory.borrow_mut().remove(series).unwrap_or_default()
    }

    pub(super) fn remember(&self, series: String, steps: Steps) {
        self.memory.borrow_mut().insert(series, steps);
    }

    /// A lever bent what may have been remembered.
    pub(crate) fn forget(&mut self) {
        self.memory.get_mut().clear();
    }

    pub(crate) fn silent(&self, cluster: &str, at: Timestamp) -> bool {
        self.silences.iter().any(|silence| {
            silence.cluster.as_deref().is_none_or(|one| one == cluster)
                && silence.from <= at
                && silence.until.is_none_or(|until| at < until)
        })
    }

    /// The shared factors at a moment: errors, latency.
    pub(crate) fn shock_at(&self, at: Timestamp) -> (f64, f64) {
        let last = self.shocks.iter().rev().find(|shock| shock.since <= at);
        last.map_or((1.0, 1.0), |shock| (shock.error_factor, shock.latency_factor))
    }
}
