//! istioctl, simulated: which one is installed, and what it says of each cluster.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use guard_asl::VirtualClock;
use guard_domain::analyzer::{Analysis, AtHand, Message};
use guard_domain::{ClusterRecord, IstioVersion};
use guard_tasks::{ConfigurationAnalyzer, TaskError};
use jiff::Timestamp;

use crate::faults::Faults;

/// As the real adapter waits.
const TIMEOUT: Duration = Duration::from_secs(90);

/// What a test installs and lets it say.
#[derive(Debug, Clone, Default)]
pub struct Analyzer(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    installed: Option<IstioVersion>,
    said: BTreeMap<String, Vec<(Timestamp, Message)>>,
    /// Clusters of which it says nothing, from then on, and why.
    silent: BTreeMap<String, (Timestamp, String)>,
}

impl Analyzer {
    /// Another one that says the same, until somebody changes either.
    pub(crate) fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    /// From now on this version is there.
    pub fn install(&self, version: IstioVersion) {
        self.state().installed = Some(version);
    }

    /// From this moment on it says this of a cluster.
    pub fn says(&self, cluster: &str, from: Timestamp, message: Message) {
        self.state().said.entry(cluster.to_owned()).or_default().push((from, message));
    }

    /// From this moment on it gives no answer about a cluster.
    pub fn falls_silent(&self, cluster: &str, from: Timestamp, why: &str) {
        self.state().silent.insert(cluster.to_owned(), (from, why.to_owned()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn analysis(&self, cluster: &str, now: Timestamp) -> Analysis {
        let state = self.state();
        if let Some((_, why)) = state.silent.get(cluster).filter(|(from, _)| *from <= now) {
            return Analysis::Nothing(why.clone());
        }
        let said = state.said.get(cluster).into_iter().flatten();
        let messages = said.filter(|(from, _)| *from <= now).map(|(_, message)| message.clone()).collect();
        Analysis::Said { messages, gap: None }
    }
}

/// It as the port.
pub(crate) struct LocalAnalyzer {
    pub(crate) state: Analyzer,
    pub(crate) clock: VirtualClock,
    pub(crate) faults: Arc<Faults>,
}

#[async_trait]
impl ConfigurationAnalyzer for LocalAnalyzer {
    async fn at_hand(&self) -> AtHand {
        match self.state.state().installed.clone() {
            Some(version) => AtHand::Version(version),
            None => AtHand::Nothing("/opt/bin/istioctl".to_owned()),
        }
    }

    async fn analyze(&self, cluster: &ClusterRecord) -> Result<Analysis, TaskError> {
        let id = cluster.cluster_id.as_str();
        let look =
            || -> BoxFuture<'_, Analysis> { Box::pin(ready(self.state.analysis(id, self.clock.now()))) };
        Ok(self.faults.call("istioctl", format!("analyze {id}"), TIMEOUT, look).await?)
    }
}
