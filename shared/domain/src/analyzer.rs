//! What Istio's own analyzer says of a cluster's configuration, before a change and after it.
//!
//! Codes and levels move between versions of the analyzer, so its word counts only in the target's minor version, and two
//! of its answers are compared only when one and the same version gave both.

mod difference;

use serde::{Deserialize, Serialize};

use crate::{AcceptedMessage, ClusterId, Finding, IstioVersion, OnUnknown, Severity};

pub use difference::{Seen, since};

/// How bad the analyzer holds a message to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Worth knowing.
    Info,
    /// May be wrong.
    Warning,
    /// Wrong: what it is about does not work as it is written.
    Error,
}

/// One thing the analyzer said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Istio's own code, for example `IST0101`.
    pub code: String,
    /// Its level in that version.
    pub level: Level,
    /// What it is about: `VirtualService shop/web`, `Namespace shop`.
    pub origin: String,
    /// What was seen.
    pub text: String,
    /// Istio's page about the code; may be empty.
    pub documentation: String,
}

/// The analyzer that a function could run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtHand {
    /// None is installed; the place that was looked at.
    Nothing(String),
    /// This one.
    Version(IstioVersion),
    /// There is something, and why it is of no use.
    Broken(String),
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Analysis {
    /// An answer; it may be empty.
    Said {
        /// Everything it said.
        messages: Vec<Message>,
        /// Why it did not see everything, if it did not.
        gap: Option<String>,
    },
    /// No answer, and why.
    Nothing(String),
}

/// Why an upgrade cannot rely on this analyzer, and what would help; `Ok` holds the version that it can rely on.
pub fn fit(at_hand: &AtHand, target: &IstioVersion) -> Result<IstioVersion, Silence> {
    let build = format!("make layer-istioctl ISTIO_VERSION={target}, and give its ARN as IstioctlLayerArn");
    let (why, remedy) = match at_hand {
        AtHand::Version(version) if version.minor_line() == target.minor_line() => return Ok(version.clone()),
        AtHand::Version(version) => (
            format!("the layer has istioctl {version}, and {target} is judged by its own minor version only"),
            build,
        ),
        AtHand::Nothing(place) => (format!("no istioctl at {place}"), build),
        AtHand::Broken(why) => {
            (format!("istioctl does not start: {why}"), format!("build the layer again: {build}"))
        }
    };
    Err(Silence { why, remedy })
}

/// No answer of the analyzer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Why there is none.
    pub why: String,
    /// What a person can do.
    pub remedy: String,
}

impl Silence {
    /// A run that brought nothing.
    pub fn of_run(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            remedy: "run istioctl analyze -A by hand; docs/runbook.md says what it needs".into(),
        }
    }

    /// Whether no answer stops the change is the policy's to say; it is never a pass in silence.
    pub fn finding(&self, cluster: &ClusterId, policy: OnUnknown) -> Finding {
        let write = match policy {
            OnUnknown::Warn => Finding::warning,
            OnUnknown::Stop => Finding::unknown,
        };
        let what = format!("istioctl analyze gave no answer: {}", self.why);
        write("ANALYZER_UNKNOWN", cluster.as_str(), what, &self.remedy)
    }
}

/// What the messages mean before an upgrade, one finding a code and weight: an `Error` blocks, for the target's analyzer
/// says that what is configured does not work; the others are told. What the fleet accepted is told with its reason.
pub fn findings(cluster: &ClusterId, messages: &[Message], accepted: &[AcceptedMessage]) -> Vec<Finding> {
    grouped(cluster, messages, accepted, "")
}

/// Messages that say something of who asks, not of the cluster: GUARD reads, and lacks every permission to install.
const OF_THE_READER: [&str; 1] = ["IST0141"];

fn is_of_the_cluster(message: &Message) -> bool {
    !OF_THE_READER.contains(&message.code.as_str())
}

/// Objects named in one finding; a code can have thousands.
const SHOWN: usize = 5;

/// Characters of one message's text that are shown.
const TEXT_SHOWN: usize = 160;

fn grouped(
    cluster: &ClusterId,
    messages: &[Message],
    accepted: &[AcceptedMessage],
    note: &str,
) -> Vec<Finding> {
    let mut groups: std::collections::BTreeMap<Group<'_>, Vec<&Message>> = std::collections::BTreeMap::new();
    for message in messages.iter().filter(|message| is_of_the_cluster(message)) {
        let pass = accepted.iter().find(|pass| pass.covers(&message.code, &message.origin));
        let severity = match (message.level, pass) {
            (Level::Error, None) => Severity::Blocking,
            _ => Severity::Warning,
        };
        let reason = pass.filter(|_| message.level == Level::Error).map(|pass| pass.reason.as_str());
        let group = Group { severity: std::cmp::Reverse(severity), code: &message.code, reason };
        groups.entry(group).or_default().push(message);
    }
    groups.into_iter().map(|(group, of_it)| group.finding(cluster, &of_it, note)).collect()
}

/// What one finding gathers, the heaviest first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group<'a> {
    severity: std::cmp::Reverse<Severity>,
    code: &'a str,
    /// Why the fleet accepts it.
    reason: Option<&'a str>,
}

impl Group<'_> {
    fn finding(&self, cluster: &ClusterId, messages: &[&Message], note: &str) -> Finding {
        let shown: Vec<String> = messages
            .iter()
            .take(SHOWN)
            .map(|message| format!("{}: {}", message.origin, clip(&message.text)))
            .collect();
        let more = messages.len().saturating_sub(SHOWN);
        let mut text = format!("{note}{}", shown.join("; "));
        if more > 0 {
            text = format!("{text}; and {more} more");
        }
        let first = messages.first().map(|message| message.origin.as_str()).unwrap_or_default();
        let page = messages.first().map(|message| message.documentation.as_str()).unwrap_or_default();
        let subject = format!("{cluster}: {first}");
        match (self.severity.0, self.reason) {
            (Severity::Blocking, _) => {
                let accept = "correct it, or accept it with a reason in policy.analyzer_accepted";
                Finding::blocking(self.code, subject, text, format!("{accept}: {page}"))
            }
            (_, Some(reason)) => {
                Finding::warning(self.code, subject, text, format!("accepted by policy: {reason}"))
            }
            (_, None) => Finding::warning(self.code, subject, text, page),
        }
    }
}

fn clip(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TEXT_SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests;
