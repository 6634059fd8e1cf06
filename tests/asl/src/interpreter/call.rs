//! Task states: Lambda functions, task tokens and nested executions.

use super::core::{Activity, BranchId, Call, Core, Visit};
use super::data::Sources;
use super::fault::AttemptFault;
use super::flow::Called;
use super::queue::Event;
use super::runner::{Invocation, Reply};
use crate::error::Failure;
use crate::machine::{Resource, StateKind, Task};
use crate::names::REGION;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// `resourceType` and `resource` of the history's task events.
fn resource_names(resource: Resource) -> (&'static str, &'static str) {
    match resource {
        Resource::Invoke => ("lambda", "invoke"),
        Resource::InvokeWithToken => ("lambda", "invoke.waitForTaskToken"),
        Resource::StartExecutionSync => ("states", "startExecution.sync:2"),
    }
}

/// What an attempt needs, with every path followed.
struct Prepared {
    parameters: Value,
    timeout: Option<u64>,
    heartbeat: Option<u64>,
}

fn prepare(task: &Task, input: &Value, sources: &Sources<'_>) -> Result<Prepared, Failure> {
    let span = |field: &str, quantity: &Option<_>| match quantity {
        None => Ok(None),
        Some(quantity) => match sources.quantity(field, quantity, input)? {
            0 => Err(Failure::runtime(format!("State '{}': {field} must be positive", sources.state))),
            number => Ok(Some(number)),
        },
    };
    let parameters = sources.fill("Parameters", &task.parameters, input)?;
    sources.weigh("parameters", &parameters)?;
    let required = match task.resource {
        Resource::Invoke | Resource::InvokeWithToken => "FunctionName",
        Resource::StartExecutionSync => "StateMachineArn",
    };
    if !parameters.get(required).is_some_and(Value::is_string) {
        let cause = format!("State '{}': {required} must be a string: {parameters}", sources.state);
        return Err(Failure::runtime(cause));
    }
    Ok(Prepared {
        parameters,
        timeout: span("TimeoutSeconds", &task.timeout)?,
        heartbeat: span("HeartbeatSeconds", &task.heartbeat)?,
    })
}

impl Core {
    pub(super) fn begin_call(
        &mut self,
        id: BranchId,
        task: &Task,
        input: &Value,
        fault: Option<AttemptFault>,
    ) -> Called {
        let token = (task.resource == Resource::InvokeWithToken).then(|| self.new_token());
        let branch = self.branches.get(&id)?;
        let state = Arc::clone(&branch.state);
        let context = self.context(branch, token.as_deref());
        let sources = Sources { state: &state.name, context: &context };
        let Prepared { parameters, timeout, heartbeat } = match prepare(task, input, &sources) {
            Ok(prepared) => prepared,
            Err(failure) => return self.fail(id, failure),
        };
        let (kind, resource) = resource_names(task.resource);
        let mut details = json!({
            "resourceType": kind, "resource": resource, "region": REGION, "parameters": parameters,
        });
        if let Some(details) = details.as_object_mut() {
            details.extend(timeout.map(|number| ("timeoutInSeconds".to_owned(), number.into())));
            details.extend(heartbeat.map(|number| ("heartbeatInSeconds".to_owned(), number.into())));
        }
        self.record_on(id, "TaskScheduled", details);
        self.record_on(id, "TaskStarted", json!({"resourceType": kind, "resource": resource}));
        let heartbeats = heartbeat.map(seconds);
        let call =
            Call { token: token.clone(), child: None, heartbeat: heartbeats, beats: 0, fault: fault.clone() };
        let visit = self.revisit(id, Activity::Calling(call))?;
        if let Some(AttemptFault::Fail(error)) = fault {
            return self.call_failed(visit, Failure::new(error, "injected"));
        }
        if let Some(token) = token {
            self.tokens.insert(token, visit);
        }
        if let Some(number) = timeout {
            self.plan_after(seconds(number), Event::TimedOut(visit));
        }
        if let Some(number) = heartbeat {
            self.plan_after(seconds(number), Event::HeartbeatMissed(visit, 0));
        }
        match task.resource {
            Resource::Invoke | Resource::InvokeWithToken => self.invocation(visit, &parameters),
            Resource::StartExecutionSync => self.start_child(visit, &parameters),
        }
    }

    fn invocation(&self, visit: Visit, parameters: &Value) -> Called {
        let branch = self.branches.get(&visit.branch)?;
        let invocation = Invocation {
            function: parameters.get("FunctionName")?.as_str()?.to_owned(),
            payload: parameters.get("Payload").cloned().unwrap_or_else(|| Value::Object(Map::new())),
            execution_arn: Some(branch.execution.clone()),
            state: Some(branch.state.name.clone()),
            attempt: branch.retry_count(),
            at: self.now(),
        };
        Some((visit, invocation))
    }

    fn start_child(&mut self, visit: Visit, parameters: &Value) -> Called {
        let machine = parameters.get("StateMachineArn")?.as_str()?;
        let name = match parameters.get("Name") {
            None => None,
            Some(Value::String(name)) => Some(name.as_str()),
            Some(other) => {
                let cause = format!("the Name of an execution must be a string: {other}");
                return self.call_failed(visit, Failure::runtime(cause));
            }
        };
        let input = parameters.get("Input").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let parent = self.branches.get(&visit.branch)?.execution.clone();
        if self.fault_of(visit) == Some(&AttemptFault::ActTwice) {
            let _ = self.start(machine, name, input.clone(), Some(parent.clone()));
        }
        match self.start(machine, name, input, Some(parent)) {
            Ok(arn) => {
                let start = self.executions.get(&arn)?.start;
                let output = json!({"ExecutionArn": arn, "StartDate": start.as_millisecond()});
                let details =
                    json!({"resourceType": "states", "resource": "startExecution.sync:2", "output": output});
                self.record_on(visit.branch, "TaskSubmitted", details);
                if let Activity::Calling(call) = &mut self.visited(visit)?.activity {
                    call.child = Some(arn.clone());
                }
                self.executions.get_mut(&arn)?.watchers.push(visit);
                None
            }
            Err(error) => {
                // `ExecutionAlreadyExists: ...` -> `StepFunctions.ExecutionAlreadyExistsException`.
                let text = error.to_string();
                let (kind, _) = text.split_once(':').unwrap_or((&text, ""));
                let failure = Failure::new(format!("StepFunctions.{kind}Exception"), text.clone());
                self.call_failed(visit, failure)
            }
        }
    }

    /// A Lambda function's reply has landed.
    pub(super) fn take_reply(&mut self, visit: Visit, reply: Reply) -> Called {
        if let Some(AttemptFault::LoseResult(error)) = self.fault_of(visit) {
            let failure = Failure::new(error.clone(), "the result was lost");
            return self.call_failed(visit, failure);
        }
        let branch = self.visited(visit)?;
        let Activity::Calling(call) = &branch.activity else { return None };
        let has_token = call.token.is_some();
        match reply.outcome {
            Err(error) => {
                let cause = json!({"errorMessage": error.error_message, "errorType": error.error_type});
                self.call_failed(visit, Failure::new(error.error_type, cause.to_string()))
            }
            Ok(payload) => {
                let output = json!({
                    "ExecutedVersion": "$LATEST",
                    "Payload": payload,
                    "SdkHttpMetadata": {"HttpStatusCode": 200},
                    "StatusCode": 200,
                });
                if has_token {
                    // The function only passed the token on: what it says itself is not the result.
                    let details = json!({
                        "resourceType": "lambda", "resource": "invoke.waitForTaskToken", "output": output,
                    });
                    self.record_on(visit.branch, "TaskSubmitted", details);
                    None
                } else {
                    self.call_succeeded(visit, output)
                }
            }
        }
    }

    pub(super) fn call_succeeded(&mut self, visit: Visit, result: Value) -> Called {
        let details = self.task_details(visit, [("output", result.clone())])?;
        let branch = self.visited(visit)?;
        let state = Arc::clone(&branch.state);
        let sources = Sources { state: &state.name, context: &Value::Null };
        // The service fails the task itself, not the state after it, when its result is too large.
        if let Err(failure) = sources.weigh("result", &result) {
            return self.call_failed(visit, failure);
        }
        self.record_on(visit.branch, "TaskSucceeded", details);
        self.complete(visit.branch, result)
    }

    pub(super) fn call_failed(&mut self, visit: Visit, failure: Failure) -> Called {
        let errors = [("error", failure.error.clone().into()), ("cause", failure.cause.clone().into())];
        let details = self.task_details(visit, errors)?;
        self.record_on(visit.branch, "TaskFailed", details);
        self.fail(visit.branch, failure)
    }

    /// The attempt took too long, or its heartbeat stopped. A nested execution is stopped with it.
    pub(super) fn time_out(&mut self, visit: Visit, error: &str) -> Called {
        let details = self.task_details(visit, [("error", error.into())])?;
        self.record_on(visit.branch, "TaskTimedOut", details);
        self.stop_child_of(visit.branch);
        self.fail(visit.branch, Failure::new(error, ""))
    }

    pub(super) fn child_ended(&mut self, visit: Visit, child: &str) -> Called {
        match self.fault_of(visit) {
            Some(AttemptFault::LoseResult(error)) => {
                let failure = Failure::new(error.clone(), "the result was lost");
                return self.call_failed(visit, failure);
            }
            Some(AttemptFault::TimeOut) => return None,
            _ => {}
        }
        let execution = self.executions.get(child)?;
        match execution.sync_result() {
            Ok(result) => self.call_succeeded(visit, result),
            Err(failure) => self.call_failed(visit, failure),
        }
    }

    pub(super) fn stop_child_of(&mut self, id: BranchId) {
        let child = match self.branches.get(&id).map(|branch| &branch.activity) {
            Some(Activity::Calling(call)) => call.child.clone(),
            _ => None,
        };
        if let Some(child) = child {
            self.abort_execution(&child, "", "The execution that waited for this one has ended its task.");
        }
    }

    fn task_details<const N: usize>(&mut self, visit: Visit, more: [(&str, Value); N]) -> Option<Value> {
        let branch = self.visited(visit)?;
        let StateKind::Task(task) = &branch.state.kind else { return None };
        let (kind, resource) = resource_names(task.resource);
        let mut details = Map::new();
        details.insert("resourceType".to_owned(), kind.into());
        details.insert("resource".to_owned(), resource.into());
        details.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Some(Value::Object(details))
    }
}
