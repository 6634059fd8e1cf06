//! What a definition must keep to beyond being runnable: the house rules, found before anything runs.

mod graph;
mod recovery;

use crate::error::ParseError;
use crate::machine::{Machine, Quantity, Resource, Retrier, State, StateKind};
use crate::path::Path;
use std::collections::BTreeSet;
use std::fmt;

/// What the caller knows and the machine must keep to.
#[derive(Debug, Clone, Default)]
pub struct LintRules {
    /// Error names of the caller's own functions; the platform's are known.
    pub error_names: BTreeSet<String>,
    /// Policies that each Task's `Retry` is made of. Empty: `Retry` is not checked.
    pub retry_policies: Vec<RetryPolicy>,
}

/// A named list of Retriers.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Its name, for messages.
    pub name: String,
    /// The Retriers, in order.
    pub retriers: Vec<Retrier>,
}

impl RetryPolicy {
    /// Reads a JSON array of Retriers, by the rules of `Retry`.
    pub fn parse(name: &str, json: &str) -> Result<Self, ParseError> {
        Ok(Self { name: name.to_owned(), retriers: crate::parse::retry_policy(name, json)? })
    }
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LintProblem {
    /// Which rule.
    pub rule: LintRule,
    /// The machine.
    pub machine: String,
    /// The state; `None` for the machine as a whole.
    pub state: Option<String>,
    /// What is wrong here.
    pub message: String,
}

impl fmt::Display for LintProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.machine)?;
        if let Some(state) = &self.state {
            write!(formatter, ", state {state}")?;
        }
        write!(formatter, ": {} ({:?})", self.message, self.rule)
    }
}

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LintRule {
    /// `StartAt`, `Next`, `Default` or a Catcher leads to a state that is not in the same graph.
    NextExists,
    /// A state that no transition leads to.
    Reachable,
    /// A cycle without a pause (Wait, `waitForTaskToken` or `startExecution.sync:2`) spins through the 25,000
    /// events of a history in minutes.
    LoopPauses,
    /// Every state says why it is there.
    Comment,
    /// Without `TimeoutSeconds` a Task waits for 99,999,999 seconds.
    Timeout,
    /// A heartbeat must be due before the time-out, or it means nothing.
    HeartbeatBeforeTimeout,
    /// An error name in `ErrorEquals` that nobody raises, or that the service never matches.
    ErrorNameKnown,
    /// `States.ALL` stands alone in its `ErrorEquals`, and last: the service refuses anything else.
    AllAloneAndLast,
    /// A Task or Map ends its `Catch` with `States.ALL`.
    CatchAll,
    /// A Task's `Retry` is made of named policies, and is there.
    RetryNamed,
    /// A nested start or a token is not asked for again after `States.Timeout`: the first may still be alive.
    TimeoutNotRetried,
    /// A Choice has a `Default`: it cannot catch `States.NoChoiceMatched` itself.
    Default,
    /// A `waitForTaskToken` task passes `$$.Task.Token` on, or nobody can answer it.
    TokenPassed,
    /// A path reads what was produced on every route: `States.Runtime`, which nothing catches, otherwise.
    PathProduced,
    /// A payload has the keys that its function knows, and all it requires.
    PayloadKeys,
    /// What a payload holds is what its function takes.
    PayloadFits,
    /// A task calls a function whose payload is known, or a machine that is there; a machine is started.
    ContractKnown,
    /// `SecondsPath`, `TimeoutSecondsPath`, `MaxConcurrencyPath` read whole numbers.
    QuantityIsWhole,
    /// `ErrorPath`, `CausePath`, `TimestampPath` and an execution's name are strings.
    TextIsString,
    /// `ItemsPath` reads an array.
    ItemsAreArray,
    /// A rule compares what may be of the comparison's type.
    ComparisonFits,
    /// A rule of a Choice can hold: its constant is one that the variable may be.
    RuleCanHold,
    /// `ResultPath` leads through objects only.
    ResultPlaced,
}

/// Every broken rule, state by state.
pub fn lint(machine: &Machine, rules: &LintRules) -> Vec<LintProblem> {
    let mut found = Found { machine: &machine.name, problems: Vec::new() };
    for graph in machine.graphs() {
        graph::check(graph, &mut found);
    }
    for state in machine.states() {
        if state.comment.as_ref().is_none_or(|comment| comment.trim().is_empty()) {
            found.add(LintRule::Comment, &state.name, "has no Comment");
        }
        check_task(state, &mut found);
        if let StateKind::Choice(choice) = &state.kind
            && choice.default.is_none()
        {
            found.add(LintRule::Default, &state.name, "has no Default");
        }
        recovery::check(state, rules, &mut found);
    }
    found.problems.sort();
    found.problems
}

struct Found<'m> {
    machine: &'m str,
    problems: Vec<LintProblem>,
}

impl Found<'_> {
    fn add(&mut self, rule: LintRule, state: &str, message: impl Into<String>) {
        self.problems.push(LintProblem {
            rule,
            machine: self.machine.to_owned(),
            state: Some(state.to_owned()),
            message: message.into(),
        });
    }

    fn add_to_machine(&mut self, rule: LintRule, message: impl Into<String>) {
        self.problems.push(LintProblem {
            rule,
            machine: self.machine.to_owned(),
            state: None,
            message: message.into(),
        });
    }
}

fn check_task(state: &State, found: &mut Found<'_>) {
    let StateKind::Task(task) = &state.kind else { return };
    match (&task.timeout, &task.heartbeat) {
        (None, _) => found.add(LintRule::Timeout, &state.name, "has no TimeoutSeconds"),
        (Some(Quantity::Fixed(0)), _) => {
            found.add(LintRule::Timeout, &state.name, "TimeoutSeconds must be positive");
        }
        (Some(Quantity::Fixed(timeout)), Some(Quantity::Fixed(heartbeat))) if heartbeat >= timeout => {
            found.add(
                LintRule::HeartbeatBeforeTimeout,
                &state.name,
                format!("HeartbeatSeconds ({heartbeat}) must be less than TimeoutSeconds ({timeout})"),
            );
        }
        (Some(_), Some(Quantity::Fixed(0))) => {
            found.add(LintRule::HeartbeatBeforeTimeout, &state.name, "HeartbeatSeconds must be positive");
        }
        (Some(_), _) => {}
    }
    if task.resource == Resource::InvokeWithToken
        && !task.parameters.paths().into_iter().any(Path::is_task_token)
    {
        found.add(LintRule::TokenPassed, &state.name, "does not pass $$.Task.Token on");
    }
}
