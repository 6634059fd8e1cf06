//! A request taken apart once, and the forms of answer.

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// An answer of the world.
pub(crate) type Answer = Response<Bytes>;

/// An answer that ends the work early, boxed to keep results small.
pub(crate) type Refusal = Box<Answer>;

/// A request: its path split and decoded, its query in order, its body.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) host: String,
    pub(crate) path: String,
    /// The path's parts, decoded one by one: an encoded slash stays inside its part.
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn read(request: Request<Bytes>) -> Self {
        let (parts, body) = request.into_parts();
        let host = parts
            .uri
            .authority()
            .map(|a| a.as_str().to_owned())
            .or_else(|| Some(parts.headers.get(header::HOST)?.to_str().ok()?.to_owned()))
            .unwrap_or_default();
        let path = parts.uri.path().to_owned();
        let segments = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let query = form(parts.uri.query().unwrap_or_default());
        Self { method: parts.method, host, path, segments, query, headers: parts.headers, body }
    }

    /// The first query value of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A query value as a number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as a JSON object.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice::<Value>(&self.body).ok().filter(Value::is_object)
    }
}

/// Percent-decodes one part of a path.
fn decode(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// Splits a query or a form body.
pub(crate) fn form(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// A body of any type.
pub(crate) fn body(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

pub(crate) fn json(status: u16, value: &Value) -> Answer {
    body(status, "application/json", value.to_string())
}

pub(crate) fn text(status: u16, value: impl Into<String>) -> Answer {
    body(status, "text/plain; charset=utf-8", value.into())
}

/// Adds a header when its value is legal; a wrong value is left out rather than turned into a panic.
pub(crate) fn with(mut answer: Answer, name: &'static str, value: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

pub(crate) fn base64_of(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub(crate) fn base64_read(text: &str) -> Option<Vec<u8>> {
    let clean: String = text.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(clean).ok()
}

/// Reads base64url without padding, as EKS tokens use it.
pub(crate) fn base64url_read(text: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}
