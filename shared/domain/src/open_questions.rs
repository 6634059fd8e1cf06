//! What could not be read, each reason told once: a cluster that cannot be reached has one for everything.

use crate::checks::Source;
use crate::{Finding, Unread};

/// Reasons that were told already.
#[derive(Debug, Default)]
pub(crate) struct OpenQuestions<'a>(Vec<&'a str>);

impl<'a> OpenQuestions<'a> {
    /// The finding that leaves a question open, unless its reason was told.
    pub(crate) fn finding(&mut self, cluster: &str, source: Source, unread: &'a Unread) -> Option<Finding> {
        if self.0.contains(&unread.why.as_str()) {
            return None;
        }
        self.0.push(&unread.why);
        Some(Finding::unknown(
            source.code(),
            cluster,
            format!("{} could not be read: {}", source.what(), unread.why),
            "make it readable: what is not known is never a pass",
        ))
    }

    /// It repeats a reason that was told.
    pub(crate) fn repeats(&self, finding: &Finding) -> bool {
        self.0.iter().any(|why| finding.message.contains(why))
    }
}
