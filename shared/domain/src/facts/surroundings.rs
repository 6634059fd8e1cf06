//! What stands around the mesh and decides how a change of it goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::selector::{LabelSelector, Operator};

/// A pod of the cluster itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFacts {
    /// `namespace/name`.
    pub name: String,
    /// Condition Ready is True.
    pub is_ready: bool,
}

/// A CustomResourceDefinition of Istio or of the Gateway API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionFacts {
    /// `virtualservices.networking.istio.io`.
    pub name: String,
    /// `networking.istio.io`.
    pub group: String,
    /// It has the label and both annotations by which Helm takes it for a release's own.
    pub is_helms: bool,
    /// `spec.versions`, by name.
    pub versions: Vec<String>,
    /// `status.storedVersions`.
    pub stored: Vec<String>,
    /// Annotation `gateway.networking.k8s.io/bundle-version`, for example `v1.4.1`.
    pub gateway_api: Option<String>,
}

/// A webhook configuration of Istio's, and the service it calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookFacts {
    /// Kind and name, for example `MutatingWebhookConfiguration istio-sidecar-injector`.
    pub configuration: String,
    /// `namespace/name` of the service.
    pub service: String,
    /// Every webhook in it has a CA bundle.
    pub has_ca: bool,
    /// Endpoints of the service that are ready.
    pub ready_endpoints: u32,
}

/// A PodDisruptionBudget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetFacts {
    /// Its namespace: it covers pods of no other.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `spec.selector`.
    pub selector: LabelSelector,
    /// `status.disruptionsAllowed`: pods that may be evicted now. `None` where its controller has not counted yet.
    pub disruptions_allowed: Option<u32>,
}

impl BudgetFacts {
    /// Does it select pods with this label, whatever other labels they need?
    pub fn covers(&self, label: &str, value: &str) -> bool {
        self.selector.labels.get(label).is_some_and(|wanted| wanted == value)
            || self.selector.expressions.iter().any(|one| {
                one.key == label
                    && one.operator == Operator::In
                    && one.values.iter().any(|wanted| wanted == value)
            })
    }

    /// Does it cover pods with these labels in this namespace?
    pub fn selects(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        self.namespace == namespace && self.selector.selects(labels)
    }
}

impl std::fmt::Display for BudgetFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// An EnvoyFilter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvoyFilterFacts {
    /// `namespace/name`.
    pub name: String,
    /// Every `match.proxy.proxyVersion` of its patches, a regular expression each.
    pub proxy_versions: Vec<String>,
}

/// What a namespace says about injection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// Label `istio-injection`.
    pub injection: Option<String>,
    /// Label `istio.io/rev`.
    pub revision: Option<String>,
}

impl NamespaceFacts {
    /// Does a new pod get a proxy? `asks` is the pod's own `sidecar.istio.io/inject`. The rules are those of the chart's
    /// mutatingwebhook.yaml: `istio-injection` goes before a revision, and a namespace that says either way is not
    /// overruled by the pod but with "false".
    pub fn injects(&self, asks: Option<&str>, pod_has_revision: bool) -> bool {
        let refuses = asks == Some("false");
        match (self.injection.as_deref(), self.revision.is_some()) {
            (Some("enabled"), _) | (None, true) => !refuses,
            (Some(_), _) => false,
            (None, false) => asks == Some("true") || (pod_has_revision && !refuses),
        }
    }
}

/// What the pod template of a workload says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of the object, and any may be true with any"
)]
pub struct TemplateFacts {
    /// Changed templates replace no pod: the update strategy is OnDelete.
    pub is_on_delete: bool,
    /// Its rollouts are paused (`spec.paused` of a Deployment): a changed template replaces no pod until somebody resumes them.
    pub is_paused: bool,
    /// Pods of a StatefulSet with an ordinal below this keep the old template (`rollingUpdate.partition`).
    pub partition: u32,
    /// `sidecar.istio.io/inject`, as a label or else as an annotation.
    pub asks: Option<String>,
    /// It has a label `istio.io/rev`.
    pub has_revision: bool,
    /// A container `istio-proxy` with an image of its own stands in it: injected by hand, once and for all.
    pub has_own_proxy: bool,
    /// Labels of its pods.
    pub labels: BTreeMap<String, String>,
    /// How its pods are replaced.
    pub rolling: Rolling,
}

/// How a changed template replaces pods, in pods: shares are resolved as Kubernetes does it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling {
    /// Pods that may be missing meanwhile (`maxUnavailable`); all of them with strategy Recreate.
    pub unavailable: u32,
    /// Pods that may be there beyond the wanted ones (`maxSurge`).
    pub surge: u32,
}

impl Rolling {
    /// Pods replaced at the same time; at least one, or nothing would go on.
    pub fn width(self) -> u32 {
        self.unavailable.saturating_add(self.surge).max(1)
    }
}
