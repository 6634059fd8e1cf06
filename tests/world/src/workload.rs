//! A workload and its pods. How they are replaced: [`crate::rollout`].

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::chance;
use crate::managers::{Field, Managers, Place};
use crate::spec::{NodeFamily, Strategy, WorkloadKind, WorkloadSpec};
use crate::trouble::{CreateFailures, Stall, Trouble};

/// What a workload is to the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The control plane: its own image carries the version.
    Istiod,
    /// A gateway of the gateway chart: image `auto`, filled in at injection.
    Gateway,
    /// An application, injected by its namespace's label.
    Application,
    /// An application on the host's network, which is never injected.
    HostNetwork,
    /// An application in a namespace without injection.
    Outside,
}

/// A workload's place: kind, namespace, name.
pub(crate) type Key = (WorkloadKind, String, String);

#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) name: String,
    /// The hash of the template it was made from.
    pub(crate) hash: String,
    /// The sidecar's version, when it has one.
    pub(crate) proxy: Option<String>,
    /// istiod's own version, when it is istiod.
    pub(crate) version: String,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) node: usize,
    pub(crate) created: Timestamp,
    /// When it becomes ready if nothing holds it.
    pub(crate) ready_at: Timestamp,
    pub(crate) ready: bool,
    /// When it became ready.
    pub(crate) ready_since: Timestamp,
    pub(crate) number: u64,
    pub(crate) resource_version: u64,
}

/// A pod template, as far as it differs from one moment to another.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Template {
    pub(crate) hash: String,
    /// The chart version of istiod or of a gateway; empty for applications.
    pub(crate) version: String,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) key: Key,
    pub(crate) role: Role,
    /// What it was made from. Its place, its replicas and its pause are below, since they change or are asked for often.
    pub(crate) spec: WorkloadSpec,
    pub(crate) replicas: usize,
    pub(crate) paused: bool,
    /// The chart version of istiod or of a gateway; empty for applications.
    pub(crate) version: String,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) template_annotations: BTreeMap<String, String>,
    pub(crate) managers: Managers,
    pub(crate) generation: u64,
    pub(crate) observed_generation: u64,
    /// The last template that was rolled out fully.
    pub(crate) settled: Template,
    /// A new template is on its way to the pods.
    pub(crate) rolling: bool,
    /// Its next step is planned.
    pub(crate) driven: bool,
    pub(crate) rollouts: u32,
    pub(crate) pods: Vec<Pod>,
    pub(crate) made: u64,
    pub(crate) created: Timestamp,
    pub(crate) changed: Timestamp,
    /// When a pod last came, went or became ready, or a roll began.
    pub(crate) progressed: Timestamp,
    pub(crate) resource_version: u64,
    /// Why pods of it do not become ready.
    pub(crate) stall: Option<Stall>,
    /// Pods that could not be made.
    pub(crate) create_failures: Option<CreateFailures>,
}

/// What one step of a rolling restart needs to know about the cluster around it.
pub(crate) struct Surroundings<'a> {
    pub(crate) seed: u64,
    pub(crate) cluster_id: &'a str,
    pub(crate) now: Timestamp,
    /// The version that the injector would give a pod made now; `None` while no istiod is ready.
    pub(crate) injected: Option<String>,
    /// istiod's versions allowed to become ready: `None` means any.
    pub(crate) only_istiod: Option<&'a str>,
    pub(crate) resource_version: u64,
    /// Each node's family.
    pub(crate) nodes: &'a [NodeFamily],
}

impl Workload {
    /// A workload without pods.
    pub(crate) fn new(
        spec: &WorkloadSpec,
        role: Role,
        version: &str,
        now: Timestamp,
        resource_version: u64,
    ) -> Self {
        Self {
            key: (spec.kind, spec.namespace.clone(), spec.name.clone()),
            role,
            spec: spec.clone(),
            replicas: spec.replicas as usize,
            paused: spec.paused,
            version: version.to_owned(),
            annotations: BTreeMap::new(),
            template_annotations: BTreeMap::new(),
            managers: Managers::default(),
            generation: 1,
            observed_generation: 1,
            settled: Template::default(),
            rolling: false,
            driven: false,
            rollouts: 0,
            pods: Vec::new(),
            made: 0,
            created: now,
            changed: now,
            progressed: now,
            resource_version,
            stall: None,
            create_failures: None,
        }
    }

    pub(crate) fn kind(&self) -> WorkloadKind {
        self.key.0
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.key.1
    }

    pub(crate) fn name(&self) -> &str {
        &self.key.2
    }

    /// Whether its pods get a sidecar (or are one, for a gateway).
    pub(crate) fn in_mesh(&self) -> bool {
        matches!(self.role, Role::Application | Role::Gateway)
    }

    /// Whether it is one that GUARD may restart: neither istiod nor a gateway, which their charts roll.
    pub(crate) fn is_application(&self) -> bool {
        !matches!(self.role, Role::Istiod | Role::Gateway)
    }

    /// The hash of its pod template: equal templates have equal hashes, so a change back finds the old pods current.
    pub(crate) fn template_hash(&self) -> String {
        let annotations = format!("{:?}", self.template_annotations);
        chance::suffix(0, &[self.namespace(), self.name(), &self.version, &annotations], 10)
    }

    /// Its pod template now.
    pub(crate) fn template(&self) -> Template {
        Template {
            hash: self.template_hash(),
            version: self.version.clone(),
            annotations: self.template_annotations.clone(),
        }
    }

    /// The value of an annotation.
    pub(crate) fn annotation(&self, (place, name): &Field) -> Option<&str> {
        let annotations = match place {
            Place::Metadata => &self.annotations,
            Place::Template => &self.template_annotations,
        };
        annotations.get(name).map(String::as_str)
    }

    /// Sets an annotation, or takes it away; `true` when that changes anything. Whoever changes the template does it
    /// within [`crate::cluster::Cluster::retemplate`].
    pub(crate) fn set_annotation(&mut self, (place, name): &Field, value: Option<&str>) -> bool {
        let annotations = match place {
            Place::Metadata => &mut self.annotations,
            Place::Template => &mut self.template_annotations,
        };
        let before = match value {
            Some(value) => annotations.insert(name.clone(), value.to_owned()),
            None => annotations.remove(name),
        };
        before.as_deref() != value
    }

    pub(crate) fn ready(&self) -> usize {
        self.pods.iter().filter(|pod| pod.ready).count()
    }

    pub(crate) fn updated(&self) -> usize {
        let hash = self.template_hash();
        self.pods.iter().filter(|pod| pod.hash == hash).count()
    }

    /// How many of its pods are missing or not ready.
    pub(crate) fn unavailable(&self) -> usize {
        self.replicas.saturating_sub(self.ready())
    }

    /// Whether every wanted pod is ready and no roll is under way.
    pub(crate) fn settled(&self) -> bool {
        !self.rolling && self.observed_generation == self.generation && self.ready() == self.replicas
    }

    /// A new template goes to its pods by itself.
    pub(crate) fn rolls_by_itself(&self) -> bool {
        !self.paused && self.spec.strategy != Strategy::OnDelete
    }

    /// What keeps a pod from becoming ready. istiod's pods are held by their version, others by their proxy's.
    pub(crate) fn trouble_of(&self, pod: &Pod, only_istiod: Option<&str>) -> Option<Trouble> {
        let stall = self.stall.as_ref();
        let is_held = match self.role {
            _ if pod.ready => false,
            Role::Istiod => only_istiod.is_some_and(|good| good != pod.version),
            _ => stall.is_some_and(|stall| stall.holds(pod.proxy.as_deref())),
        };
        is_held.then(|| stall.map_or(Trouble::NotReady, |stall| stall.trouble))
    }
}
