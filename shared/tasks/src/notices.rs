//! Telling people, once.
//!
//! For each occasion of a run (kind and subject) the run record holds an entry `notified#<kind>#<subject>` with the
//! channels that were told. It is looked up first; then the channels that are missing are told; then the entry is
//! written. Dying between the last two tells somebody **twice**, for the state is tried again and finds no entry. The
//! other order could die after writing and before telling, and a rollback that failed would be told **never**: twice is
//! the lesser harm, and a pager folds both into one incident.
//!
//! A reminder is the other way round: its entry is written first, for the next reminder follows anyway, and a store that
//! refuses the entry every minute must not page somebody every minute.
//!
//! Nothing here fails a task. What could not be told is a line in the audit log and a warning; what could not be written
//! down is a warning. A channel that was not reached is tried again when the task runs again.

use std::collections::BTreeSet;

use guard_domain::RunId;
use guard_domain::notification::{Channel, Notification, NotificationKind, reminder_interval};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, RunRef};
use crate::{AuditEntry, Channels, Clock, Context as _, ErrorName, Lease, Notifier, RunRecords, TaskError};

/// What the run record keeps of one occasion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifiedEntry {
    /// When it was told first.
    pub at: Timestamp,
    /// The channels that took it.
    pub told: Vec<Channel>,
    /// The channels that could not be reached.
    pub failed: Vec<Channel>,
    /// The pager knows that it is over.
    #[serde(default)]
    pub is_over: bool,
}

/// Start of every entry's name.
const NOTIFIED: &str = "notified#";

fn entry_name(kind: NotificationKind, subject: &str) -> String {
    format!("{NOTIFIED}{}#{subject}", kind.as_str())
}

/// Tells people about one run.
pub(crate) struct Notices<'a> {
    channels: &'a Channels,
    records: &'a dyn RunRecords,
    clock: &'a dyn Clock,
    lease: Lease,
    /// The task that tells, for the audit log.
    who: &'static str,
}

impl<'a> Notices<'a> {
    pub(crate) fn new(channels: &'a Channels, ledger: &'a Ledger, run: &RunRef, who: &'static str) -> Self {
        Self::without_ledger(channels, ledger.records.as_ref(), ledger.clock.as_ref(), run.lease(), who)
    }

    pub(crate) fn without_ledger(
        channels: &'a Channels,
        records: &'a dyn RunRecords,
        clock: &'a dyn Clock,
        lease: Lease,
        who: &'static str,
    ) -> Self {
        Self { channels, records, clock, lease, who }
    }

    /// Tells every channel that is on, carries this and was not told before.
    pub(crate) async fn tell(&self, subject: &str, notification: &Notification) {
        let wanted: Vec<_> =
            self.channels.on().filter(|(channel, _)| channel.carries(notification)).collect();
        if wanted.is_empty() {
            return;
        }
        let name = entry_name(notification.kind, subject);
        let known = match self.records.entry(&self.lease.run_id, &name).await {
            Ok(known) => known,
            // Told perhaps; nobody can say. Twice is better than never.
            Err(error) => {
                warn("look up what was told", &error);
                None
            }
        };
        let before: Option<NotifiedEntry> =
            known.as_ref().and_then(|value| serde_json::from_value(value.clone()).ok());
        let mut entry = before.unwrap_or_else(|| self.untold());
        let (mut told, mut failures) = (Vec::new(), Vec::new());
        for (channel, notifier) in wanted {
            if entry.told.contains(&channel) {
                continue;
            }
            match deliver(notifier.as_ref(), notification).await {
                Ok(()) => told.push(channel),
                Err(error) => failures.push((channel, error)),
            }
        }
        if told.is_empty() && failures.is_empty() {
            return;
        }
        entry.told.extend(&told);
        entry.failed = failures.iter().map(|(channel, _)| *channel).collect();
        self.write(&name, known.as_ref(), &entry).await;
        let title = &notification.title;
        for channel in told {
            self.audit(format!("told the {channel}: {title}")).await;
        }
        for (channel, error) in failures {
            warn(&format!("tell the {channel}"), &error);
            self.audit(format!("could not tell the {channel}: {title}: {error}")).await;
        }
    }

    /// Tells a reminder, unless it cannot be written down first.
    pub(crate) async fn remind(&self, subject: &str, notification: &Notification) -> Result<(), TaskError> {
        let name = entry_name(notification.kind, subject);
        let entry = serde_json::to_value(self.untold())
            .map_err(|error| TaskError::internal(format!("encode {name}: {error}")))?;
        self.records.put(&self.lease, &name, None, &entry).await?;
        self.tell(subject, notification).await;
        Ok(())
    }

    /// Tells what should have been told before, to those who were not reached. Where nothing is written down of it, that is
    /// done first: it may have been told all the same, and a store that refuses the entry must not page somebody again and
    /// again.
    pub(crate) async fn tell_late(
        &self,
        subject: &str,
        notification: &Notification,
    ) -> Result<(), TaskError> {
        let name = entry_name(notification.kind, subject);
        let known = self.records.entry(&self.lease.run_id, &name).await.context("look up what was told")?;
        match known {
            Some(_) => self.tell(subject, notification).await,
            None => self.remind(subject, notification).await?,
        }
        Ok(())
    }

    fn untold(&self) -> NotifiedEntry {
        NotifiedEntry { at: self.clock.now(), told: Vec::new(), failed: Vec::new(), is_over: false }
    }

    /// What a person was called for has happened, or does not matter any more: the pager is told so.
    pub(crate) async fn over(&self, kinds: &[NotificationKind]) {
        let Some(pager) = &self.channels.pager else { return };
        let entries = match self.records.entries(&self.lease.run_id, NOTIFIED).await {
            Ok(entries) => entries,
            Err(error) => return warn("look up what was told", &error),
        };
        let mut resolved = BTreeSet::new();
        for kind in kinds {
            let (incident, start) = (kind.incident(&self.lease.run_id), entry_name(*kind, ""));
            for (name, value) in entries.iter().filter(|(name, _)| name.starts_with(&start)) {
                let Ok(entry) = serde_json::from_value::<NotifiedEntry>(value.clone()) else { continue };
                if entry.is_over || !entry.told.contains(&Channel::Pager) {
                    continue;
                }
                // Reminders share the incident of what they remind of.
                if !resolved.contains(&incident) {
                    if let Err(error) = pager.resolve(&incident).await {
                        warn("tell the pager that an incident is over", &error);
                        continue;
                    }
                    resolved.insert(incident.clone());
                }
                self.write(name, Some(value), &NotifiedEntry { is_over: true, ..entry }).await;
            }
        }
    }

    async fn write(&self, name: &str, known: Option<&serde_json::Value>, entry: &NotifiedEntry) {
        let Ok(value) = serde_json::to_value(entry) else { return };
        if let Err(error) = self.records.put(&self.lease, name, known, &value).await {
            warn("write down what was told", &error);
        }
    }

    async fn audit(&self, what: String) {
        let line = AuditEntry { at: self.clock.now(), who: self.who.to_owned(), what };
        if let Err(error) = self.records.audit(&self.lease, &line).await {
            warn("write the audit log", &error);
        }
    }
}

/// A connection that broke is tried once more at once: nobody else will try again before the task itself does.
async fn deliver(notifier: &dyn Notifier, notification: &Notification) -> Result<(), TaskError> {
    match notifier.notify(notification).await {
        Err(error) if error.name == ErrorName::Transient => notifier.notify(notification).await,
        outcome => outcome,
    }
}

pub(crate) fn warn(doing: &str, error: &TaskError) {
    tracing::warn!(error.name = error.name.as_str(), "could not {doing}: {error}");
}

/// A reminder that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reminder {
    /// What it is told as: each one once.
    pub(crate) subject: String,
    /// How long the request has waited.
    pub(crate) waited: SignedDuration,
}

/// The reminder of an unmerged request, if one is due. Without a first word about it there is nothing to remind of.
pub(crate) async fn reminder(
    records: &dyn RunRecords,
    run_id: &RunId,
    subject: &str,
    now: Timestamp,
) -> Result<Option<Reminder>, TaskError> {
    let entries = records.entries(run_id, NOTIFIED).await?;
    let decoded = |name: &str| {
        let (_, value) = entries.iter().find(|(own, _)| own == name)?;
        serde_json::from_value::<NotifiedEntry>(value.clone()).ok()
    };
    let Some(first) = decoded(&entry_name(NotificationKind::WaitingForMerge, subject)) else {
        return Ok(None);
    };
    let (mut sent, mut last) = (0, first.at);
    let nth = |n: u32| entry_name(NotificationKind::RollbackUnmerged, &format!("{subject}-{n}"));
    while let Some(entry) = decoded(&nth(sent + 1)) {
        (sent, last) = (sent + 1, entry.at);
    }
    let is_due = now.duration_since(last) >= reminder_interval(sent);
    Ok(is_due.then(|| Reminder {
        subject: format!("{subject}-{}", sent + 1),
        waited: now.duration_since(first.at),
    }))
}
