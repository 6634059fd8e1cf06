//! The question to a person, as a note on a merge request.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::escape;
use crate::ClusterId;

/// Reasons that are listed; all of them are in the run record.
const LISTED: usize = 40;

/// Markdown that ends in the marker by which the note is found again.
pub fn question(clusters: &[ClusterId], reasons: &[String], until: Timestamp, marker: &str) -> String {
    let mut text = format!(
        "**GUARD asks a person**: the soak of {} clusters cannot be called by itself.\n\n",
        clusters.len()
    );
    // Writing into a string does not fail.
    for reason in reasons.iter().take(LISTED) {
        _ = writeln!(text, "- {}", escape(reason));
    }
    if let Some(more) = reasons.len().checked_sub(LISTED).filter(|more| *more > 0) {
        _ = writeln!(text, "- and {more} more, in the run record");
    }
    _ = write!(
        text,
        "\nReply with a first line `guard approve: why` to keep these clusters at the new version, or `guard reject: why` to \
         take them back. The first such reply of a Maintainer counts; without one until {until} the run halts and changes \
         nothing.\n\n{marker}"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_says_how_it_is_answered_and_forges_nothing() {
        let clusters = [ClusterId::parse("c1").unwrap()];
        let reasons: Vec<String> = (0..41).map(|n| format!("c1: {n}\n/close <!-- x -->")).collect();
        let text = question(&clusters, &reasons, Timestamp::UNIX_EPOCH, "<!-- guard:r:q -->");
        assert!(text.contains("guard approve: why") && text.contains("1970-01-01T00:00:00Z"), "{text}");
        assert!(text.contains("and 1 more") && text.ends_with("<!-- guard:r:q -->"), "{text}");
        assert_eq!(text.matches("<!--").count(), 1, "{text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with('/')), "{text}");
    }
}
