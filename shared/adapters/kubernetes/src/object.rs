//! What objects of every kind have, as far as anything here looks at it. The types of k8s-openapi hold every field that
//! there is, and of a list nearly half is who wrote which field (`managedFields`), kept as trees.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::list::or_default;

/// Names and values of labels or annotations.
pub(crate) type Texts = BTreeMap<String, String>;

/// `metadata`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) namespace: String,
    pub(crate) uid: Option<String>,
    pub(crate) generation: Option<i64>,
    pub(crate) creation_timestamp: Option<String>,
    pub(crate) deletion_timestamp: Option<IgnoredAny>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) labels: Texts,
    #[serde(deserialize_with = "or_default")]
    pub(crate) annotations: Texts,
    #[serde(deserialize_with = "or_default")]
    owner_references: Vec<Owner>,
}

/// What an object belongs to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Owner {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    controller: Option<bool>,
}

/// An object of which nothing but the metadata is looked at.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    #[serde(default)]
    pub(crate) metadata: Metadata,
}

/// An element of `status.conditions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusCondition {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) reason: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) message: String,
    last_transition_time: Option<String>,
}

impl StatusCondition {
    /// It has this type and this status.
    pub(crate) fn is(&self, kind: &str, status: &str) -> bool {
        self.kind == kind && self.status == status
    }

    /// Since when it says so.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.last_transition_time.as_deref().and_then(time)
    }
}

/// A moment as Kubernetes writes it; one that cannot be read is not known.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

impl Metadata {
    /// `namespace/name`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The one owner that makes and deletes it.
    pub(crate) fn controller(&self) -> Option<&Owner> {
        self.owner_references.iter().find(|owner| owner.controller == Some(true))
    }
}

impl Owner {
    /// The group counts: other projects have a `StatefulSet` and a `DaemonSet` too.
    pub(crate) fn is_apps(&self, kind: &str) -> bool {
        self.kind == kind && self.api_version.starts_with("apps/")
    }
}

/// Condition Ready is True; what is not told is not ready.
pub(crate) fn is_ready(conditions: &[StatusCondition]) -> bool {
    conditions.iter().any(|condition| condition.is("Ready", "True"))
}
