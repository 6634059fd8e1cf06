//! The typed definition: what is left of the JSON once it is parsed.

use crate::choice::Condition;
use crate::path::Path;
use crate::template::Template;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A parsed state machine. Built by [`Machine::parse`] only, so what it holds is inside of the subset.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The name given by the caller, used in ARNs.
    pub name: String,
    /// The machine's `Comment`.
    pub comment: Option<String>,
    /// Seconds after which the whole execution ends as `TIMED_OUT`.
    pub timeout_seconds: Option<u64>,
    /// The top-level states.
    pub graph: Graph,
    pub(crate) index: BTreeMap<String, Arc<State>>,
}

/// States that point at each other: a machine's, or a Map's `ItemProcessor`.
#[derive(Debug, Clone)]
pub struct Graph {
    /// First state.
    pub start_at: String,
    /// States in the order of the document.
    pub states: Vec<Arc<State>>,
}

/// One state. Names are unique in the whole machine, inside of Maps too (a rule of the service).
#[derive(Debug)]
pub struct State {
    /// Its name.
    pub name: String,
    /// Its `Comment`.
    pub comment: Option<String>,
    /// `InputPath`, `$` when absent.
    pub input_path: Filter,
    /// `OutputPath`, `$` when absent.
    pub output_path: Filter,
    /// What it does.
    pub kind: StateKind,
    /// Whether any of its paths may read `$$`, which is built for those states only.
    pub(crate) reads_context: bool,
}

/// `InputPath` or `OutputPath`.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Keeps what the path selects.
    Path(Path),
    /// `null`: an empty object.
    Nothing,
}

/// Where a result goes in the state's raw input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultPath {
    /// At these fields; no field at all is `$`, which replaces the input.
    Fields(Vec<String>),
    /// `null`: the result is dropped.
    Discard,
}

/// What a state does, with the fields of its type.
#[derive(Debug)]
pub enum StateKind {
    /// Calls something and waits for its answer.
    Task(Box<Task>),
    /// Runs states for each item.
    Map(Box<MapState>),
    /// Routes.
    Choice(Choice),
    /// Waits.
    Wait(Wait),
    /// Passes data on.
    Pass(Pass),
    /// Ends the graph well.
    Succeed,
    /// Ends the graph with an error.
    Fail(Fail),
}

/// Where a state goes when it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// `Next`.
    Next(String),
    /// `"End": true`.
    End,
}

/// What a Task calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// `arn:aws:states:::lambda:invoke`: the function's reply, as `$.Payload`.
    Invoke,
    /// `arn:aws:states:::lambda:invoke.waitForTaskToken`: what SendTaskSuccess gives, as `$`.
    InvokeWithToken,
    /// `arn:aws:states:::states:startExecution.sync:2`: the child's description, its `Output` as JSON.
    StartExecutionSync,
}

/// A whole number, fixed or read from the state's input.
#[derive(Debug, Clone, PartialEq)]
pub enum Quantity {
    /// `...Seconds`, `MaxConcurrency`.
    Fixed(u64),
    /// `...SecondsPath`, `MaxConcurrencyPath`.
    Path(Path),
}

/// A Task state.
#[derive(Debug)]
pub struct Task {
    /// What it calls.
    pub resource: Resource,
    /// `Parameters`: for Lambda `FunctionName` and `Payload`; for a child `StateMachineArn`, `Name`, `Input`.
    pub parameters: Template,
    /// `ResultSelector`.
    pub result_selector: Option<Template>,
    /// `ResultPath`, `$` when absent.
    pub result_path: ResultPath,
    /// `TimeoutSeconds` of each attempt; none is the service's 99,999,999.
    pub timeout: Option<Quantity>,
    /// `HeartbeatSeconds`, for `waitForTaskToken` only.
    pub heartbeat: Option<Quantity>,
    /// In order; the first that matches an error decides.
    pub retry: Vec<Retrier>,
    /// In order; the first that matches an error decides.
    pub catch: Vec<Catcher>,
    /// What comes next.
    pub after: After,
}

/// An inline Map state.
#[derive(Debug)]
pub struct MapState {
    /// `ItemsPath`, `$` when absent: the array.
    pub items_path: Path,
    /// `ItemSelector`: an iteration's input; without it, the item.
    pub item_selector: Option<Template>,
    /// `MaxConcurrency`; 0 is the service's 40.
    pub max_concurrency: Quantity,
    /// `ItemProcessor`.
    pub processor: Graph,
    /// `ResultSelector`.
    pub result_selector: Option<Template>,
    /// `ResultPath`, `$` when absent.
    pub result_path: ResultPath,
    /// In order; a retry runs every iteration again.
    pub retry: Vec<Retrier>,
    /// In order; the error is the one of the iteration that failed.
    pub catch: Vec<Catcher>,
    /// What comes next.
    pub after: After,
}

/// A Choice state.
#[derive(Debug)]
pub struct Choice {
    /// In order; the first that holds decides.
    pub rules: Vec<ChoiceRule>,
    /// Where to go when none holds; without it `States.NoChoiceMatched`.
    pub default: Option<String>,
}

/// One rule of a Choice state.
#[derive(Debug)]
pub struct ChoiceRule {
    /// Its `Comment`.
    pub comment: Option<String>,
    /// What must hold.
    pub condition: Condition,
    /// Where it leads.
    pub next: String,
}

/// A Wait state.
#[derive(Debug)]
pub struct Wait {
    /// For how long, or until when.
    pub span: WaitSpan,
    /// What comes next.
    pub after: After,
}

/// How long a Wait state waits.
#[derive(Debug, Clone, PartialEq)]
pub enum WaitSpan {
    /// `Seconds` or `SecondsPath`.
    Seconds(Quantity),
    /// `TimestampPath`: RFC 3339 with `T` and `Z`; a time in the past does not wait.
    Until(Path),
}

/// A Pass state.
#[derive(Debug)]
pub struct Pass {
    /// `Result`: a literal that takes the place of the (parameterised) input as the state's result.
    pub result: Option<Value>,
    /// `Parameters`.
    pub parameters: Option<Template>,
    /// `ResultPath`, `$` when absent.
    pub result_path: ResultPath,
    /// What comes next.
    pub after: After,
}

/// A text, fixed or read from the state's input.
#[derive(Debug, Clone, PartialEq)]
pub enum Text {
    /// `Error`, `Cause`.
    Fixed(String),
    /// `ErrorPath`, `CausePath`.
    Path(Path),
}

/// A Fail state.
#[derive(Debug)]
pub struct Fail {
    /// The error's name.
    pub error: Option<Text>,
    /// What happened, in words.
    pub cause: Option<Text>,
}

/// `JitterStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// The delay as computed.
    None,
    /// Anything from nothing to the delay as computed.
    Full,
}

/// One entry of `Retry`. Each counts its own attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrier {
    /// Error names it matches.
    pub error_equals: Vec<String>,
    /// Delay before the first retry, 1 when absent.
    pub interval_seconds: u64,
    /// Retries, 3 when absent; 0 never retries.
    pub max_attempts: u64,
    /// The delay's factor from one retry to the next, 2.0 when absent.
    pub backoff_rate: f64,
    /// Most seconds between two attempts.
    pub max_delay_seconds: Option<u64>,
    /// `JitterStrategy`.
    pub jitter: Jitter,
}

/// One entry of `Catch`.
#[derive(Debug, Clone, PartialEq)]
pub struct Catcher {
    /// Its `Comment`.
    pub comment: Option<String>,
    /// Error names it matches.
    pub error_equals: Vec<String>,
    /// Where `{"Error", "Cause"}` goes in the state's raw input; `$` when absent.
    pub result_path: ResultPath,
    /// Where it leads.
    pub next: String,
}

/// A possible transition, for coverage and drawings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// State it leaves.
    pub from: String,
    /// State it leads to.
    pub to: String,
    /// What makes it happen.
    pub kind: EdgeKind,
}

/// What makes a transition happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeKind {
    /// `Next`.
    Next,
    /// The rule of this index in `Choices`.
    Rule(usize),
    /// `Default` of a Choice state.
    Default,
    /// The entry of this index in `Catch`.
    Catch(usize),
}

impl State {
    /// The name of its type, as in `Type`: `Task`, `Map`, ...
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            StateKind::Task(_) => "Task",
            StateKind::Map(_) => "Map",
            StateKind::Choice(_) => "Choice",
            StateKind::Wait(_) => "Wait",
            StateKind::Pass(_) => "Pass",
            StateKind::Succeed => "Succeed",
            StateKind::Fail(_) => "Fail",
        }
    }

    /// `Retry`, empty for types that have none.
    pub fn retry(&self) -> &[Retrier] {
        match &self.kind {
            StateKind::Task(task) => &task.retry,
            StateKind::Map(map) => &map.retry,
            _ => &[],
        }
    }

    /// `Catch`, empty for types that have none.
    pub fn catch(&self) -> &[Catcher] {
        match &self.kind {
            StateKind::Task(task) => &task.catch,
            StateKind::Map(map) => &map.catch,
            _ => &[],
        }
    }

    /// `Next` or `End`, for types that have one.
    pub fn after(&self) -> Option<&After> {
        match &self.kind {
            StateKind::Task(task) => Some(&task.after),
            StateKind::Map(map) => Some(&map.after),
            StateKind::Wait(wait) => Some(&wait.after),
            StateKind::Pass(pass) => Some(&pass.after),
            StateKind::Choice(_) | StateKind::Succeed | StateKind::Fail(_) => None,
        }
    }

    /// Transitions that leave it.
    pub fn edges(&self) -> Vec<Edge> {
        let edge = |to: &str, kind| Edge { from: self.name.clone(), to: to.to_owned(), kind };
        let mut edges = Vec::new();
        if let Some(After::Next(next)) = self.after() {
            edges.push(edge(next, EdgeKind::Next));
        }
        if let StateKind::Choice(choice) = &self.kind {
            for (index, rule) in choice.rules.iter().enumerate() {
                edges.push(edge(&rule.next, EdgeKind::Rule(index)));
            }
            if let Some(default) = &choice.default {
                edges.push(edge(default, EdgeKind::Default));
            }
        }
        for (index, catcher) in self.catch().iter().enumerate() {
            edges.push(edge(&catcher.next, EdgeKind::Catch(index)));
        }
        edges
    }
}

impl Graph {
    /// The state of this name in this graph (not inside of its Maps).
    pub fn state(&self, name: &str) -> Option<&Arc<State>> {
        self.states.iter().find(|state| state.name == name)
    }
}

impl Machine {
    /// Every graph: the machine's own, then each Map's, outer ones first.
    pub fn graphs(&self) -> Vec<&Graph> {
        let mut graphs = vec![&self.graph];
        let mut next = 0;
        while let Some(graph) = graphs.get(next).copied() {
            graphs.extend(graph.states.iter().filter_map(|state| match &state.kind {
                StateKind::Map(map) => Some(&map.processor),
                _ => None,
            }));
            next += 1;
        }
        graphs
    }

    /// Every state, those inside of Maps too.
    pub fn states(&self) -> impl Iterator<Item = &Arc<State>> {
        self.graphs().into_iter().flat_map(|graph| &graph.states)
    }

    /// The state of this name, wherever it stands.
    pub fn state(&self, name: &str) -> Option<&Arc<State>> {
        self.index.get(name)
    }

    /// Every possible transition between two states of the same graph.
    pub fn edges(&self) -> Vec<Edge> {
        self.states().flat_map(|state| state.edges()).collect()
    }
}
