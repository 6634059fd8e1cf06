//! The whole framework: a task is a struct of the ports it needs, with a typed input and output.

use std::future::Future;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{PayloadSchema, TaskError};

/// One use case. It may run twice and may die at any point: it looks first, then acts, keyed by names derived from the
/// run.
pub trait Task: Send + Sync + 'static {
    /// Kebab-case; equals the function's folder, its binary and its IAM role's suffix.
    const NAME: &'static str;
    /// Payload of the Lambda.
    type Input: DeserializeOwned + JsonSchema + Send;
    /// Its answer.
    type Output: Serialize + JsonSchema + Send;

    /// Fetches, decides, reports. An `Err` means "no answer"; a "no" is an output.
    fn run(&self, input: Self::Input) -> impl Future<Output = Result<Self::Output, TaskError>> + Send;
}

/// Who calls: beside a task's own input in the payload of every Task state, under the key `meta`. It is for the log and
/// changes nothing that a task does, so whoever calls a function by hand may leave it out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// The state, `$$.State.Name`.
    pub state: String,
    /// How often the state was tried before, `$$.State.RetryCount`.
    pub retry_count: u32,
}

impl Meta {
    /// Its key in a payload.
    pub const KEY: &'static str = "meta";

    /// Takes it out of a payload. One that does not decode is `Rejected` with the field's path.
    fn take(payload: &mut Value) -> Result<Option<Self>, TaskError> {
        let found = payload.as_object_mut().and_then(|fields| fields.remove(Self::KEY));
        found.map(|meta| decode("payload.meta", meta)).transpose()
    }
}

/// A task with its types erased to JSON, as Lambda and the interpreter see it.
#[async_trait]
pub trait JsonTask: Send + Sync {
    /// See [`Task::NAME`].
    fn name(&self) -> &'static str;

    /// Decodes, runs, encodes. A payload that does not decode is `Rejected` with the field's path.
    async fn invoke(&self, payload: Value) -> Result<Value, TaskError>;

    /// Decodes, and does nothing: whether a payload, of an older release for instance, would be taken.
    fn accepts(&self, payload: Value) -> Result<(), TaskError>;
}

#[async_trait]
impl<T: Task> JsonTask for T {
    fn name(&self) -> &'static str {
        T::NAME
    }

    async fn invoke(&self, payload: Value) -> Result<Value, TaskError> {
        let input = input::<T>(payload)?;
        let output = self.run(input).await.map_err(|error| error.context(T::NAME))?;
        serde_json::to_value(output)
            .map_err(|error| TaskError::internal(format!("encode output: {error}")).context(T::NAME))
    }

    fn accepts(&self, payload: Value) -> Result<(), TaskError> {
        input::<T>(payload).map(drop)
    }
}

fn input<T: Task>(mut payload: Value) -> Result<T::Input, TaskError> {
    Meta::take(&mut payload)
        .and_then(|_| decode_payload("payload", payload))
        .map_err(|error| error.context(T::NAME))
}

/// Decodes what may hold a run, of whatever release.
pub(crate) fn decode_payload<T: DeserializeOwned>(what: &str, value: Value) -> Result<T, TaskError> {
    PayloadSchema::check(what, &value)?;
    decode(what, value)
}

/// Decodes a JSON document. The error names the field's path and, for an unknown key, the nearest known one.
pub fn decode<T: DeserializeOwned>(what: &str, value: Value) -> Result<T, TaskError> {
    if !value.is_object() {
        return Err(TaskError::rejected(format!("{what}: expected a JSON object, got {}", kind(&value))));
    }
    decode_any(what, value)
}

/// The same of any JSON value.
pub(crate) fn decode_any<T: DeserializeOwned>(what: &str, value: Value) -> Result<T, TaskError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { what.to_owned() } else { format!("{what}.{path}") };
        let message = error.into_inner().to_string();
        TaskError::rejected(format!("{place}: {message}{}", did_you_mean(&message)))
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// serde lists the known fields in its message; the nearest one is what was meant.
fn did_you_mean(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else { return String::new() };
    let Some((unknown, known)) = rest.split_once('`') else { return String::new() };
    known
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().div_ceil(2))
        .map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "decoded only to see the errors")]
    struct Sample {
        batch_id: String,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "decoded only to see the errors")]
    struct Inner {
        count: u32,
    }

    fn refusal(value: Value) -> String {
        decode::<Sample>("input", value).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_field() {
        assert_eq!(refusal(json!({})), "input: missing field `batch_id`");
        assert_eq!(refusal(json!([])), "input: expected a JSON object, got an array");
        assert!(
            refusal(json!({"batch_id": 5}))
                .starts_with("input.batch_id: invalid type: integer `5`, expected a string")
        );
        assert!(
            refusal(json!({"batch_id": "a", "inner": {"count": "x"}})).starts_with("input.inner.count: ")
        );
    }

    #[test]
    fn who_calls_is_no_part_of_the_input() {
        let mut payload = json!({"batch_id": "a", "meta": {"state": "Soak", "retry_count": 2}});
        let meta = Meta { state: "Soak".into(), retry_count: 2 };
        assert_eq!(Meta::take(&mut payload).unwrap(), Some(meta));
        assert_eq!(payload, json!({"batch_id": "a"}));
        assert_eq!(Meta::take(&mut payload).unwrap(), None);
        let refused = |meta: Value| Meta::take(&mut json!({"meta": meta})).unwrap_err().to_string();
        assert_eq!(refused(json!("Soak")), "payload.meta: expected a JSON object, got a string");
        assert!(refused(json!({"state": "Soak"})).ends_with("missing field `retry_count`"));
        assert!(refused(json!({"state": "Soak", "retrycount": 1})).ends_with("did you mean `retry_count`?"));
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let text = refusal(json!({"batchid": "a"}));
        assert!(
            text.contains("unknown field `batchid`") && text.ends_with("did you mean `batch_id`?"),
            "{text}"
        );
        assert!(!refusal(json!({"zzzzzzzzzzzzz": "a"})).contains("did you mean"));
    }
}
