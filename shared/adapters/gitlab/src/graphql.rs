//! What a GraphQL answer says: data, or errors under a status of 200.

use guard_tasks::{ErrorName, TaskError};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The endpoint.
pub(crate) const PATH: &str = "/api/graphql";

#[derive(Deserialize)]
struct Answer<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    message: String,
}

/// The data of an answer. One that carries errors has no data that could be trusted to be whole.
pub(crate) fn data<T: DeserializeOwned>(body: &[u8]) -> Result<T, TaskError> {
    let answer: Answer<T> = serde_json::from_slice(body)
        .map_err(|error| TaskError::internal(format!("GitLab {PATH}: unreadable answer: {error}")))?;
    if !answer.errors.is_empty() {
        let told: Vec<&str> = answer.errors.iter().map(|error| error.message.as_str()).collect();
        let told = told.join("; ");
        // GitLab's own limits of time pass; anything else is the same the next time.
        let is_late = told.to_lowercase().contains("time");
        let name = if is_late { ErrorName::Transient } else { ErrorName::Internal };
        return Err(TaskError::new(name, format!("GitLab {PATH}: {}", guard_http::clip(&told))));
    }
    answer.data.ok_or_else(|| TaskError::internal(format!("GitLab {PATH}: neither data nor errors")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn an_answer_with_errors_is_an_error_whatever_its_data() {
        let name = |body: &str| data::<Value>(body.as_bytes()).unwrap_err().name;
        assert_eq!(data::<Value>(br#"{"data": {"a": 1}}"#).unwrap()["a"], 1);
        assert_eq!(
            name(r#"{"data": {"a": 1}, "errors": [{"message": "Timeout on blobs"}]}"#),
            ErrorName::Transient
        );
        assert_eq!(name(r#"{"errors": [{"message": "Query has complexity of 300"}]}"#), ErrorName::Internal);
        assert_eq!(name(r#"{"data": null}"#), ErrorName::Internal);
        assert_eq!(name("<html>"), ErrorName::Internal);
    }
}
