//! `merge-webhook`: does this delivery mean that somebody waits no longer than necessary?
//!
//! Answers the Git server's webhook through a function URL. A delivery is believed in one thing only, "look now": it wakes
//! `watch-merges`, which asks the Git server itself. One that is lost, forged, repeated or late costs a minute or a look,
//! never a wrong step. Safe to run twice for the same reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::task::Task;
use crate::{Clock, Context as _, DeliveryReader, News, TaskError, WatcherWaker};

/// The largest body that is read, in bytes as they arrive. Deliveries about merge requests have a few kilobytes; a long
/// description brings hundreds.
const LARGEST_BODY: usize = 1024 * 1024;

/// The task.
pub struct MergeWebhook {
    /// What the Git server delivers.
    pub deliveries: Arc<dyn DeliveryReader>,
    /// Who looks.
    pub watcher: Arc<dyn WatcherWaker>,
    /// Time: a delivery may be too old.
    pub clock: Arc<dyn Clock>,
}

/// Payload: an HTTP request in the form of Lambda's function URLs, version 2.0. It comes from anybody, so everything that
/// may be missing may be missing, and what is not used is not looked at.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// What the service says about the request.
    pub request_context: RequestContext,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body; absent when there is none.
    pub body: Option<String>,
    /// Whether the body is base64.
    #[serde(default)]
    pub is_base64_encoded: bool,
}

/// `requestContext`.
#[derive(Deserialize, JsonSchema)]
pub struct RequestContext {
    /// The request line.
    pub http: RequestLine,
}

/// `requestContext.http`.
#[derive(Deserialize, JsonSchema)]
pub struct RequestLine {
    /// `POST`.
    pub method: String,
}

/// Answer: an HTTP response.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// 202: the watcher was woken. 204: nothing to do. 401: the secret is another one. 400, 405, 413: no delivery.
    pub status_code: u16,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Always empty: a stranger learns nothing.
    pub body: String,
}

impl Task for MergeWebhook {
    const NAME: &'static str = "merge-webhook";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input) -> Result<Output, TaskError> {
        if input.request_context.http.method != "POST" {
            return Ok(status(405).with("allow", "POST"));
        }
        let Input { headers, body, is_base64_encoded, .. } = input;
        let body = body.unwrap_or_default();
        if body.len() > LARGEST_BODY {
            return Ok(status(413));
        }
        let body = if is_base64_encoded { BASE64_STANDARD.decode(&body) } else { Ok(body.into_bytes()) };
        // What is no base64 is no document either; who sent it is looked at first all the same.
        let body = body.unwrap_or_default();
        let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let now = self.clock.now();
        Ok(match self.deliveries.read(&headers, &body, now).await.context("read the delivery")? {
            News::NotAuthentic => status(401),
            News::Unreadable => status(400),
            News::Other => status(204),
            News::MergeRequestEnded => {
                self.watcher.wake().await.context("wake the watcher")?;
                status(202)
            }
        })
    }
}

fn status(status_code: u16) -> Output {
    Output { status_code, headers: BTreeMap::new(), body: String::new() }
}

impl Output {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::decode;
    use crate::{ErrorName, JsonTask as _};
    use async_trait::async_trait;
    use jiff::Timestamp;
    use serde_json::{Value, json};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Waker};

    /// Reads the news off the body, for who knows the word.
    struct Words;

    #[async_trait]
    impl DeliveryReader for Words {
        async fn read(
            &self,
            headers: &BTreeMap<String, String>,
            body: &[u8],
            now: Timestamp,
        ) -> Result<News, TaskError> {
            assert_eq!(now, Timestamp::UNIX_EPOCH);
            if headers.get("x-word").is_none_or(|word| word != "hush") {
                return Ok(News::NotAuthentic);
            }
            match body {
                b"merged" => Ok(News::MergeRequestEnded),
                b"opened" => Ok(News::Other),
                b"out of order" => Err(TaskError::new(ErrorName::Throttled, "400")),
                _ => Ok(News::Unreadable),
            }
        }
    }

    struct Epoch;

    impl Clock for Epoch {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    #[derive(Default)]
    struct Sleeper {
        woken: AtomicUsize,
        is_gone: bool,
    }

    #[async_trait]
    impl WatcherWaker for Sleeper {
        async fn wake(&self) -> Result<(), TaskError> {
            self.woken.fetch_add(1, Ordering::Relaxed);
            if self.is_gone { Err(TaskError::rejected("404")) } else { Ok(()) }
        }
    }

    /// The ports here never wait.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    fn answered(payload: Value, sleeper: &Arc<Sleeper>) -> Result<Value, TaskError> {
        let task =
            MergeWebhook { deliveries: Arc::new(Words), watcher: sleeper.clone(), clock: Arc::new(Epoch) };
        now(task.invoke(payload))
    }

    /// The status, and how often the watcher was woken.
    fn status_of(payload: Value) -> (u64, usize) {
        let sleeper = Arc::default();
        let answer = answered(payload, &sleeper).unwrap();
        assert_eq!(answer["body"], "", "a stranger learns nothing");
        (answer["statusCode"].as_u64().unwrap(), sleeper.woken.load(Ordering::Relaxed))
    }

    fn post(word: &str, body: &str) -> Value {
        json!({
            "version": "2.0", "rawPath": "/", "isBase64Encoded": false, "body": body,
            "headers": {"X-Word": word, "host": "x.lambda-url.eu-west-1.on.aws"},
            "requestContext": {"http": {"method": "POST", "path": "/", "sourceIp": "192.0.2.1"}, "timeEpoch": 1},
        })
    }

    fn with(mut payload: Value, key: &str, value: Value) -> Value {
        payload[key] = value;
        payload
    }

    #[test]
    fn an_end_wakes_the_watcher_and_nothing_else_does() {
        assert_eq!(status_of(post("hush", "merged")), (202, 1));
        assert_eq!(status_of(post("hush", "opened")), (204, 0));
        assert_eq!(status_of(post("hush", "?")), (400, 0));
        assert_eq!(status_of(post("guess", "merged")), (401, 0));
        assert_eq!(status_of(with(post("hush", "merged"), "headers", json!({}))), (401, 0));
    }

    #[test]
    fn a_body_may_be_base64_or_missing_or_nonsense() {
        let encoded = |body: &str| with(post("hush", body), "isBase64Encoded", json!(true));
        assert_eq!(status_of(encoded("bWVyZ2Vk")), (202, 1));
        assert_eq!(status_of(encoded("merged!")), (400, 0));
        assert_eq!(status_of(with(post("hush", ""), "body", Value::Null)), (400, 0));
        let mut bare = post("hush", "");
        bare.as_object_mut().unwrap().retain(|key, _| key == "requestContext");
        assert_eq!(status_of(bare), (401, 0));
    }

    #[test]
    fn only_a_post_of_a_sane_size_is_read() {
        let get = with(post("hush", "merged"), "requestContext", json!({"http": {"method": "GET"}}));
        let sleeper = Arc::default();
        let answer = answered(get, &sleeper).unwrap();
        assert_eq!(answer, json!({"statusCode": 405, "headers": {"allow": "POST"}, "body": ""}));
        assert_eq!(status_of(post("hush", &"x".repeat(LARGEST_BODY))), (400, 0));
        assert_eq!(status_of(post("hush", &"x".repeat(LARGEST_BODY + 1))), (413, 0));
    }

    #[test]
    fn what_cannot_be_answered_is_an_error() {
        let error = answered(post("hush", "out of order"), &Arc::default()).unwrap_err();
        assert_eq!(error.chain(), "merge-webhook: read the delivery: 400");
        let gone = Arc::new(Sleeper { is_gone: true, ..Sleeper::default() });
        let error = answered(post("hush", "merged"), &gone).unwrap_err();
        assert_eq!(error.chain(), "merge-webhook: wake the watcher: 404");
        let error = decode::<Input>("payload", json!({"headers": {}})).err().unwrap();
        assert_eq!(error.chain(), "payload: missing field `requestContext`");
    }
}
