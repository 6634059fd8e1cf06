//! One invocation: payload in, answer or named error out, and the lines that are written about it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures::FutureExt as _;
use guard_tasks::{JsonTask as _, Task, TaskError};
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde_json::{Map, Value};
use tracing::Instrument as _;

use crate::InitError;
use crate::about::About;
use crate::metrics::{Asked, Metrics, measure};

/// A task behind the Runtime API.
pub(crate) struct Function<T> {
    task: Result<T, InitError>,
    name: String,
    metrics: Metrics,
    was_invoked: AtomicBool,
}

impl<T: Task> Function<T> {
    /// A function that could not start answers every invocation with the reason, as `Rejected`: an early exit would
    /// reach the state machine as `Runtime.ExitError`, which says nothing.
    pub(crate) fn new(task: Result<T, InitError>, name: String, metrics: Metrics) -> Self {
        Self { task, name, metrics, was_invoked: AtomicBool::new(false) }
    }

    pub(crate) async fn answer(&self, event: LambdaEvent<Value>) -> Result<Value, Failure> {
        let (payload, context) = event.into_parts();
        let about = About::of(&payload);
        let span = self.span(&context, &about);
        self.measured(payload, &context, about).instrument(span).await
    }

    /// An error span, so that no level hides it from the lines inside.
    fn span(&self, context: &Context, about: &About) -> tracing::Span {
        tracing::error_span!(
            "invocation",
            service = "guard",
            function_name = self.name,
            function_request_id = context.request_id,
            cold_start = !self.was_invoked.swap(true, Ordering::Relaxed),
            xray_trace_id = context.xray_trace_id,
            execution.name = about.run,
            batch.id = about.batch,
            cluster.id = about.cluster,
            istio.to = about.target,
            state.name = about.state,
            attempt = about.attempt,
        )
    }

    async fn measured(&self, payload: Value, context: &Context, about: About) -> Result<Value, Failure> {
        let (asked, started) = (Asked::of(&payload), Instant::now());
        let outcome = self.outcome(payload).await;
        let took = started.elapsed();
        if outcome.is_ok() {
            let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(duration_ms, "{} answered", T::NAME);
        }
        let mut beside = Map::new();
        beside.insert("function_request_id".to_owned(), Value::from(context.request_id.as_str()));
        if let Some(run) = about.run {
            beside.insert("execution.name".to_owned(), Value::from(run));
        }
        let counted = outcome.as_ref().map_err(|Failure(error)| error.name);
        self.metrics.write(&measure(T::NAME, &asked, counted, took), &beside);
        outcome
    }

    async fn outcome(&self, payload: Value) -> Result<Value, Failure> {
        let task = self.task.as_ref().map_err(|error| {
            let error = TaskError::rejected(error.to_string()).context("the function cannot start");
            tell(&error);
            Failure(error)
        })?;
        // A panic is caught here and not left to the runtime, which would name it after a Rust type.
        match AssertUnwindSafe(task.invoke(payload)).catch_unwind().await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tell(&error);
                Err(Failure(error))
            }
            // The panic hook has written the line already, with the place.
            Err(panic) => Err(Failure(
                TaskError::internal(format!("panicked: {}", message(panic.as_ref()))).context(T::NAME),
            )),
        }
    }
}

/// The one line of a failed invocation.
fn tell(error: &TaskError) {
    tracing::error!(error.name = error.name.as_str(), "{}", error.chain());
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// An error on its way to the Runtime API.
#[derive(Debug)]
pub(crate) struct Failure(TaskError);

/// A failure's message at its longest, in characters: 200 clusters that all fail fit into a state's 256 KiB. The log's
/// line has all of it.
const MESSAGE: usize = 1_000;

impl From<Failure> for Diagnostic {
    fn from(Failure(error): Failure) -> Self {
        let mut error_message = error.chain();
        if let Some((end, _)) = error_message.char_indices().nth(MESSAGE) {
            error_message.replace_range(end.., "...");
        }
        Self { error_type: error.name.as_str().to_owned(), error_message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guard_tasks::ErrorName;
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;
    use std::sync::{Arc, Mutex};

    /// Does what its payload says.
    struct Puppet;

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        act: String,
    }

    impl Task for Puppet {
        const NAME: &'static str = "puppet";
        type Input = Wish;
        type Output = Value;

        async fn run(&self, wish: Wish) -> Result<Value, TaskError> {
            match wish.act.as_str() {
                "panic" => panic!("string {}", "cut"),
                "talk" => Err(TaskError::internal("é".repeat(5_000))),
                "throttle" => Err(TaskError::new(ErrorName::Throttled, "429").context("GET /x")),
                _ => Ok(json!({"done": true})),
            }
        }
    }

    async fn invoke(task: Result<Puppet, InitError>, payload: Value) -> Result<Value, Diagnostic> {
        let function = Function::new(task, "guard-puppet".into(), Metrics::to("guard-puppet", |_| {}));
        function.answer(LambdaEvent::new(payload, Context::default())).await.map_err(Diagnostic::from)
    }

    async fn refused(task: Result<Puppet, InitError>, payload: Value) -> (String, String) {
        let diagnostic = invoke(task, payload).await.unwrap_err();
        (diagnostic.error_type, diagnostic.error_message)
    }

    #[tokio::test]
    async fn an_answer_is_the_output() {
        assert_eq!(invoke(Ok(Puppet), json!({"act": "work"})).await.unwrap(), json!({"done": true}));
    }

    #[tokio::test]
    async fn errors_are_named_by_remedy() {
        let throttled = refused(Ok(Puppet), json!({"act": "throttle"})).await;
        assert_eq!(throttled, ("Throttled".into(), "puppet: GET /x: 429".into()));
        let (name, message) = refused(Ok(Puppet), json!({"acts": "x"})).await;
        assert_eq!(name, "Rejected");
        assert!(message.contains("payload.acts") && message.ends_with("did you mean `act`?"), "{message}");
        let panicked = refused(Ok(Puppet), json!({"act": "panic"})).await;
        assert_eq!(panicked, ("Internal".into(), "puppet: panicked: string cut".into()));
        let (_, long) = refused(Ok(Puppet), json!({"act": "talk"})).await;
        assert_eq!((long.chars().count(), long.ends_with("é...")), (MESSAGE + 3, true));
        let init = InitError::all(vec!["AWS_REGION is not set".into()]);
        let not_started = refused(Err(init), json!({"act": "work"})).await;
        assert_eq!(
            not_started,
            ("Rejected".into(), "the function cannot start: AWS_REGION is not set".into())
        );
    }

    #[tokio::test]
    async fn every_invocation_is_measured() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&written);
        let metrics = Metrics::to("guard-puppet", move |line| kept.lock().unwrap().push(line.clone()));
        let function = Function::new(Ok(Puppet), "guard-puppet".into(), metrics);
        for (act, lines) in [("work", 1), ("throttle", 2), ("panic", 2)] {
            let payload = json!({"act": act});
            _ = function.answer(LambdaEvent::new(payload, Context::default())).await;
            let told: Vec<Value> = written.lock().unwrap().drain(..).collect();
            assert_eq!(told.len(), lines, "{act}: {told:?}");
            assert!(
                told[0]["FunctionName"] == "guard-puppet" && told[0]["TaskDuration"].is_u64(),
                "{told:?}"
            );
        }
    }
}
