//! The main function of every Lambda.

use std::fmt;
use std::sync::Arc;

use guard_tasks::Task;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use serde_json::Value;

use crate::function::Function;
use crate::metrics::Metrics;
use crate::{InitError, Settings, telemetry};

/// Why a function ended. Its `Debug` is what `main` prints, so it reads as text.
pub enum Fatal {
    /// There is no Lambda around this process.
    OutsideLambda(InitError),
    /// The Runtime API went away or said what nobody understands.
    Runtime(lambda_runtime::Error),
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideLambda(error) => {
                write!(f, "this program is a Lambda function, started outside Lambda: {error}")
            }
            Self::Runtime(error) => write!(f, "Lambda Runtime API: {error}"),
        }
    }
}

impl fmt::Debug for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Fatal {}

/// Reads the settings, composes the task once, and answers invocations for as long as Lambda lets the process live.
///
/// `compose` calls nobody: clients read configuration and secrets at first use. Settings that are wrong stay wrong, so
/// a function that could not start stays too, and answers every invocation with the reason.
pub async fn run<T: Task>(compose: impl FnOnce(Settings) -> T) -> Result<(), Fatal> {
    let settings = Settings::from_environment();
    if let Err(error) = &settings
        && error.is_outside_lambda()
    {
        return Err(Fatal::OutsideLambda(error.clone()));
    }
    telemetry::start(settings.as_ref().map(|settings| settings.log_level).unwrap_or_default());
    let function_name = settings.as_ref().map(|settings| settings.function_name.clone()).unwrap_or_default();
    let metrics = Metrics::on_stdout(&function_name);
    let function = Arc::new(Function::new(settings.map(compose), function_name, metrics));
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let function = Arc::clone(&function);
        async move { function.answer(event).await }
    });
    Runtime::new(handler).run().await.map_err(Fatal::Runtime)
}
