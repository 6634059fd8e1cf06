//! The edit of every file of a merge request, in memory.

use std::collections::BTreeMap;

use guard_domain::manifest::{self, Change, Edited};
use guard_domain::{Direction, FileContent, Finding, Group, Plan, PlannedCluster, RunId};

/// What upgrades have changed, by run and project.
pub(super) type Undone = BTreeMap<(RunId, String), Vec<Change>>;

/// What becomes of the files.
#[derive(Default)]
pub(super) struct Edits {
    pub(super) before: Vec<FileContent>,
    pub(super) after: Vec<FileContent>,
    pub(super) changes: Vec<Change>,
    /// Every file that was looked at, as it is to be.
    seen: BTreeMap<String, String>,
}

/// True for a file that a cluster reads: its own file, or one in its folder.
pub(super) fn is_below(flux_config_path: &str, file: &str) -> bool {
    let folder = flux_config_path.trim_start_matches("./").trim_matches('/');
    folder.is_empty()
        || file.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Those of the files that a cluster reads.
pub(super) fn read_by(flux_config_path: &str, files: &[FileContent]) -> Vec<FileContent> {
    files.iter().filter(|file| is_below(flux_config_path, &file.path)).cloned().collect()
}

/// Those of a run's changes that reach a cluster.
fn of_cluster(planned: &PlannedCluster, changes: &[Change]) -> Vec<Change> {
    let path = &planned.record.flux_config_path;
    changes.iter().filter(|change| is_below(path, &change.file)).cloned().collect()
}

impl Edits {
    /// Every file of the group, edited: each cluster's files together. The way back puts the exact previous values where
    /// the upgrade's are.
    pub(super) fn of(
        plan: &Plan,
        group: &Group<'_>,
        files: &[FileContent],
        direction: Direction,
        undone: &Undone,
    ) -> (Self, Vec<Finding>) {
        let mut edits = Self::default();
        let mut findings = Vec::new();
        for planned in &group.clusters {
            let files = read_by(&planned.record.flux_config_path, files);
            let changes = plan.undone(planned).filter(|_| direction == Direction::Rollback);
            let changes = changes.and_then(|run| undone.get(&(run.clone(), group.project.to_owned())));
            let edited = match changes {
                Some(changes) => manifest::revert(&files, &of_cluster(planned, changes)),
                None => manifest::edit(&files, &plan.aim(planned, direction)),
            };
            match edited {
                Ok(edited) => findings.extend(edits.take(files, &edited)),
                Err(refusals) => findings.extend(refusals),
            }
        }
        // Clusters that share a folder have the same to say about it.
        let mut told = Vec::new();
        findings.retain(|finding| {
            let is_new = !told.contains(finding);
            told.push(finding.clone());
            is_new
        });
        (edits, findings)
    }

    /// Adds the edit of one cluster's files. A file that two clusters read is edited once, and must suit both.
    fn take(&mut self, files: Vec<FileContent>, edited: &Edited) -> Vec<Finding> {
        let mut findings = Vec::new();
        for before in files {
            let after = edited.files.iter().find(|after| after.path == before.path);
            let content = after.unwrap_or(&before).content.clone();
            match self.seen.get(&before.path) {
                Some(other) if *other == content => continue,
                Some(_) => {
                    findings.push(Finding::blocking(
                        "FILE_SHARED",
                        &before.path,
                        "clusters at different versions share this file",
                        "bring them to one version first, or give each a file of its own",
                    ));
                    continue;
                }
                None => self.seen.insert(before.path.clone(), content),
            };
            if let Some(after) = after {
                self.changes.extend(edited.changes.iter().filter(|c| c.file == before.path).cloned());
                self.after.push(after.clone());
                self.before.push(before);
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_reads_its_file_or_what_is_in_its_folder() {
        for (path, file, reads) in [
            ("clusters/a", "clusters/a/istio.yaml", true),
            ("./clusters/a/", "clusters/a/deep/istio.yaml", true),
            ("clusters/a", "clusters/ab/istio.yaml", false),
            ("clusters/a.yaml", "clusters/a.yaml", true),
            ("clusters/a.yaml", "clusters/a.yaml.bak", false),
            ("", "istio.yaml", true),
        ] {
            assert_eq!(is_below(path, file), reads, "{path}: {file}");
        }
    }
}
