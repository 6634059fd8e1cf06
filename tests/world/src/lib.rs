//! A simulated GitLab, Datadog, STS, EKS, Kubernetes, Flux and istiod, a chat room and a pager.
//!
//! One [`World`] holds them all, with one clock. [`World::handle`] answers a request as the real host would,
//! at the world's time; [`World::advance_to`] lets time pass and everything happen that is due: Flux fetches and
//! applies, Helm upgrades, pods restart, a person merges. The same [`WorldSpec`] and the same calls give the same
//! answers, whatever the real time is.
//!
//! ```
//! use bytes::Bytes;
//! use guard_world::{World, WorldSpec};
//!
//! let world = World::new(WorldSpec::healthy(2, "1.30.1"));
//! let request = http::Request::get("https://gitlab.example.com/api/v4/projects/platform%2Ffleet")
//!     .header("PRIVATE-TOKEN", "glpat-world")
//!     .body(Bytes::new())?;
//! assert_eq!(world.handle(request).status(), 200);
//! # Ok::<(), http::Error>(())
//! ```

mod aws;
mod by_reference;
mod call;
mod certificate;
mod chance;
mod cluster;
mod conditions;
mod controllers;
mod datadog;
mod flux;
mod flux_troubles;
mod git;
mod gitlab;
mod kubeconfig;
mod kubernetes;
mod levers;
mod managers;
mod measures;
mod people;
mod rollout;
mod rollout_levers;
mod serve;
mod spec;
mod state;
#[cfg(test)]
mod tests;
mod trouble;
mod view;
mod workload;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;

use crate::call::Call;
use crate::state::State;
pub use by_reference::istio_files_by_reference;
pub use cluster::{Grant, Injector};
pub use flux_troubles::{ChartTrouble, FluxStrips};
pub use levers::Regression;
pub use measures::{Disturbance, Eviction, Roll, WorstMoments};
pub use people::{ReceivedEvent, ReceivedMessage};
pub use serve::{Pace, Served, serve};
pub use spec::{
    Amount, Answer, Budget, ClusterSpec, NodeFamily, NodeGroup, Person, Strategy, WorkloadKind, WorkloadSpec,
    WorldSpec, istio_files,
};
pub use trouble::Trouble;
pub use view::{ClusterView, FileDiff, MergeRequestView, RequestLog, System, Traffic, WorkloadView};

/// The outside world. Clones share it.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("World").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl World {
    /// Makes a world at rest: every cluster runs what its files ask for.
    pub fn new(spec: WorldSpec) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(spec))) }
    }

    /// Another world that stands where this one does, and goes on by itself.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { state: Arc::new(Mutex::new(self.state().clone())) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world's time.
    pub fn now(&self) -> Timestamp {
        self.state().now
    }

    /// When something next happens by itself, if nobody asks for anything.
    pub fn next_event(&self) -> Option<Timestamp> {
        self.state().next_event()
    }

    /// Lets time pass until `time`, and everything happen that is due. Time never goes back.
    pub fn advance_to(&self, time: Timestamp) {
        self.state().advance_to(time);
    }

    /// The certificate of the authority that signs the API servers' certificates.
    pub fn ca_pem(&self) -> String {
        self.state().authority.pem()
    }

    /// Answers a request as the host in its URI would, at the world's time.
    pub fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let call = Call::read(request);
        let state = &mut *self.state();
        let system = system_of(state, &call.host);
        let answer = match state.outage_of(&system) {
            Some(status) => call::text(status, "upstream connect error or disconnect/reset before headers\n"),
            None => match &system {
                System::GitLab => gitlab::handle(state, &call),
                System::Datadog => datadog::handle(state, &call),
                System::Sts => aws::sts::handle(state, &call),
                System::Eks => aws::eks::handle(state, &call),
                System::Slack => people::slack(state, &call),
                System::PagerDuty => people::pagerduty(state, &call),
                System::Kubernetes(cluster) => kubernetes::handle(state, &call, cluster),
                System::Unknown => call::text(502, format!("no such host in this world: {}\n", call.host)),
            },
        };
        record(state, &call, system, &answer);
        answer
    }
}

/// Whose host a request names.
fn system_of(state: &State, host: &str) -> System {
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let region = &state.spec.region;
    if host == "gitlab.example.com" {
        System::GitLab
    } else if host == "api.datadoghq.com" {
        System::Datadog
    } else if host == format!("sts.{region}.amazonaws.com") {
        System::Sts
    } else if host == format!("eks.{region}.amazonaws.com") {
        System::Eks
    } else if host == "events.pagerduty.com" {
        System::PagerDuty
    } else if people::is_webhook(state, &host) {
        System::Slack
    } else {
        let mut clusters = state.clusters.iter();
        let own = |hex_id: &str| aws::eks::host(hex_id, region).eq_ignore_ascii_case(&host);
        clusters
            .find(|(_, one)| own(&one.hex_id))
            .map_or(System::Unknown, |(id, _)| System::Kubernetes(id.clone()))
    }
}

fn record(state: &mut State, call: &Call, system: System, answer: &Response<Bytes>) {
    let query: Vec<String> = call.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let path =
        if query.is_empty() { call.path.clone() } else { format!("{}?{}", call.path, query.join("&")) };
    let traffic = state.traffic.entry(system.clone()).or_default();
    traffic.calls += 1;
    traffic.bytes_in += call.body.len() as u64;
    traffic.bytes_out += answer.body().len() as u64;
    traffic.bytes_on_the_wire += answer.body().len() as u64;
    state.log.push(RequestLog {
        at: state.now,
        system,
        host: call.host.clone(),
        method: call.method.to_string(),
        path,
        status: answer.status().as_u16(),
    });
}
