//! What is wrong with a set, with what it names.

use std::path::PathBuf;

use guard_domain::judge::SeriesError;
use thiserror::Error;

/// A set, or a file of it, that cannot be read.
#[derive(Debug, Error)]
pub enum SetError {
    /// A file that is not there, or no CSV.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// An index without a column.
    #[error("{}: the index has no column `{column}`", path.display())]
    IndexColumn {
        /// The index.
        path: PathBuf,
        /// Its name.
        column: &'static str,
    },
    /// A value of the index.
    #[error("pair {pair}: {column} is `{value}`: {wanted}")]
    Value {
        /// The pair.
        pair: String,
        /// The column of the index.
        column: &'static str,
        /// What stands there.
        value: String,
        /// What should.
        wanted: &'static str,
    },
    /// A series that a pair names, and that is not there.
    #[error("pair {pair}: {} has no column `{column}`{}", path.display(), of_issue(issue))]
    Column {
        /// The pair.
        pair: String,
        /// The file.
        path: PathBuf,
        /// The column of the file.
        column: String,
        /// The rows that were asked for, where they have a name.
        issue: String,
    },
    /// Points that are no series.
    #[error("pair {pair}: {}: {source}", path.display())]
    Series {
        /// The pair.
        pair: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: SeriesError,
    },
}

fn of_issue(issue: &str) -> String {
    if issue.is_empty() { String::new() } else { format!(" for the issue `{issue}`") }
}
