//! Writes down what a house does, once it is asked to: see [`crate::recording`].

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use guard_asl::{FunctionError, Invocation, Status, StepFunctions};
use guard_domain::ClusterId;
use guard_tasks::{AuditEntry, Lease, OpenToken, Start, StatusMove, VersionChange};
use guard_world::{System, World, WorldSpec};
use http::{Method, Request, Response};
use jiff::Timestamp;
use serde_json::Value;

use crate::recording::{Deed, Event, Held};

/// Off until somebody asks.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Option<Tape>>>);

struct Tape {
    events: Vec<Event>,
    /// Of the invocation that is running: its calls have its time.
    now: Timestamp,
    service: StepFunctions,
    started: BTreeSet<String>,
    ended: BTreeSet<String>,
    secrets: Vec<(String, &'static str)>,
}

/// What of a world is secret, and what stands for it.
pub(crate) fn secrets(spec: &WorldSpec) -> Vec<(String, &'static str)> {
    vec![
        (spec.slack_webhook_url.clone(), "https://chat.example.com/hook"),
        (spec.pagerduty_routing_key.clone(), "[routing key]"),
    ]
}

impl Recorder {
    pub(crate) fn begin(&self, service: &StepFunctions, spec: &WorldSpec) {
        *self.lock() = Some(Tape {
            events: Vec::new(),
            now: service.now(),
            service: service.clone(),
            started: BTreeSet::new(),
            ended: BTreeSet::new(),
            secrets: secrets(spec),
        });
    }

    pub(crate) fn end(&self) -> Vec<Event> {
        let Some(mut tape) = self.lock().take() else { return Vec::new() };
        tape.look_at_executions();
        tape.events
    }

    fn lock(&self) -> MutexGuard<'_, Option<Tape>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, deed: impl FnOnce() -> Deed) {
        if let Some(tape) = self.lock().as_mut() {
            tape.add(tape.now, deed());
        }
    }

    pub(crate) fn invoked(&self, invocation: &Invocation) {
        if let Some(tape) = self.lock().as_mut() {
            tape.now = invocation.at;
            tape.look_at_executions();
            let execution = invocation.execution_arn.as_deref();
            let deed = Deed::Invoke {
                function: name(&invocation.function),
                execution: execution.and_then(|arn| arn.rsplit(':').next()).map(str::to_owned),
                state: invocation.state.clone(),
                payload: invocation.payload.clone(),
            };
            tape.add(invocation.at, deed);
        }
    }

    pub(crate) fn replied(&self, invocation: &Invocation, outcome: &Result<Value, FunctionError>) {
        self.add(|| Deed::Reply {
            function: name(&invocation.function),
            state: invocation.state.clone(),
            output: outcome.as_ref().ok().cloned(),
            error: outcome
                .as_ref()
                .err()
                .map(|error| format!("{}: {}", error.error_type, error.error_message)),
        });
    }

    pub(crate) fn took(&self, lease: &Lease, arn: &str, clusters: &[ClusterId], replacing: Option<&str>) {
        self.add(|| Deed::Take {
            lease: held(lease),
            execution_arn: arn.to_owned(),
            clusters: clusters.iter().map(ToString::to_string).collect(),
            replacing: replacing.map(str::to_owned),
        });
    }

    pub(crate) fn freed(&self, lease: &Lease) {
        self.add(|| Deed::Free { lease: held(lease) });
    }

    pub(crate) fn moved(&self, lease: &Lease, change: &StatusMove) {
        self.add(|| Deed::Move {
            lease: held(lease),
            cluster: change.cluster_id.to_string(),
            from: change.from.to_string(),
            to: change.to.to_string(),
            version: change.version.as_ref().map(|version| match version {
                VersionChange::Aim(version) => ("aim".to_owned(), Some(version.to_string())),
                VersionChange::Forget => ("forget".to_owned(), None),
                VersionChange::Reached(version) => ("reached".to_owned(), Some(version.to_string())),
                VersionChange::WentBack(version) => ("went_back".to_owned(), Some(version.to_string())),
            }),
            merge_request_url: change.merge_request_url.clone(),
        });
    }

    pub(crate) fn put(&self, lease: &Lease, entry: &str, value: &Value) {
        self.add(|| Deed::Put { lease: held(lease), entry: entry.to_owned(), value: value.clone() });
    }

    pub(crate) fn audited(&self, lease: &Lease, line: &AuditEntry) {
        self.add(|| Deed::Audit { lease: held(lease), who: line.who.clone(), what: line.what.clone() });
    }

    pub(crate) fn kept(&self, token: &OpenToken) {
        self.add(|| Deed::Keep {
            lease: held(&token.lease),
            waits_for: token.waits_for.as_str().to_owned(),
            until: token.expires_at,
            token: token.token.clone(),
        });
    }

    pub(crate) fn dropped(&self, token: &OpenToken) {
        self.add(|| Deed::Drop {
            lease: held(&token.lease),
            waits_for: token.waits_for.as_str().to_owned(),
            token: token.token.clone(),
        });
    }

    pub(crate) fn noted(&self, start: &Start) {
        self.add(|| Deed::Note {
            machine: start.machine.to_owned(),
            batch: start.batch_id.as_ref().map(ToString::to_string),
            request: start.request_id.as_str().to_owned(),
            execution_arn: start.execution_arn.clone(),
        });
    }

    pub(crate) fn answered(&self, token: &str, output: &Value) {
        self.add(|| Deed::Answer { token: token.to_owned(), output: output.clone() });
    }

    /// A request that the world has just answered.
    pub(crate) fn sent(&self, request: &Request<Bytes>, answer: &Response<Bytes>, world: &World) {
        if request.method() == Method::GET || is_question(request) {
            return;
        }
        if let Some(tape) = self.lock().as_mut() {
            let Some(to) = world.requests().last().and_then(|seen| addressee(&seen.system)) else { return };
            let url = tape.without_secrets(&request.uri().to_string());
            let body = tape.without_secrets(&String::from_utf8_lossy(request.body()));
            let content_type = request.headers().get("content-type").and_then(|value| value.to_str().ok());
            let deed = Deed::Send {
                to,
                method: request.method().to_string(),
                url,
                content_type: content_type.map(str::to_owned),
                body: serde_json::from_str(&body).unwrap_or(Value::String(body)),
                status: answer.status().as_u16(),
            };
            tape.add(tape.now, deed);
        }
    }
}

impl Tape {
    fn add(&mut self, at: Timestamp, deed: Deed) {
        self.events.push(Event { at, deed });
    }

    fn without_secrets(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, (secret, word)| text.replace(secret, word))
    }

    /// Executions that started or ended since the last look.
    fn look_at_executions(&mut self) {
        for execution in self.service.list_executions() {
            if self.started.insert(execution.arn.clone()) {
                let (machine, name) = (execution.machine.clone(), execution.name.clone());
                self.add(execution.start, Deed::Start { machine, name, input: execution.input });
            }
            if let Some(at) = execution.stop
                && execution.status != Status::Running
                && self.ended.insert(execution.arn)
            {
                let deed = Deed::End {
                    machine: execution.machine,
                    name: execution.name,
                    status: execution.status.as_str().to_owned(),
                    output: execution.output,
                };
                self.add(at, deed);
            }
        }
    }
}

/// Asked by a method that could change something, and changes nothing.
fn is_question(request: &Request<Bytes>) -> bool {
    let uri = request.uri();
    uri.path().ends_with("/api/graphql")
        || uri.path().starts_with("/api/v2/query/")
        || uri.query().is_some_and(|query| query.contains("dryRun=All"))
}

/// Whom a recording names. Credentials are none of its matters.
fn addressee(system: &System) -> Option<String> {
    match system {
        System::GitLab => Some("GitLab".to_owned()),
        System::Slack => Some("Slack".to_owned()),
        System::PagerDuty => Some("PagerDuty".to_owned()),
        System::Kubernetes(cluster) => Some(cluster.clone()),
        System::Datadog | System::Sts | System::Eks | System::Unknown => None,
    }
}

fn held(lease: &Lease) -> Held {
    Held { run: lease.run_id.to_string(), batch: lease.batch_id.to_string(), fence: lease.fence.0 }
}

fn name(function: &str) -> String {
    function.rsplit_once(":guard-").map_or(function, |(_, name)| name).to_owned()
}
