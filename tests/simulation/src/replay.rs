//! Doing again, in a fresh house, what a recorded release did: what today's code then finds is what that release left.

use bytes::Bytes;
use guard_domain::{BatchId, ClusterId, Direction, IstioVersion, RequestId, RunId};
use guard_tasks::{
    AuditEntry, Fence, Lease, LockOutcome, Locks as _, OpenToken, RunRecords as _, Start, StartRegister as _,
    StatusMove, StatusWriter as _, TaskError, TokenStore as _, VersionChange, WaitsFor,
};
use guard_world::WorldSpec;
use http::Request;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::history::Written;
use crate::house::House;
use crate::recorder::secrets;
use crate::recording::{Deed, Event, Held};

/// Why a recorded deed cannot be done again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A word of the recording that means nothing today.
    #[error("`{0}` means nothing to this release: {1}")]
    Word(String, String),
    /// The stores refuse it.
    #[error("the stores refuse it: {0}")]
    Refused(#[from] TaskError),
    /// The locks are another's.
    #[error("the locks were given with fence {0:?}")]
    Locks(Option<u64>),
    /// The world answers it otherwise.
    #[error("{0} {1} was answered with {2}, and is now with {3}")]
    Answer(String, String, u16, u16),
}

impl House {
    /// From now on everything that happens is written down.
    pub fn record(&self, spec: &WorldSpec) {
        self.parts.faults.recorder.begin(&self.service, spec);
    }

    /// What happened since; nothing more is written down.
    pub fn recorded(&self) -> Vec<Event> {
        self.parts.faults.recorder.end()
    }

    /// Whether a function takes this payload; it does nothing with it. `None` when there is no such function.
    pub fn accepts(&self, function: &str, payload: Value) -> Option<Result<(), TaskError>> {
        self.functions.task(function).map(|task| task.accepts(payload))
    }

    /// Lets time come to a recorded event, and does again what it changed. What is no change is passed over.
    pub async fn replay(&self, event: &Event, spec: &WorldSpec) -> Result<(), ReplayError> {
        self.wait_until(event.at).await;
        match &event.deed {
            Deed::Send { to, method, url, content_type, body, status } => {
                let request = self.request(spec, to, (method, url, content_type.as_deref(), body))?;
                let now = self.world.handle(request).status().as_u16();
                if now != *status {
                    return Err(ReplayError::Answer(method.clone(), url.clone(), *status, now));
                }
                Ok(())
            }
            Deed::Take { lease, execution_arn, clusters, replacing } => {
                let lease = lease_of(lease)?;
                self.take(&lease, execution_arn, clusters, replacing.as_deref(), event.at).await
            }
            Deed::Free { lease } => {
                let lease = lease_of(lease)?;
                self.store.release(&lease).await?;
                self.parts.history.add(Written::Freed(lease));
                Ok(())
            }
            Deed::Put { lease, entry, value } => {
                let lease = lease_of(lease)?;
                let before = self.store.entry(&lease.run_id, entry).await?;
                self.store.put(&lease, entry, before.as_ref(), value).await?;
                self.parts.history.add(Written::Noted { lease, name: entry.clone() });
                Ok(())
            }
            Deed::Audit { lease, who, what } => {
                let line = AuditEntry { at: event.at, who: who.clone(), what: what.clone() };
                Ok(self.store.audit(&lease_of(lease)?, &line).await?)
            }
            Deed::Move { lease, cluster, from, to, version, merge_request_url } => {
                let change = StatusMove {
                    cluster_id: word(cluster)?,
                    from: word(from)?,
                    to: word(to)?,
                    version: version.as_ref().map(version_change).transpose()?,
                    merge_request_url: merge_request_url.clone(),
                    at: event.at,
                };
                let lease = lease_of(lease)?;
                self.store.move_status(&lease, &change).await?;
                self.parts.history.add(Written::Moved { lease, change });
                Ok(())
            }
            Deed::Keep { lease, waits_for, until, token } => {
                Ok(self.store.keep(&token_of(lease, waits_for, *until, token)?).await?)
            }
            Deed::Drop { lease, waits_for, token } => {
                Ok(self.store.drop_token(&token_of(lease, waits_for, event.at, token)?).await?)
            }
            Deed::Note { machine, batch, request, execution_arn } => {
                let start = Start {
                    machine: known_machine(machine)?,
                    batch_id: batch.as_deref().map(word::<BatchId>).transpose()?,
                    request_id: word::<RequestId>(request)?,
                    execution_arn: execution_arn.clone(),
                    at: event.at,
                };
                self.store.note(&start).await?;
                Ok(())
            }
            Deed::Start { .. }
            | Deed::End { .. }
            | Deed::Invoke { .. }
            | Deed::Reply { .. }
            | Deed::Answer { .. } => Ok(()),
        }
    }

    async fn take(
        &self,
        lease: &Lease,
        arn: &str,
        clusters: &[String],
        replacing: Option<&str>,
        at: Timestamp,
    ) -> Result<(), ReplayError> {
        let clusters = clusters.iter().map(|cluster| word(cluster)).collect::<Result<Vec<ClusterId>, _>>()?;
        let (run, batch) = (&lease.run_id, &lease.batch_id);
        match self.store.acquire(run, arn, batch, &clusters, replacing, at).await? {
            LockOutcome::Held(held) if held == *lease => {
                self.parts.history.add(Written::Took { lease: held, clusters });
                Ok(())
            }
            LockOutcome::Held(other) => Err(ReplayError::Locks(Some(other.fence.0))),
            LockOutcome::Taken { .. } => Err(ReplayError::Locks(None)),
        }
    }

    /// The request, with the credentials that the recording leaves out.
    fn request(
        &self,
        spec: &WorldSpec,
        to: &str,
        (method, url, content_type, body): (&str, &str, Option<&str>, &Value),
    ) -> Result<Request<Bytes>, ReplayError> {
        let with_secrets =
            |text: String| secrets(spec).iter().fold(text, |text, (secret, word)| text.replace(word, secret));
        let body = match body {
            Value::String(text) => text.clone(),
            json => json.to_string(),
        };
        let mut request = Request::builder().method(method).uri(with_secrets(url.to_owned()));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        if to == "GitLab" {
            request = request.header("private-token", &spec.gitlab_token);
        } else if let Some(token) = self.world.token(to) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request
            .body(Bytes::from(with_secrets(body)))
            .map_err(|error| ReplayError::Word(url.to_owned(), error.to_string()))
    }

    /// All executions of the recorded run have ended at this moment, wherever they stood: whoever asks Step Functions hears
    /// so.
    pub fn end_executions(&self, events: &[Event]) -> Result<(), guard_asl::ApiError> {
        for event in events {
            if let Deed::Start { machine, name, input } = &event.deed {
                let arn = self.service.start_execution(machine, Some(name), input.clone())?;
                self.service.stop_execution(&arn, "Stopped", "it was of an older release")?;
            }
        }
        Ok(())
    }
}

fn word<T: DeserializeOwned>(word: &str) -> Result<T, ReplayError> {
    serde_json::from_value(word.into()).map_err(|error| ReplayError::Word(word.to_owned(), error.to_string()))
}

fn known_machine(name: &str) -> Result<&'static str, ReplayError> {
    let mut known = crate::machines::MACHINES.into_iter();
    let found = known.find(|(known, _)| *known == name);
    found.map(|(known, _)| known).ok_or_else(|| ReplayError::Word(name.to_owned(), "no machine".to_owned()))
}

fn lease_of(held: &Held) -> Result<Lease, ReplayError> {
    Ok(Lease { run_id: word::<RunId>(&held.run)?, batch_id: word(&held.batch)?, fence: Fence(held.fence) })
}

fn version_change((kind, version): &(String, Option<String>)) -> Result<VersionChange, ReplayError> {
    let version = version.as_deref().map(word::<IstioVersion>).transpose()?;
    match (kind.as_str(), version) {
        ("aim", Some(version)) => Ok(VersionChange::Aim(version)),
        ("forget", None) => Ok(VersionChange::Forget),
        ("reached", Some(version)) => Ok(VersionChange::Reached(version)),
        ("went_back", Some(version)) => Ok(VersionChange::WentBack(version)),
        (kind, _) => Err(ReplayError::Word(kind.to_owned(), "no change of a version".to_owned())),
    }
}

fn token_of(
    lease: &Held,
    waits_for: &str,
    expires_at: Timestamp,
    token: &str,
) -> Result<OpenToken, ReplayError> {
    let waits_for = match waits_for {
        "decision" => WaitsFor::Decision,
        direction => WaitsFor::Merge { direction: word::<Direction>(direction)? },
    };
    Ok(OpenToken { lease: lease_of(lease)?, waits_for, expires_at, token: token.to_owned() })
}
