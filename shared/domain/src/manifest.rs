//! The edit of Flux files that touches only what it must: find the pinned scalars, replace exactly their bytes, read the
//! result again and prove that nothing else differs.

mod change;
mod diff;
mod edit;
mod elsewhere;
mod files_read;
mod flux;
mod hosts;
mod pins;
mod release;
mod revert;
mod settings;
mod splice;
mod substitution;
#[cfg(test)]
mod tests;
mod values;
mod written;

pub use change::{Change, ChangeKind, Edited, Scalar};
pub use diff::unified_diff;
pub use edit::{Aim, Rules, edit, move_repositories};
pub use files_read::FilesRead;
#[cfg(test)]
pub(crate) use hosts::{retired_charts, retired_hubs};
pub use pins::{Pin, pins};
pub use revert::{holds, revert};

use crate::yaml::{self, Node, Path};
use crate::{FileContent, Finding};

/// Every document of a file.
pub(crate) fn read(file: &FileContent) -> Result<Vec<Node>, Finding> {
    yaml::documents(&file.content).map_err(|cause| {
        Finding::blocking("YAML_UNREADABLE", &file.path, cause, "mend the file, then start again")
    })
}

/// How a finding names a place: `clusters/a/istio.yaml:12: spec.chart.spec.version`.
pub(crate) fn place(file: &str, line: usize, path: &Path) -> String {
    format!("{file}:{line}: {path}")
}
