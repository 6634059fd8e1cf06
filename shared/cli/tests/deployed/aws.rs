//! An account that holds state: executions that live as a test says, and tables.

use std::collections::{BTreeMap, VecDeque};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::server::{self, Answer, Request};
use crate::tables::Tables;

pub(crate) const ACCOUNT: &str = "arn:aws:states:eu-west-1:123456789012";

/// What happens to an execution between two looks at it.
type Step = Box<dyn FnOnce(&mut Execution) + Send>;

#[derive(Default)]
pub(crate) struct Execution {
    pub(crate) name: String,
    pub(crate) machine: String,
    pub(crate) status: String,
    pub(crate) input: Value,
    pub(crate) output: Option<Value>,
    pub(crate) error: Option<(String, String)>,
    started: f64,
    stopped: Option<f64>,
    events: Vec<Value>,
    steps: VecDeque<Step>,
}

impl Execution {
    /// A state began.
    pub(crate) fn enter(&mut self, state: &str, input: &Value) {
        self.event(
            "TaskStateEntered",
            "stateEnteredEventDetails",
            &json!({"name": state, "input": input.to_string()}),
        );
    }

    /// A state ended.
    pub(crate) fn exit(&mut self, state: &str, output: &Value) {
        self.event(
            "TaskStateExited",
            "stateExitedEventDetails",
            &json!({"name": state, "output": output.to_string()}),
        );
    }

    /// An attempt failed.
    pub(crate) fn fail_once(&mut self, error: &str, cause: &str) {
        let details = json!({"resource": "invoke", "resourceType": "lambda", "error": error, "cause": cause});
        self.event("TaskFailed", "taskFailedEventDetails", &details);
    }

    pub(crate) fn succeed(&mut self, output: Value) {
        self.end("SUCCEEDED");
        self.output = Some(output);
    }

    pub(crate) fn fail(&mut self, error: &str, cause: &str) {
        self.end("FAILED");
        self.error = Some((error.to_owned(), cause.to_owned()));
    }

    pub(crate) fn end(&mut self, status: &str) {
        status.clone_into(&mut self.status);
        self.stopped = Some(self.started + 3900.0);
    }

    fn event(&mut self, kind: &str, key: &str, details: &Value) {
        let id = self.events.len() + 1;
        let at = self.started + f64::from(u32::try_from(id).unwrap());
        self.events
            .push(json!({"timestamp": at, "type": kind, "id": id, "previousEventId": id - 1, key: details}));
    }

    fn arn(&self) -> String {
        format!("{ACCOUNT}:execution:{}:{}", self.machine, self.name)
    }
}

#[derive(Default)]
pub(crate) struct Account {
    pub(crate) machines: Vec<String>,
    executions: Vec<Execution>,
    /// How executions live that are started through the API.
    lives: VecDeque<Vec<Step>>,
    pub(crate) tables: Tables,
    /// Operations as they came, and payloads of functions.
    pub(crate) asked: Vec<String>,
    pub(crate) invoked: Vec<(String, Value)>,
    /// What functions answer, and what an operation answers instead of the truth.
    pub(crate) function_answer: Value,
    pub(crate) refusals: BTreeMap<String, VecDeque<Answer>>,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) parameters: BTreeMap<String, String>,
}

/// Shared with the server.
#[derive(Clone)]
pub(crate) struct Aws {
    account: Arc<Mutex<Account>>,
    pub(crate) url: String,
}

impl Aws {
    /// The four machines, and empty tables.
    pub(crate) fn start() -> Self {
        let machines = ["rollout", "batch-upgrade", "batch-rollback", "cluster-converge"];
        let account =
            Account { machines: machines.map(|name| format!("guard-{name}")).to_vec(), ..Account::default() };
        let account = Arc::new(Mutex::new(account));
        let served = Arc::clone(&account);
        let url = server::start(move |request| served.lock().unwrap().answer(request));
        Self { account, url }
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap()
    }

    /// An execution that is there already, and goes on by a step at each look at it.
    pub(crate) fn execution(&self, machine: &str, name: &str, input: Value, steps: Vec<Step>) -> String {
        let mut account = self.account();
        account.begin(machine, name, input, steps)
    }

    /// How the next execution that is started will live.
    pub(crate) fn next_life(&self, steps: Vec<Step>) {
        self.account().lives.push_back(steps);
    }

    /// The next answer to an operation.
    pub(crate) fn refuse(&self, operation: &str, status: u16, code: &str) {
        let answer = (status, json!({"__type": format!("com.amazonaws#{code}"), "message": "because"}));
        self.account().refusals.entry(operation.to_owned()).or_default().push_back(answer);
    }

    /// The command, with this account as its surroundings and nothing of the machine's own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guard"));
        command
            .args(arguments)
            .env_clear()
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_ACCESS_KEY_ID", "123456789012")
            .env("AWS_SECRET_ACCESS_KEY", "hush-secret")
            .env("AWS_REGION", "eu-west-1")
            .env("USER", "ada")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn guard(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let ran = Self {
            code: output.status.code().unwrap(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        let all = format!("{}{}", ran.out, ran.err);
        assert!(!all.contains('\u{1b}'), "an escape sequence off a terminal: {all}");
        assert!(!all.contains("hush"), "a secret: {all}");
        ran
    }

    /// The parts come in this order on standard output.
    #[track_caller]
    pub(crate) fn says(&self, parts: &[&str]) {
        in_order("standard output", &self.out, parts);
    }

    /// The same of standard error.
    #[track_caller]
    pub(crate) fn notes(&self, parts: &[&str]) {
        in_order("standard error", &self.err, parts);
    }
}

#[track_caller]
fn in_order(what: &str, text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else { panic!("`{part}` is not where it belongs on {what}:\n{text}") };
        rest = &rest[at..];
    }
}

impl Account {
    pub(crate) fn begin(&mut self, machine: &str, name: &str, input: Value, steps: Vec<Step>) -> String {
        let started = 1_795_000_000.0 + f64::from(u32::try_from(self.executions.len()).unwrap()) * 10_000.0;
        let execution = Execution {
            name: name.to_owned(),
            machine: machine.to_owned(),
            status: "RUNNING".to_owned(),
            input,
            started,
            steps: steps.into(),
            ..Execution::default()
        };
        let arn = execution.arn();
        self.executions.push(execution);
        arn
    }

    pub(crate) fn execution(&mut self, arn: &str) -> Option<&mut Execution> {
        self.executions.iter_mut().find(|execution| execution.arn() == arn)
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let operation = request.target.rsplit('.').next().unwrap_or_default().to_owned();
        self.asked.push(operation.clone());
        if let Some(refusal) = self.refusals.get_mut(&operation).and_then(VecDeque::pop_front) {
            return refusal;
        }
        let body = &request.body;
        if request.target.starts_with("AWSStepFunctions.") {
            return self.step_functions(&operation, body);
        }
        if request.target.starts_with("DynamoDB_20120810.") {
            return self.tables.answer(&operation, body);
        }
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match operation.as_str() {
            "GetSecretValue" => self.secrets.get(&text("SecretId")).map_or_else(
                || refusal("ResourceNotFoundException"),
                |secret| (200, json!({"SecretString": secret})),
            ),
            "GetParameter" => self.parameters.get(&text("Name")).map_or_else(
                || refusal("ParameterNotFound"),
                |value| (200, json!({"Parameter": {"Value": value}})),
            ),
            _ if request.path.contains("/functions/") => {
                let name = request.path.split('/').nth(3).unwrap_or_default().to_owned();
                self.invoked.push((name, body.clone()));
                (200, self.function_answer.clone())
            }
            other => panic!("nobody answers {other} {}", request.path),
        }
    }

    fn step_functions(&mut self, operation: &str, body: &Value) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match operation {
            "ListStateMachines" => {
                let machine = |name: &String| {
                    let arn = format!("{ACCOUNT}:stateMachine:{name}");
                    json!({"name": name, "stateMachineArn": arn, "type": "STANDARD", "creationDate": 1})
                };
                (200, json!({"stateMachines": self.machines.iter().map(machine).collect::<Vec<_>>()}))
            }
            "StartExecution" => {
                let machine = text("stateMachineArn").rsplit(':').next().unwrap().to_owned();
                if self.execution(&format!("{ACCOUNT}:execution:{machine}:{}", text("name"))).is_some() {
                    return refusal("ExecutionAlreadyExists");
                }
                let life = self.lives.pop_front().unwrap_or_default();
                let input = serde_json::from_str(&text("input")).unwrap();
                let arn = self.begin(&machine, &text("name"), input, life);
                (200, json!({"executionArn": arn, "startDate": 1_795_000_000}))
            }
            "DescribeExecution" => {
                let Some(execution) = self.execution(&text("executionArn")) else {
                    return refusal("ExecutionDoesNotExist");
                };
                if let Some(step) = execution.steps.pop_front() {
                    step(execution);
                }
                (200, described(execution))
            }
            "GetExecutionHistory" => {
                let Some(execution) = self.execution(&text("executionArn")) else {
                    return refusal("ExecutionDoesNotExist");
                };
                assert_eq!(body["reverseOrder"], true);
                let events: Vec<&Value> = execution.events.iter().rev().collect();
                (200, json!({"events": events}))
            }
            "ListExecutions" => {
                let machine = text("stateMachineArn").rsplit(':').next().unwrap().to_owned();
                let status = body["statusFilter"].as_str();
                let fits = |execution: &&Execution| {
                    execution.machine == machine && status.is_none_or(|status| execution.status == status)
                };
                let lines: Vec<Value> = self.executions.iter().rev().filter(fits).map(described).collect();
                (200, json!({"executions": lines}))
            }
            "StopExecution" => {
                let Some(execution) = self.execution(&text("executionArn")) else {
                    return refusal("ExecutionDoesNotExist");
                };
                execution.end("ABORTED");
                execution.error = Some((text("error"), text("cause")));
                execution.steps.clear();
                (200, json!({"stopDate": 1_795_000_000}))
            }
            other => panic!("nobody answers {other}"),
        }
    }
}

fn described(execution: &Execution) -> Value {
    let mut told = json!({
        "executionArn": execution.arn(), "name": execution.name, "status": execution.status,
        "stateMachineArn": format!("{ACCOUNT}:stateMachine:{}", execution.machine),
        "startDate": execution.started, "input": execution.input.to_string()
    });
    let fields = told.as_object_mut().unwrap();
    fields.extend(execution.stopped.map(|at| ("stopDate".to_owned(), json!(at))));
    fields.extend(execution.output.as_ref().map(|output| ("output".to_owned(), json!(output.to_string()))));
    if let Some((error, cause)) = &execution.error {
        fields.insert("error".to_owned(), json!(error));
        fields.insert("cause".to_owned(), json!(cause));
    }
    told
}

pub(crate) fn refusal(code: &str) -> Answer {
    (400, json!({"__type": format!("com.amazonaws#{code}"), "message": "because"}))
}
