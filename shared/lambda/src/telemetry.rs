//! What a function writes: one JSON object a line, on standard output.

use std::panic::PanicHookInfo;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::log_line::LogLine;

/// How much is written, of GUARD's own crates. Others never write more than `INFO`: at finer levels they show the
/// bodies and headers of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogLevel(LevelFilter);

impl LogLevel {
    /// For the text that refuses another word.
    pub(crate) const WORDS: &str = "trace, debug, info, warn, error, fatal, off";

    /// A word of `AWS_LAMBDA_LOG_LEVEL` or `RUST_LOG`, in any case.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let level = match word.trim().to_ascii_lowercase().as_str() {
            "trace" => LevelFilter::TRACE,
            "debug" => LevelFilter::DEBUG,
            "info" => LevelFilter::INFO,
            "warn" => LevelFilter::WARN,
            // Lambda knows one above; GUARD has nothing to say there that is no error.
            "error" | "fatal" => LevelFilter::ERROR,
            "off" => LevelFilter::OFF,
            _ => return None,
        };
        Some(Self(level))
    }

    fn wants(self, metadata: &Metadata<'_>) -> bool {
        if *metadata.level() > self.0 {
            return false;
        }
        let target = metadata.target();
        // The runtime writes a line for every error that a handler returns; `function` has written a better one.
        let is_repetition = target.starts_with("lambda_runtime::layers::panic");
        !is_repetition && (*metadata.level() <= Level::INFO || target.starts_with("guard_"))
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self(LevelFilter::INFO)
    }
}

/// Starts writing. A second start is left without effect: the first one goes on.
pub(crate) fn start(level: LogLevel) {
    if tracing::subscriber::set_global_default(subscriber(level, std::io::stdout)).is_ok() {
        std::panic::set_hook(Box::new(tell_panic));
    }
}

fn subscriber<W>(level: LogLevel, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .event_format(LogLine)
        .fmt_fields(JsonFields::new())
        .with_ansi(false)
        .with_writer(writer)
        .with_filter(filter_fn(move |metadata| metadata.is_span() || level.wants(metadata)));
    tracing_subscriber::registry().with(layer)
}

/// The one line of a panic, with its place; it is written inside the invocation's span.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload_as_str().unwrap_or("no message");
    tracing::error!(error.name = "Internal", panic.location = location, "panicked: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(level: &str, act: impl FnOnce()) -> Vec<Value> {
        let paper = Paper::default();
        let copy = paper.clone();
        let level = LogLevel::parse(level).unwrap();
        tracing::subscriber::with_default(subscriber(level, move || copy.clone()), act);
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_carries_the_fields_of_its_spans() {
        let lines = written("INFO", || {
            let span = tracing::error_span!("invocation", function_name = "guard-decide", cold_start = true);
            let _entered = span.enter();
            tracing::info!(duration_ms = 5, "answered \"well\"");
        });
        let [line] = &lines[..] else { panic!("one line") };
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "answered \"well\"");
        assert_eq!(line["function_name"], "guard-decide");
        assert_eq!(line["cold_start"], true);
        assert_eq!(line["duration_ms"], 5);
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
        assert!(line["location"].as_str().unwrap().contains("telemetry.rs:"));
    }

    /// Every place of a call that can hold a secret, at the finest level.
    #[test]
    fn a_call_is_told_without_its_secrets() {
        let call = |system, uri: &str| {
            let request = http_request(uri);
            guard_http::Call::new(system, request, std::time::Duration::from_secs(1))
        };
        let lines = written("trace", || {
            let transport = guard_http::Traced(|call: guard_http::Call| {
                tracing::trace!(target: "guard_http::test", "{call:?}");
                let mut answer = http::Response::new(bytes::Bytes::from_static(b"hush-answer"));
                answer.headers_mut().insert("set-cookie", "hush-cookie".parse().unwrap());
                let is_chat = call.system == guard_http::System::Slack;
                *answer.status_mut() = http::StatusCode::from_u16(if is_chat { 503 } else { 200 }).unwrap();
                Ok(answer)
            });
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                use guard_http::Transport as _;
                let span = tracing::error_span!("invocation", execution.name = "run-1");
                let calls = async {
                    let sts =
                        call(guard_http::System::Sts, "https://sts.example/?X-Amz-Signature=hush-query");
                    transport.send(sts).await.unwrap();
                    let chat = call(guard_http::System::Slack, "https://hooks.example/services/hush-path");
                    transport.send(chat.named("post message")).await.unwrap();
                };
                tracing::Instrument::instrument(calls, span).await;
            });
        });
        let text = format!("{lines:?}");
        assert!(!text.contains("hush"), "{text}");
        let told: Vec<&Value> = lines.iter().filter(|line| line["status"].is_u64()).collect();
        let [sts, chat] = &told[..] else { panic!("{text}") };
        assert_eq!(
            (&sts["system"], &sts["operation"], &sts["level"]),
            (&"STS".into(), &"POST /".into(), &"DEBUG".into())
        );
        assert_eq!((&chat["operation"], &chat["level"]), (&"post message".into(), &"INFO".into()));
        assert!(chat["duration_ms"].is_u64() && chat["execution.name"] == "run-1", "{chat}");
    }

    fn http_request(uri: &str) -> http::Request<bytes::Bytes> {
        http::Request::post(uri)
            .header("authorization", "Bearer hush-token")
            .header("private-token", "hush-token")
            .body(bytes::Bytes::from_static(b"{\"routing_key\": \"hush-body\"}"))
            .unwrap()
    }

    #[test]
    fn a_span_is_kept_for_errors_when_only_errors_are_wanted() {
        let lines = written("error", || {
            let _entered = tracing::error_span!("invocation", function_request_id = "r-1").entered();
            tracing::info!("not wanted");
            tracing::error!(error.name = "Rejected", "wanted");
        });
        let [line] = &lines[..] else { panic!("one line") };
        assert_eq!(line["function_request_id"], "r-1");
        assert_eq!(line["error.name"], "Rejected");
    }

    #[test]
    fn others_never_show_bodies_and_the_runtime_does_not_repeat_errors() {
        let lines = written("trace", || {
            tracing::trace!(target: "aws_smithy_runtime::client", "headers and bodies");
            tracing::debug!(target: "lambda_runtime::runtime", "payload");
            tracing::error!(target: "lambda_runtime::layers::panic", "again");
            tracing::info!(target: "hyper", "fine");
            tracing::debug!(target: "guard_lambda::function", "own");
        });
        let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(messages, ["fine", "own"]);
    }
}
