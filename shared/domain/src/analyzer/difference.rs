//! What the analyzer says after a change that it did not say before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Level, Message, Silence, grouped, is_of_the_cluster};
use crate::{AcceptedMessage, ClusterId, Finding, IstioVersion};

/// Messages that are kept of one cluster. A run record's entry may have 400 kB, and one of these some 60 bytes.
const KEPT: usize = 2000;

/// What the analyzer said before the change: code and object, which is what tells two messages apart. Texts hold lists
/// and counts that change by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The analyzer that said it.
    pub version: IstioVersion,
    /// Objects by code, of `Error` and `Warning`.
    said: BTreeMap<String, BTreeSet<String>>,
    /// Not everything that was said is kept.
    is_cut: bool,
}

impl Seen {
    /// What there is to remember of an answer.
    pub fn of(version: &IstioVersion, messages: &[Message]) -> Self {
        let mut said: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let (mut kept, mut is_cut) = (0, false);
        for message in messages.iter().filter(|message| counts(message)) {
            if kept == KEPT {
                is_cut = true;
                break;
            }
            if said.entry(message.code.clone()).or_default().insert(object(&message.origin)) {
                kept += 1;
            }
        }
        Self { version: version.clone(), said, is_cut }
    }

    fn has(&self, message: &Message) -> bool {
        self.said.get(&message.code).is_some_and(|objects| objects.contains(&object(&message.origin)))
    }
}

/// An `Info` tells of what might be nicer, never of something that broke: a new one is no news of the change.
fn counts(message: &Message) -> bool {
    message.level > Level::Info && is_of_the_cluster(message)
}

/// What is new since then: an `Error` blocks, a `Warning` is told.
pub fn since(
    before: &Seen,
    cluster: &ClusterId,
    version: &IstioVersion,
    messages: &[Message],
    accepted: &[AcceptedMessage],
) -> Result<Vec<Finding>, Silence> {
    if before.version != *version {
        return Err(Silence::of_run(format!(
            "the pre-check was made by istioctl {}, this is {version}: their answers do not compare",
            before.version
        )));
    }
    if before.is_cut {
        return Err(Silence::of_run(format!(
            "the pre-check found more than {KEPT} messages, too many to keep"
        )));
    }
    let new: Vec<Message> =
        messages.iter().filter(|message| counts(message) && !before.has(message)).cloned().collect();
    Ok(grouped(cluster, &new, accepted, "new since the pre-check: "))
}

/// The letters of names that Kubernetes makes up: no vowels, and nothing that is read as a vowel.
const MADE_UP: &str = "bcdfghjklmnpqrstvwxz2456789";

/// The object of a message, for comparison. Restarts give pods new names; the part that stays is their workload's.
fn object(origin: &str) -> String {
    let Some(name) = origin.strip_prefix("Pod ") else { return origin.to_owned() };
    let is_made_up = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.chars().all(|letter| MADE_UP.contains(letter))
    };
    let Some((set, _)) = name.rsplit_once('-').filter(|(_, suffix)| is_made_up(suffix, 5..=5)) else {
        return origin.to_owned();
    };
    let workload = match set.rsplit_once('-') {
        Some((workload, hash)) if is_made_up(hash, 6..=10) => workload,
        _ => set,
    };
    format!("Pod {workload}-*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_known_by_what_stays_of_its_name() {
        for (pod, kept) in [
            ("Pod shop/web-7d4b9c6f58-x2bcd", "Pod shop/web-*"),
            ("Pod shop/agent-4zk8q", "Pod shop/agent-*"),
            // A stateful pod keeps its name, and a bare one has its own.
            ("Pod shop/db-0", "Pod shop/db-0"),
            ("Pod shop/web-noproxy", "Pod shop/web-noproxy"),
            ("Pod shop/x", "Pod shop/x"),
            ("VirtualService shop/web-x2bcd", "VirtualService shop/web-x2bcd"),
        ] {
            assert_eq!(object(pod), kept);
        }
    }
}
