//! What people are told about a run: which occasions, how much they matter, and who hears of them. The words, one function
//! an occasion and the same for every channel, are in the module below.

mod words;

use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::{BatchId, RunId};

/// The occasions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotificationKind {
    /// A gate said no before anything was changed.
    GateFailed,
    /// A merge request was opened: a person reads and merges it.
    WaitingForMerge,
    /// A rollback request is still not merged.
    RollbackUnmerged,
    /// The soak is too close to call: a person answers.
    WaitingForPerson,
    /// Failed clusters are back at the old version.
    RolledBack,
    /// The way back did not work.
    RollbackFailed,
    /// No answer was to be had: the run stopped.
    Halted,
}

impl NotificationKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::GateFailed,
        Self::WaitingForMerge,
        Self::RollbackUnmerged,
        Self::WaitingForPerson,
        Self::RolledBack,
        Self::RollbackFailed,
        Self::Halted,
    ];

    /// The word in names of entries and keys of incidents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GateFailed => "gate-failed",
            Self::WaitingForMerge => "waiting-for-merge",
            Self::RollbackUnmerged => "rollback-unmerged",
            Self::WaitingForPerson => "waiting-for-person",
            Self::RolledBack => "rolled-back",
            Self::RollbackFailed => "rollback-failed",
            Self::Halted => "halted",
        }
    }

    /// Whether the run goes on by itself once somebody has done what it waits for: then the incident is over.
    pub fn is_waiting(self) -> bool {
        match self {
            Self::WaitingForMerge | Self::RollbackUnmerged | Self::WaitingForPerson => true,
            Self::GateFailed | Self::RolledBack | Self::RollbackFailed | Self::Halted => false,
        }
    }

    /// The incident of a run that this belongs to. A reminder is about the same incident as what it reminds of.
    pub fn incident(self, run_id: &RunId) -> Incident {
        let about = if self == Self::RollbackUnmerged { Self::WaitingForMerge } else { self };
        Incident { run_id: run_id.clone(), about }
    }
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Worth knowing; nobody is called.
    Info,
    /// Somebody must do something, today.
    Warning,
    /// Clusters are worse off, or were.
    Error,
    /// Clusters stand where GUARD cannot help them.
    Critical,
}

/// A way to reach people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A room that people read: it gets everything.
    Chat,
    /// A call to whoever is on duty: only for what needs a person.
    Pager,
}

impl Channel {
    /// The word people use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Pager => "pager",
        }
    }

    /// Whether this goes there.
    pub fn carries(self, notification: &Notification) -> bool {
        match self {
            Self::Chat => true,
            Self::Pager => notification.urgency > Urgency::Info,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a pager groups by: one incident for one occasion of one run, however often it is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incident {
    run_id: RunId,
    about: NotificationKind,
}

impl Incident {
    /// `guard/<run>/<occasion>`: the same for the same incident, below 120 characters.
    pub fn key(&self) -> String {
        format!("guard/{}/{}", self.run_id, self.about.as_str())
    }
}

/// One line of facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

/// A page that says more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What is behind it.
    pub title: &'static str,
    /// Its address.
    pub url: String,
}

/// What a person can do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// In words.
    pub words: &'static str,
    /// The command for it, if there is one.
    pub command: Option<String>,
}

/// One notification. Everything is plain text of one line; a channel escapes it for its own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The occasion.
    pub kind: NotificationKind,
    /// How much it matters.
    pub urgency: Urgency,
    /// The run.
    pub run_id: RunId,
    /// Its batch.
    pub batch_id: BatchId,
    /// A few words, for a heading.
    pub title: String,
    /// What happened.
    pub sentence: String,
    /// Batch, versions, clusters, execution, ...
    pub facts: Vec<Fact>,
    /// What was found, the first few, each cut to what a person reads.
    pub findings: Vec<String>,
    /// Merge request and console.
    pub links: Vec<Link>,
    /// What to do.
    pub next: Vec<Next>,
}

impl Notification {
    /// See [`NotificationKind::incident`].
    pub fn incident(&self) -> Incident {
        self.kind.incident(&self.run_id)
    }
}

/// How long after the last word about an unmerged rollback the next one follows: a quarter of an hour, then twice as
/// long each time, at most half a day.
pub fn reminder_interval(reminders_sent: u32) -> SignedDuration {
    let quarters = 1_i64 << reminders_sent.min(6);
    SignedDuration::from_mins(15 * quarters).min(SignedDuration::from_hours(12))
}

/// The page of an execution in the console of AWS, from its ARN; `None` for what is no ARN of an execution.
pub fn execution_page(execution_arn: &str) -> Option<String> {
    // arn:<partition>:states:<region>:<account>:execution:<machine>:<name>
    let parts: Vec<&str> = execution_arn.split(':').collect();
    let ["arn", partition, "states", region, _, "execution", _, _] = parts[..] else { return None };
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
    let domain = match partition {
        "aws" => "console.aws.amazon.com",
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        _ => return None,
    };
    (!region.is_empty() && is_plain(execution_arn)).then(|| {
        format!(
            "https://{region}.{domain}/states/home?region={region}#/v2/executions/details/{execution_arn}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reminders_come_at_growing_intervals_up_to_half_a_day() {
        let minutes: Vec<i64> = (0..9).map(|sent| reminder_interval(sent).as_mins()).collect();
        assert_eq!(minutes, [15, 30, 60, 120, 240, 480, 720, 720, 720]);
        assert_eq!(reminder_interval(u32::MAX).as_hours(), 12);
    }

    #[test]
    fn a_reminder_is_about_the_incident_it_reminds_of() {
        let run = RunId::parse("run-1").unwrap();
        let key = |kind: NotificationKind| kind.incident(&run).key();
        assert_eq!(key(NotificationKind::RollbackUnmerged), "guard/run-1/waiting-for-merge");
        let mut keys: Vec<String> = NotificationKind::ALL.into_iter().map(key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), NotificationKind::ALL.len() - 1);
    }

    #[test]
    fn an_execution_has_a_page_in_its_own_partition() {
        let arn = "arn:aws:states:eu-west-1:123456789012:execution:guard-batch-upgrade:run-1";
        assert_eq!(
            execution_page(arn).unwrap(),
            format!(
                "https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/{arn}"
            )
        );
        let china = execution_page(&arn.replacen("aws", "aws-cn", 1)).unwrap();
        assert!(china.starts_with("https://eu-west-1.console.amazonaws.cn/"), "{china}");
        for other in ["", "run-1", "arn:aws:lambda:eu-west-1:1:function:x", &arn.replace("run-1", "a b")] {
            assert_eq!(execution_page(other), None, "{other}");
        }
    }
}
