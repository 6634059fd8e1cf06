//! One invocation: payload in, answer or named error out, and the lines that are written about it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures::FutureExt as _;
use guard_domain::RunId;
use guard_tasks::{JsonTask, TaskError};
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde_json::Value;
use tracing::Instrument as _;

use crate::InitError;

/// A task behind the Runtime API.
pub(crate) struct Function<T> {
    task: Result<T, InitError>,
    name: String,
    was_invoked: AtomicBool,
}

impl<T: JsonTask> Function<T> {
    /// A function that could not start answers every invocation with the reason, as `Rejected`: an early exit would
    /// reach the state machine as `Runtime.ExitError`, which says nothing.
    pub(crate) fn new(task: Result<T, InitError>, name: String) -> Self {
        Self { task, name, was_invoked: AtomicBool::new(false) }
    }

    pub(crate) async fn answer(&self, event: LambdaEvent<Value>) -> Result<Value, Failure> {
        let (payload, context) = event.into_parts();
        let span = self.span(&context, &payload);
        self.outcome(payload).instrument(span).await
    }

    /// An error span, so that no level hides it from the lines inside.
    fn span(&self, context: &Context, payload: &Value) -> tracing::Span {
        tracing::error_span!(
            "invocation",
            service = "guard",
            function_name = self.name,
            function_request_id = context.request_id,
            cold_start = !self.was_invoked.swap(true, Ordering::Relaxed),
            xray_trace_id = context.xray_trace_id,
            run_id = run_id(payload),
        )
    }

    async fn outcome(&self, payload: Value) -> Result<Value, Failure> {
        let started = Instant::now();
        let task = self.task.as_ref().map_err(|error| {
            let error = TaskError::rejected(error.to_string()).context("the function cannot start");
            tell(&error);
            Failure(error)
        })?;
        // A panic is caught here and not left to the runtime, which would name it after a Rust type.
        match AssertUnwindSafe(task.invoke(payload)).catch_unwind().await {
            Ok(Ok(answer)) => {
                let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(duration_ms, "{} answered", task.name());
                Ok(answer)
            }
            Ok(Err(error)) => {
                tell(&error);
                Err(Failure(error))
            }
            // The panic hook has written the line already, with the place.
            Err(panic) => Err(Failure(
                TaskError::internal(format!("panicked: {}", message(panic.as_ref()))).context(task.name()),
            )),
        }
    }
}

/// The one line of a failed invocation.
fn tell(error: &TaskError) {
    tracing::error!(error.name = error.name.as_str(), "{}", error.chain());
}

/// The run, when the payload names one. Only a name of the right shape: nothing else of a payload is written down.
fn run_id(payload: &Value) -> Option<String> {
    let named = payload.pointer("/run/run_id").or_else(|| payload.get("execution_name"))?.as_str()?;
    RunId::parse(named).ok().map(|id| id.as_str().to_owned())
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// An error on its way to the Runtime API.
#[derive(Debug)]
pub(crate) struct Failure(TaskError);

impl From<Failure> for Diagnostic {
    fn from(Failure(error): Failure) -> Self {
        Self { error_type: error.name.as_str().to_owned(), error_message: error.chain() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guard_tasks::{ErrorName, Task};
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

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
                "throttle" => Err(TaskError::new(ErrorName::Throttled, "429").context("GET /x")),
                _ => Ok(json!({"done": true})),
            }
        }
    }

    async fn invoke(task: Result<Puppet, InitError>, payload: Value) -> Result<Value, Diagnostic> {
        let function = Function::new(task, "guard-puppet".into());
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
        let init = InitError::new("GUARD_CONFIG_FILE is not set");
        let not_started = refused(Err(init), json!({"act": "work"})).await;
        assert_eq!(
            not_started,
            ("Rejected".into(), "the function cannot start: GUARD_CONFIG_FILE is not set".into())
        );
    }

    #[test]
    fn only_a_well_formed_run_is_named() {
        assert_eq!(run_id(&json!({"run": {"run_id": "run-1"}})).as_deref(), Some("run-1"));
        assert_eq!(run_id(&json!({"execution_name": "run-2"})).as_deref(), Some("run-2"));
        for other in
            [json!({}), json!([]), json!({"run": {"run_id": {"a": 1}}}), json!({"run": {"run_id": "a b\n"}})]
        {
            assert_eq!(run_id(&other), None, "{other}");
        }
    }
}
