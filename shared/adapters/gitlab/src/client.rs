//! Requests with the token, answers as JSON, refusals with names.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use guard_http::{Call, System, Transport, refusal};
use guard_tasks::{Context as _, ErrorName, TaskError};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{graphql, remedy};

/// GitLab's own web time-out is a minute; a commit of a hundred files takes seconds.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The most GitLab gives on one page.
const PAGE_SIZE: &str = "100";

/// Pages of one list: ten thousand entries are a server that repeats itself.
const MAX_PAGES: usize = 100;

/// What a path segment keeps as it is. A slash is not in it: project, branch and file path are one segment each.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(crate) struct Client {
    transport: Arc<dyn Transport>,
    base_url: String,
    token: SecretString,
}

/// An answer that is no success, before it is an error: some callers know what to make of it.
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    /// GitLab's own words.
    pub(crate) detail: String,
    error: TaskError,
}

impl Refused {
    /// What was asked for is not there.
    pub(crate) fn is_absent(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && !self.detail.contains("Project Not Found")
    }
}

impl From<Refused> for TaskError {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

/// What came of a call that was answered.
pub(crate) type Answered<T> = Result<T, Refused>;

/// Percent-encodes one path segment.
pub(crate) fn segment(raw: &str) -> String {
    utf8_percent_encode(raw, SEGMENT).to_string()
}

impl Client {
    pub(crate) fn new(transport: Arc<dyn Transport>, base_url: &str, token: SecretString) -> Self {
        Self { transport, base_url: base_url.trim_end_matches('/').to_owned(), token }
    }

    /// `GET /projects/<project>/<path>?<query>`.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        project: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Answered<T>, TaskError> {
        let answered = self.call(Method::GET, project, path, query, None).await?;
        decode(answered, path)
    }

    /// `GET /<path>` of GitLab itself, outside of any project.
    pub(crate) async fn get_of_instance<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Answered<T>, TaskError> {
        let url = format!("{}/api/v4/{path}", self.base_url);
        decode(self.send(Method::GET, url, None).await?, path)
    }

    /// Every page of a list.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        project: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Answered<Vec<T>>, TaskError> {
        match self.list_up_to(MAX_PAGES, project, path, query).await? {
            Ok(Some(all)) => Ok(Ok(all)),
            Ok(None) => {
                Err(TaskError::internal(format!("GitLab GET {path}: no end after {MAX_PAGES} pages")))
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Every page of a list, `None` where it has more than so many.
    pub(crate) async fn list_up_to<T: DeserializeOwned>(
        &self,
        pages: usize,
        project: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Answered<Option<Vec<T>>>, TaskError> {
        let mut all = Vec::new();
        let mut page = "1".to_owned();
        for _ in 0..pages {
            let mut query = query.to_vec();
            query.extend([("per_page", PAGE_SIZE), ("page", page.as_str())]);
            let (headers, body) = match self.call(Method::GET, project, path, &query, None).await? {
                Ok(answer) => answer,
                Err(refused) => return Ok(Err(refused)),
            };
            let next = headers.get("x-next-page").and_then(|value| value.to_str().ok()).unwrap_or_default();
            let next = next.trim().to_owned();
            match decode::<Vec<T>>(Ok((headers, body)), path)? {
                Ok(items) => all.extend(items),
                Err(refused) => return Ok(Err(refused)),
            }
            if next.is_empty() {
                return Ok(Ok(Some(all)));
            }
            page = next;
        }
        Ok(Ok(None))
    }

    /// A question by GraphQL. It changes nothing, so asking twice is asking once.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        query: &str,
        variables: &Value,
    ) -> Result<T, TaskError> {
        let url = format!("{}/api/graphql", self.base_url);
        let body = json!({ "query": query, "variables": variables });
        let (_, body) = self.send(Method::POST, url, Some(&body)).await??;
        graphql::data(&body)
    }

    /// `POST` or `PUT` with a JSON body.
    pub(crate) async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        project: &str,
        path: &str,
        body: &Value,
    ) -> Result<Answered<T>, TaskError> {
        let answered = self.call(method, project, path, &[], Some(body)).await?;
        decode(answered, path)
    }

    /// `DELETE`, whose answer is empty.
    pub(crate) async fn delete(&self, project: &str, path: &str) -> Result<Answered<()>, TaskError> {
        Ok(self.call(Method::DELETE, project, path, &[], None).await?.map(|_| ()))
    }

    async fn call(
        &self,
        method: Method,
        project: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answered<(HeaderMap, Bytes)>, TaskError> {
        let mut url = format!("{}/api/v4/projects/{}", self.base_url, segment(project));
        if !path.is_empty() {
            url = format!("{url}/{path}");
        }
        for (index, (name, value)) in query.iter().enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            url = format!("{url}{mark}{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        self.send(method, url, body).await
    }

    async fn send(
        &self,
        method: Method,
        url: String,
        body: Option<&Value>,
    ) -> Result<Answered<(HeaderMap, Bytes)>, TaskError> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, self.token_header()?);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request
            .body(Bytes::from(body))
            .map_err(|error| TaskError::rejected(format!("GitLab at `{}`: {error}", self.base_url)))?;
        let is_question = request.uri().path().ends_with(graphql::PATH);
        let call = Call::new(System::Gitlab, request, TIMEOUT);
        let call = if is_question { call.repeatable() } else { call };
        let label = call.label();
        let answer = self.transport.send(call).await.map_err(TaskError::from).context(&label)?;
        let status = answer.status();
        if status.is_success() {
            let (parts, body) = answer.into_parts();
            return Ok(Ok((parts.headers, body)));
        }
        let detail = detail_of(answer.body());
        let told = remedy::with_remedy(status, &detail);
        let mut error = refusal(&label, status, answer.headers(), &told);
        error.name = remedy::name(status, &detail).unwrap_or(error.name);
        Ok(Err(Refused { status, detail, error }))
    }

    fn token_header(&self) -> Result<HeaderValue, TaskError> {
        let bearer = format!("Bearer {}", self.token.expose_secret().trim());
        let mut value = HeaderValue::from_str(&bearer).map_err(|_| {
            TaskError::new(ErrorName::Denied, "the GitLab token holds characters that no token has")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn decode<T: DeserializeOwned>(
    answered: Answered<(HeaderMap, Bytes)>,
    path: &str,
) -> Result<Answered<T>, TaskError> {
    match answered {
        Ok((_, body)) => serde_json::from_slice(&body)
            .map(Ok)
            .map_err(|error| TaskError::internal(format!("GitLab {path}: unreadable answer: {error}"))),
        Err(refused) => Ok(Err(refused)),
    }
}

/// GitLab's words in any of its shapes: `message` as text, list or object, `error` with `error_description`, or a page
/// of a proxy before it.
fn detail_of(body: &[u8]) -> String {
    let Ok(Value::Object(told)) = serde_json::from_slice::<Value>(body) else {
        return String::from_utf8_lossy(body).into_owned();
    };
    let words = ["message", "error", "error_description"].iter().filter_map(|key| told.get(*key)).map(plain);
    words.collect::<Vec<_>>().join(": ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join("; "),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name} {}", plain(value)))
            .collect::<Vec<_>>()
            .join("; "),
        other => other.to_string(),
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_a_refusal_is_read() {
        let table = [
            (r#"{"message":"404 Project Not Found"}"#, "404 Project Not Found"),
            (r#"{"message":["one","two"]}"#, "one; two"),
            (r#"{"message":{"title":["can't be blank"]}}"#, "title can't be blank"),
            (
                r#"{"error":"invalid_token","error_description":"Token is expired."}"#,
                "invalid_token: Token is expired.",
            ),
            ("<html>maintenance</html>", "<html>maintenance</html>"),
            ("", ""),
        ];
        for (body, expected) in table {
            assert_eq!(detail_of(body.as_bytes()), expected);
        }
    }

    #[test]
    fn a_segment_holds_no_slash() {
        assert_eq!(segment("platform/fleet"), "platform%2Ffleet");
        assert_eq!(segment("a b/ü.yaml"), "a%20b%2F%C3%BC.yaml");
    }
}
