//! One workload: what it runs, how it replaces its pods, what protects them.

use super::NodeFamily;

/// The kinds of workload that own pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// apps/v1 Deployment.
    Deployment,
    /// apps/v1 StatefulSet.
    StatefulSet,
    /// apps/v1 DaemonSet.
    DaemonSet,
}

impl WorkloadKind {
    /// The kind as Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }
}

/// Pods, or a share of those that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So many.
    Pods(u32),
    /// So many of a hundred.
    Percent(u32),
}

impl From<u32> for Amount {
    fn from(pods: u32) -> Self {
        Self::Pods(pods)
    }
}

impl Amount {
    /// How many pods that is, a broken one counted whole.
    pub(crate) fn up(self, of: usize) -> usize {
        match self {
            Self::Pods(pods) => pods as usize,
            Self::Percent(percent) => (percent as usize * of).div_ceil(100),
        }
    }

    /// The same, a broken one left out.
    pub(crate) fn down(self, of: usize) -> usize {
        match self {
            Self::Pods(pods) => pods as usize,
            Self::Percent(percent) => percent as usize * of / 100,
        }
    }

    /// As Kubernetes writes it: a number, or a text such as `25%`.
    pub(crate) fn json(self) -> serde_json::Value {
        match self {
            Self::Pods(pods) => pods.into(),
            Self::Percent(percent) => format!("{percent}%").into(),
        }
    }
}

/// How a workload replaces its pods when its template changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// One after the other: an application takes one away and makes its successor, istiod and gateways make one more first.
    Usual,
    /// `RollingUpdate`. A StatefulSet knows no surge.
    Rolling {
        /// The most pods that may be missing.
        max_unavailable: Amount,
        /// The most pods beyond those that are wanted.
        max_surge: Amount,
    },
    /// `Recreate`, of a Deployment: all old ones go before the first new one comes.
    Recreate,
    /// `OnDelete`, of a StatefulSet or a DaemonSet: nothing goes by itself, and what is deleted comes back new.
    OnDelete,
}

/// The PodDisruptionBudget of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// One pod may be missing, where there are several and it is no DaemonSet.
    Usual,
    /// It has none.
    None,
    /// `spec.minAvailable`.
    MinAvailable(Amount),
    /// `spec.maxUnavailable`.
    MaxUnavailable(Amount),
}

/// One workload at its start.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own, as in the objects")]
pub struct WorkloadSpec {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: WorkloadKind,
    /// How many pods it wants.
    pub replicas: u32,
    /// Whether the sidecar sits in `initContainers` with `restartPolicy: Always`.
    pub native_sidecar: bool,
    /// Whether its namespace is labelled for injection.
    pub injected: bool,
    /// Whether its pods use the host's network, which Istio never injects.
    pub host_network: bool,
    /// How it replaces its pods.
    pub strategy: Strategy,
    /// `spec.updateStrategy.rollingUpdate.partition` of a StatefulSet: pods with a lower ordinal stay as they are.
    pub partition: u32,
    /// `spec.paused` of a Deployment: a new template waits.
    pub paused: bool,
    /// What protects its pods from eviction.
    pub budget: Budget,
    /// The only nodes that its pods go to.
    pub nodes: Option<NodeFamily>,
    /// How long a pod takes to become ready; ten to twenty seconds without.
    pub start_seconds: Option<u32>,
    /// `spec.progressDeadlineSeconds` of a Deployment.
    pub progress_deadline_seconds: u32,
}

impl WorkloadSpec {
    /// An injected workload with a classic sidecar.
    pub fn new(namespace: &str, name: &str, kind: WorkloadKind, replicas: u32) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            kind,
            replicas,
            native_sidecar: false,
            injected: true,
            host_network: false,
            strategy: Strategy::Usual,
            partition: 0,
            paused: false,
            budget: Budget::Usual,
            nodes: None,
            start_seconds: None,
            progress_deadline_seconds: 600,
        }
    }

    /// The same with a native sidecar.
    #[must_use]
    pub fn with_native_sidecar(mut self) -> Self {
        self.native_sidecar = true;
        self
    }

    /// The same in a namespace without injection.
    #[must_use]
    pub fn outside_the_mesh(mut self) -> Self {
        self.injected = false;
        self
    }

    /// The same on the host's network.
    #[must_use]
    pub fn on_host_network(mut self) -> Self {
        self.host_network = true;
        self
    }

    /// The same that replaces its pods otherwise.
    #[must_use]
    pub fn replaced_by(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// The same with a rolling update of these limits.
    #[must_use]
    pub fn rolling(self, max_unavailable: impl Into<Amount>, max_surge: impl Into<Amount>) -> Self {
        let (max_unavailable, max_surge) = (max_unavailable.into(), max_surge.into());
        self.replaced_by(Strategy::Rolling { max_unavailable, max_surge })
    }

    /// The same StatefulSet of which only pods from this ordinal on are updated.
    #[must_use]
    pub fn with_partition(mut self, ordinal: u32) -> Self {
        self.partition = ordinal;
        self
    }

    /// The same Deployment, paused.
    #[must_use]
    pub fn paused(mut self) -> Self {
        self.paused = true;
        self
    }

    /// The same with this budget, or none.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// The same on nodes of one family.
    #[must_use]
    pub fn on_nodes(mut self, family: NodeFamily) -> Self {
        self.nodes = Some(family);
        self
    }

    /// The same whose pods take so long to become ready.
    #[must_use]
    pub fn starting_in(mut self, seconds: u32) -> Self {
        self.start_seconds = Some(seconds);
        self
    }

    /// The same Deployment that is called stuck after so long without progress.
    #[must_use]
    pub fn with_progress_deadline(mut self, seconds: u32) -> Self {
        self.progress_deadline_seconds = seconds;
        self
    }
}
