//! Which clusters share a merge request.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ClusterId, PlannedCluster};

/// How a batch's change is cut into merge requests. A request never reaches over two GitLab projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MrStrategy {
    /// One for each project.
    Batch,
    /// One for each cluster.
    PerCluster,
}

/// The clusters of one merge request.
#[derive(Debug, Clone, PartialEq)]
pub struct Group<'a> {
    /// Their GitLab project.
    pub project: &'a str,
    /// In the order of the plan.
    pub clusters: Vec<&'a PlannedCluster>,
    /// The only one, where each cluster has a request of its own.
    pub cluster: Option<&'a ClusterId>,
}

impl<'a> Group<'a> {
    /// The merge requests of these clusters, in the order of their projects. The same clusters are cut the same way each
    /// time: a second call must find what the first one opened.
    pub fn all(clusters: &[&'a PlannedCluster], strategy: MrStrategy) -> Vec<Self> {
        let mut groups: BTreeMap<(&str, Option<&ClusterId>), Vec<&'a PlannedCluster>> = BTreeMap::new();
        for planned in clusters {
            let id = &planned.record.cluster_id;
            let own = (strategy == MrStrategy::PerCluster).then_some(id);
            groups.entry((planned.record.gitlab_repo.as_str(), own)).or_default().push(planned);
        }
        let made = groups.into_iter();
        made.map(|((project, cluster), clusters)| Self { project, clusters, cluster }).collect()
    }

    /// The clusters' ids.
    pub fn ids(&self) -> Vec<ClusterId> {
        self.clusters.iter().map(|planned| planned.record.cluster_id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::plan;

    #[test]
    fn a_request_never_reaches_over_two_projects() {
        let mut plan = plan();
        plan.clusters[0].record.gitlab_repo = "z/last".into();
        plan.clusters[1].record.gitlab_repo = "a/first".into();
        let mut third = plan.clusters[0].clone();
        third.record.cluster_id = ClusterId::parse("c3").unwrap();
        plan.clusters.push(third);
        let clusters: Vec<&PlannedCluster> = plan.clusters.iter().collect();
        let told = |strategy| -> Vec<(String, Vec<String>, bool)> {
            let groups = Group::all(&clusters, strategy);
            let told = groups.iter().map(|group| {
                let ids = group.ids().iter().map(ToString::to_string).collect();
                (group.project.to_owned(), ids, group.cluster.is_some())
            });
            told.collect()
        };
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            told(MrStrategy::Batch),
            [("a/first".into(), ids(&["c2"]), false), ("z/last".into(), ids(&["c1", "c3"]), false)]
        );
        assert_eq!(
            told(MrStrategy::PerCluster),
            [
                ("a/first".into(), ids(&["c2"]), true),
                ("z/last".into(), ids(&["c1"]), true),
                ("z/last".into(), ids(&["c3"]), true)
            ]
        );
    }
}
