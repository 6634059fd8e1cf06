//! What Istio's own notes say about the minor lines that an upgrade reaches: data with a date and sources.

use serde::Deserialize;

use crate::IstioVersion;

/// The notes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeNotes {
    /// Day the notes were checked.
    pub as_of: String,
    line: Vec<Note>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// The minor line that brings it, `1.30`.
    pub minor: String,
    /// Markdown of one line.
    pub text: String,
    /// Where it is written.
    pub source: String,
}

impl UpgradeNotes {
    /// Those that are built in.
    ///
    /// # Errors
    /// Only if the data file is broken, which a test rules out.
    pub fn built_in() -> Result<Self, toml::de::Error> {
        toml::from_str(include_str!("notes.toml"))
    }

    /// Of every minor line that is reached on the way from the one to the other, the last one included.
    pub fn crossed<'a>(
        &'a self,
        from: &IstioVersion,
        to: &IstioVersion,
    ) -> impl Iterator<Item = &'a Note> + use<'a> {
        let (low, high) = ((from.major(), from.minor()), (to.major(), to.minor()));
        self.line.iter().filter(move |note| line(&note.minor).is_some_and(|at| low < at && at <= high))
    }
}

fn line(minor: &str) -> Option<(u64, u64)> {
    let (major, minor) = minor.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minors(from: &str, to: &str) -> Vec<String> {
        let (from, to) = (IstioVersion::parse(from).unwrap(), IstioVersion::parse(to).unwrap());
        let mut minors: Vec<String> =
            UpgradeNotes::built_in().unwrap().crossed(&from, &to).map(|note| note.minor.clone()).collect();
        minors.dedup();
        minors
    }

    #[test]
    fn every_note_has_a_line_a_sentence_and_a_source_in_order() {
        let notes = UpgradeNotes::built_in().unwrap();
        let lines: Vec<_> = notes.line.iter().map(|note| line(&note.minor).unwrap()).collect();
        assert!(lines.is_sorted());
        for note in &notes.line {
            let is_line = !note.text.contains('\n') && !note.text.contains('<') && note.text.ends_with('.');
            assert!(is_line && !note.source.is_empty(), "{note:?}");
        }
    }

    #[test]
    fn a_minor_is_crossed_when_it_is_reached() {
        assert_eq!(minors("1.29.3", "1.30.5"), ["1.30"]);
        assert_eq!(minors("1.29.3", "1.31.1"), ["1.30", "1.31"]);
        assert_eq!(minors("1.30.1", "1.30.5"), Vec::<String>::new());
        assert_eq!(minors("1.28.0", "1.29.0"), ["1.29"]);
        assert_eq!(minors("1.30.5", "1.29.3"), Vec::<String>::new(), "the way back crosses nothing");
    }
}
