//! What was read, or why it was not.

use serde::{Deserialize, Serialize};

/// A fact, or why nobody knows it. What could not be read is never taken for empty.
pub type Reading<T> = Result<T, Unread>;

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// What was asked, and what came of it.
    pub why: String,
    /// The same question may find an answer shortly: it is worth asking again before anybody is told.
    pub may_pass: bool,
}

impl Unread {
    /// Nothing that asking again would change.
    pub fn for_good(why: impl Into<String>) -> Self {
        Self { why: why.into(), may_pass: false }
    }
}
