//! A service with machines and functions, run to its end in one call.

use async_trait::async_trait;
use guard_asl::{
    ExecutionDescription, FunctionError, Invocation, Machine, Order, Reply, Step, StepFunctions, TaskRunner,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

type Function = Box<dyn Fn(&StepFunctions, &Invocation) -> Reply + Send + Sync>;

pub(crate) struct World {
    pub(crate) service: StepFunctions,
    functions: BTreeMap<String, Function>,
    calls: Mutex<Vec<Invocation>>,
}

pub(crate) fn start() -> Timestamp {
    "2026-01-05T08:00:00Z".parse().expect("is a timestamp")
}

/// An answer after some seconds.
pub(crate) fn gives(value: Value, seconds: u64) -> Reply {
    Reply { outcome: Ok(value), took: Duration::from_secs(seconds) }
}

/// An error answer, at once.
pub(crate) fn raises(error_type: &str, error_message: &str) -> Reply {
    let error = FunctionError { error_type: error_type.to_owned(), error_message: error_message.to_owned() };
    Reply { outcome: Err(error), took: Duration::ZERO }
}

/// A Task state that calls `function` with its whole input; `more` is merged over it.
pub(crate) fn task(function: &str, more: Value) -> Value {
    merge(
        json!({
            "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": function, "Payload.$": "$"}, "End": true
        }),
        more,
    )
}

/// A machine of one state.
#[expect(clippy::needless_pass_by_value, reason = "a literal reads better without a borrow")]
pub(crate) fn only(state: Value) -> Value {
    json!({"StartAt": "Only", "States": {"Only": state}})
}

/// Fields of `more` over those of `base`; null removes, and `Next` removes `End`.
pub(crate) fn merge(mut base: Value, more: Value) -> Value {
    let (Value::Object(fields), Value::Object(more)) = (&mut base, more) else { panic!("objects only") };
    for (name, value) in more {
        if name == "Next" {
            fields.remove("End");
        }
        if value.is_null() && !name.ends_with("Path") {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
    base
}

impl World {
    pub(crate) fn new() -> Self {
        Self::seeded(7, Order::Fifo)
    }

    pub(crate) fn seeded(seed: u64, order: Order) -> Self {
        let service = StepFunctions::with_order(seed, start(), order);
        Self { service, functions: BTreeMap::new(), calls: Mutex::default() }
    }

    pub(crate) fn machine(self, name: &str, definition: &Value) -> Self {
        let machine = Machine::parse(name, &definition.to_string()).expect("is in the subset");
        self.service.create_state_machine(machine).expect("is new and whole");
        self
    }

    pub(crate) fn function(
        mut self,
        name: &str,
        body: impl Fn(&StepFunctions, &Invocation) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.functions.insert(name.to_owned(), Box::new(body));
        self
    }

    pub(crate) fn starts(&self, machine: &str, input: Value) -> String {
        self.service.start_execution(machine, None, input).expect("starts")
    }

    /// Starts and runs until nothing is planned.
    pub(crate) fn runs(&self, machine: &str, input: Value) -> ExecutionDescription {
        let arn = self.starts(machine, input);
        self.settle();
        self.describe(&arn)
    }

    pub(crate) fn describe(&self, arn: &str) -> ExecutionDescription {
        self.service.describe_execution(arn).expect("was started")
    }

    pub(crate) fn settle(&self) {
        block_on(self.service.run_until_idle(self));
    }

    pub(crate) fn run_for(&self, seconds: i64) {
        let at = self.service.now() + SignedDuration::from_secs(seconds);
        block_on(self.service.run_until(at, self));
    }

    pub(crate) fn step(&self) -> Step {
        block_on(self.service.step(self))
    }

    pub(crate) fn calls(&self) -> Vec<Invocation> {
        self.calls.lock().expect("no call panicked").clone()
    }

    /// Seconds since the start at which `function` was called.
    pub(crate) fn called_at(&self, function: &str) -> Vec<i64> {
        let calls = self.calls();
        let calls = calls.iter().filter(|call| call.function == function);
        calls.map(|call| call.at.duration_since(start()).as_secs()).collect()
    }

    pub(crate) fn kinds(&self, arn: &str) -> Vec<String> {
        self.service.history(arn).into_iter().map(|event| event.kind).collect()
    }

    pub(crate) fn elapsed(&self) -> i64 {
        self.service.now().duration_since(start()).as_secs()
    }
}

#[async_trait]
impl TaskRunner for World {
    async fn invoke(&self, invocation: Invocation) -> Reply {
        self.calls.lock().expect("no call panicked").push(invocation.clone());
        match self.functions.get(&invocation.function) {
            Some(function) => function(&self.service, &invocation),
            None => raises("NoSuchFunction", &invocation.function),
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime of one thread").block_on(future)
}
