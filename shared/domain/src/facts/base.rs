//! What a change is built on, and whether the cluster has it.

use std::collections::BTreeMap;

use crate::Unread;

/// How an applied commit stands to the branch's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the head, or a later commit that holds it.
    Holds,
    /// An earlier commit, or another one, in which the cluster's files are the head's, byte for byte.
    SameFiles,
    /// Neither.
    OtherFiles,
}

/// The head of the branch as the pre-check read it, and what each Kustomization of the cluster's files has applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseFacts {
    /// The head, 40 hex digits.
    pub commit: String,
    /// By Kustomization: the commit it has applied, if any, and how that stands.
    pub applied: BTreeMap<String, (Option<String>, Standing)>,
}

impl BaseFacts {
    /// Kustomizations that have not come to the head's files, and the commit they have applied.
    pub fn behind(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let behind = self.applied.iter().filter(|(_, (_, standing))| *standing == Standing::OtherFiles);
        behind.map(|(name, (commit, _))| (name.as_str(), commit.as_deref()))
    }

    /// Flux looks at its branch every minute or so: what is behind now may have come along shortly.
    pub fn on_its_way(&self) -> Option<Unread> {
        let (name, _) = self.behind().next()?;
        let why = format!("Kustomization {name} has not applied {} yet", self.commit);
        Some(Unread { why, may_pass: true })
    }
}
