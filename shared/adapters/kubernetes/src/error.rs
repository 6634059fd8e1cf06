//! Refusals of an API server, named where the status is seen, and carried through kube.

use bytes::Bytes;
use guard_http::{TransportError, refusal};
use guard_tasks::{Context as _, ErrorName, TaskError};
use http::{Response, StatusCode};
use serde::Deserialize;

/// What [`crate::client`] gives kube as its service's error, and [`task_error`] takes back out.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Refusal {
    status: Option<StatusCode>,
    /// Where an expired list may be gone on with.
    go_on: Option<String>,
    error: TaskError,
}

/// The part of a Kubernetes Status object that says why.
#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default, rename = "continue")]
    go_on: Option<String>,
}

impl Refusal {
    pub(crate) fn of_answer(answer: &Response<Bytes>, label: &str) -> Self {
        let status = answer.status();
        // A missing API and an overloaded server answer in plain text, not with a Status object.
        let told = serde_json::from_slice::<Status>(answer.body());
        let go_on = told.as_ref().ok().and_then(|told| told.metadata.go_on.clone());
        let detail = told.map_or_else(
            |_| String::from_utf8_lossy(answer.body()).into_owned(),
            |told| match (told.reason.as_str(), told.message.as_str()) {
                (reason, "") => reason.to_owned(),
                ("", message) => message.to_owned(),
                (reason, message) => format!("{reason}: {message}"),
            },
        );
        Self { status: Some(status), go_on, error: refusal(label, status, answer.headers(), &detail) }
    }

    pub(crate) fn unanswered(error: &TransportError, label: &str) -> Self {
        Self { status: None, go_on: None, error: TaskError::from(error).context(label) }
    }

    /// The same for a way out that is not our own.
    #[cfg(feature = "kubeconfig")]
    pub(crate) fn unanswered_because(error: TaskError) -> Self {
        Self { status: None, go_on: None, error }
    }
}

/// The status an API server refused with, if that is what happened.
pub(crate) fn status(error: &kube::Error) -> Option<StatusCode> {
    refusal_in(error).and_then(|refusal| refusal.status)
}

/// The token with which an API server lets an expired list be gone on with, in the state of then.
pub(crate) fn go_on(error: &kube::Error) -> Option<String> {
    refusal_in(error)?.go_on.clone().filter(|token| !token.is_empty())
}

fn refusal_in(error: &kube::Error) -> Option<&Refusal> {
    match error {
        kube::Error::Service(cause) => cause.downcast_ref::<Refusal>(),
        _ => None,
    }
}

/// Everything kube can say. What is not a refusal is an answer or a request that nobody foresaw.
pub(crate) fn task_error(error: &kube::Error) -> TaskError {
    match (refusal_in(error), error) {
        (Some(refusal), _) => refusal.error.clone(),
        (None, kube::Error::SerdeError(cause)) => {
            TaskError::internal(format!("Kubernetes: unreadable answer: {cause}"))
        }
        (None, other) => TaskError::internal(format!("Kubernetes: {}", guard_http::clip(&other.to_string()))),
    }
}

/// An answer that is no JSON of its kind. The answer itself stays out: it may hold what nobody should see in a log.
pub(crate) fn unreadable(cause: &serde_json::Error) -> TaskError {
    TaskError::internal(format!("Kubernetes: unreadable answer: {cause}"))
}

/// `Rejected`, since no retry installs a missing API.
pub(crate) fn missing_group(group: &str) -> TaskError {
    let text = format!("the cluster has no API group {group}: is Flux installed, and may GUARD see it?");
    TaskError::new(ErrorName::Rejected, text)
}

/// Shorthand for mapping a kube result.
pub(crate) fn named<T>(result: kube::Result<T>, doing: &str) -> Result<T, TaskError> {
    result.map_err(|error| task_error(&error)).context(doing)
}
