//! One changed scalar, with everything that the way back needs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Component, FileContent, Finding};

/// One changed scalar. The run record keeps it: from it, and from it alone, the rollback is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The file.
    pub file: String,
    /// Its document inside the file, from 0.
    pub document: usize,
    /// The object it belongs to, `HelmRelease istio-system/istiod`; a document that moved inside its file is found by it.
    pub object: String,
    /// Path inside the document, `spec.chart.spec.version`, as [`crate::yaml::Path`] reads it.
    pub path: String,
    /// 1-based line before the change.
    pub line: usize,
    /// The chart it is about; none for a repository, which several charts may come from.
    pub component: Option<Component>,
    /// What the scalar means.
    pub kind: ChangeKind,
    /// Before.
    pub from: Scalar,
    /// After.
    pub to: Scalar,
    /// What the way back writes, where that is not what was there before: a range, or nothing, would let Flux choose the
    /// version, so the way back names the one that ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Scalar>,
    /// Paths inside the document that change with it, because they are aliases of this scalar's anchor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

impl Change {
    /// What the way back puts there.
    pub fn before(&self) -> &Scalar {
        self.back.as_ref().unwrap_or(&self.from)
    }
}

/// What a changed scalar means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// `spec.chart.spec.version` of a HelmRelease.
    ChartVersion,
    /// `spec.ref.tag` of an OCIRepository.
    OciTag,
    /// A tag of images among a release's values.
    ImageTag,
    /// Where charts come from: `spec.url` of a HelmRepository or OCIRepository.
    RepositoryUrl,
    /// Where images come from: a `hub` among a release's values.
    ImageHub,
    /// A setting that an upgrade spec names.
    Setting,
}

/// A scalar, both ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scalar {
    /// As data.
    pub value: Value,
    /// As it is written in the file, quotes included.
    pub text: String,
}

/// What an edit makes of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edited {
    /// The files that differ now, with their new content, in the order they came.
    pub files: Vec<FileContent>,
    /// What changed in them. Empty: there was nothing to do.
    pub changes: Vec<Change>,
    /// What people should know of it; stops nothing.
    pub notes: Vec<Finding>,
}
