//! `Retry` and `Catch`.

use super::{Found, LintRule, LintRules, RetryPolicy};
use crate::machine::{Resource, Retrier, State, StateKind};

/// Names the platform raises for the resources of the subset, or understands as wildcards.
const PLATFORM: [&str; 21] = [
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ResourceNotFoundException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "States.ALL",
    "States.BranchFailed",
    "States.DataLimitExceeded",
    "States.HeartbeatTimeout",
    "States.NoChoiceMatched",
    "States.ParameterPathFailure",
    "States.Permissions",
    "States.ResultPathMatchFailure",
    "States.TaskFailed",
    "States.Timeout",
    "StepFunctions.ExecutionAlreadyExistsException",
    "StepFunctions.ExecutionLimitExceededException",
    "StepFunctions.InvalidNameException",
    "StepFunctions.StateMachineDoesNotExistException",
];

pub(super) fn check(state: &State, rules: &LintRules, found: &mut Found<'_>) {
    let retry: Vec<_> = state.retry().iter().map(|retrier| &retrier.error_equals).collect();
    let catch: Vec<_> = state.catch().iter().map(|catcher| &catcher.error_equals).collect();
    for (field, lists) in [("Retry", &retry), ("Catch", &catch)] {
        for (index, names) in lists.iter().enumerate() {
            check_names(state, &format!("{field}[{index}]"), names, rules, found);
            let has_all = names.iter().any(|name| name == "States.ALL");
            if has_all && (names.len() > 1 || index + 1 < lists.len()) {
                let message = format!("{field}[{index}]: States.ALL must stand alone, and last");
                found.add(LintRule::AllAloneAndLast, &state.name, message);
            }
        }
    }
    if matches!(state.kind, StateKind::Task(_) | StateKind::Map(_))
        && catch.last().is_none_or(|names| names.as_slice() != ["States.ALL"])
    {
        found.add(LintRule::CatchAll, &state.name, "Catch does not end with States.ALL");
    }
    let StateKind::Task(task) = &state.kind else { return };
    let waits = matches!(task.resource, Resource::InvokeWithToken | Resource::StartExecutionSync);
    if waits && let Some(name) = retried_timeout(&task.retry) {
        let message = format!("retries a time-out by {name}, while what it started may still be alive");
        found.add(LintRule::TimeoutNotRetried, &state.name, message);
    }
    if rules.retry_policies.is_empty() {
        return;
    }
    if task.retry.is_empty() {
        found.add(LintRule::RetryNamed, &state.name, "has no Retry");
    } else if let Err(index) = named(&task.retry, &rules.retry_policies) {
        let names: Vec<_> = rules.retry_policies.iter().map(|policy| policy.name.as_str()).collect();
        let message = format!("Retry[{index}] begins none of the policies {}", names.join(", "));
        found.add(LintRule::RetryNamed, &state.name, message);
    }
}

fn check_names(state: &State, place: &str, names: &[String], rules: &LintRules, found: &mut Found<'_>) {
    for name in names {
        let message = if name == "States.Runtime" {
            format!("{place}: the service never matches States.Runtime")
        } else if PLATFORM.contains(&name.as_str()) || rules.error_names.contains(name) {
            continue;
        } else {
            format!("{place}: nobody raises {name:?}")
        };
        found.add(LintRule::ErrorNameKnown, &state.name, message);
    }
}

/// The name by which a time-out would be retried.
fn retried_timeout(retry: &[Retrier]) -> Option<&str> {
    let names =
        retry.iter().filter(|retrier| retrier.max_attempts > 0).flat_map(|retrier| &retrier.error_equals);
    names.map(String::as_str).find(|name| matches!(*name, "States.Timeout" | "States.ALL"))
}

/// Whether the Retriers are whole policies, one after the other; the error is the index of the first that is
/// not. Longer policies are tried first, so that one policy may begin like another.
fn named(retry: &[Retrier], policies: &[RetryPolicy]) -> Result<(), usize> {
    let mut policies: Vec<_> = policies.iter().filter(|policy| !policy.retriers.is_empty()).collect();
    policies.sort_by_key(|policy| std::cmp::Reverse(policy.retriers.len()));
    let mut rest = retry;
    while !rest.is_empty() {
        let Some(policy) = policies.iter().find(|policy| rest.starts_with(&policy.retriers)) else {
            return Err(retry.len() - rest.len());
        };
        rest = rest.get(policy.retriers.len()..).unwrap_or_default();
    }
    Ok(())
}
