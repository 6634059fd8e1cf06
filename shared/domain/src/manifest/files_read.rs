//! What a check read, so that what is proposed later rests on the same files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{FileContent, Finding};

/// The files of a cluster as the pre-check read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesRead {
    /// Commit they were read at.
    pub commit: String,
    /// SHA-256 of each file's content, by path, in hex.
    pub digests: BTreeMap<String, String>,
}

impl FilesRead {
    /// Of files at a commit.
    pub fn of(commit: &str, files: &[FileContent]) -> Self {
        let digests = files.iter().map(|file| (file.path.clone(), digest(&file.content))).collect();
        Self { commit: commit.to_owned(), digests }
    }

    /// Which files are other ones now: changed, added or gone. What was checked is not what would be edited then.
    pub fn changed(&self, now: &[FileContent]) -> Vec<Finding> {
        let now = Self::of("", now).digests;
        let mut findings = Vec::new();
        let mut tell = |path: &str, what: &str| {
            findings.push(Finding::blocking(
                "FILE_CHANGED",
                path,
                format!("{what} after the pre-check read it at commit {}", self.commit),
                "start again: it is checked anew",
            ));
        };
        for (path, digest) in &self.digests {
            match now.get(path) {
                None => tell(path, "it went away"),
                Some(other) if other != digest => tell(path, "it was changed"),
                Some(_) => {}
            }
        }
        now.keys()
            .filter(|path| !self.digests.contains_key(*path))
            .for_each(|path| tell(path, "it was added"));
        findings
    }
}

fn digest(content: &str) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_another_one_now_is_told() {
        let file = |path: &str, content: &str| FileContent { path: path.into(), content: content.into() };
        let read = FilesRead::of("abc", &[file("a", "1"), file("b", "2"), file("c", "3")]);
        assert_eq!(read.changed(&[file("c", "3"), file("a", "1"), file("b", "2")]), []);
        let told: Vec<String> = read
            .changed(&[file("a", "1"), file("b", "2 "), file("d", "3")])
            .into_iter()
            .map(|finding| format!("{} {}: {}", finding.code, finding.subject, finding.message))
            .collect();
        assert_eq!(
            told,
            [
                "FILE_CHANGED b: it was changed after the pre-check read it at commit abc",
                "FILE_CHANGED c: it went away after the pre-check read it at commit abc",
                "FILE_CHANGED d: it was added after the pre-check read it at commit abc",
            ]
        );
        let kept: FilesRead = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(kept, read);
    }
}
