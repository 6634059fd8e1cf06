//! The state machines of the stack: their tokens, their versions, their roles, and time-outs inside of time-outs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::access::of_role;
use crate::functions::function;
use crate::stack::{ACCOUNT, EVERYTHING, REGION, Resource, Stack, fail, names_in, read};

fn names() -> Vec<String> {
    let files = names_in("statemachine");
    files.iter().filter_map(|file| file.strip_suffix(".asl.json")).map(str::to_owned).collect()
}

fn machine(stack: &Stack, name: &str) -> Resource {
    let full = format!("guard-{name}");
    let all = stack.of("AWS::StepFunctions::StateMachine");
    let found = all.into_iter().find(|machine| machine.properties["StateMachineName"] == full.as_str());
    found.unwrap_or_else(|| fail(&format!("{full} is not in the template")))
}

/// `${PreCheckFunctionArn}` and its like, as they stand in a machine.
fn tokens(name: &str) -> BTreeSet<String> {
    let text = read(&format!("statemachine/{name}.asl.json"));
    text.split("${").skip(1).map(|rest| rest.split_once('}').unwrap().0.to_owned()).collect()
}

/// `pre-check` of `PreCheckFunctionArn`.
fn kebab(token: &str, suffix: &str) -> Option<String> {
    let mut name = String::new();
    for letter in token.strip_suffix(suffix)?.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    Some(name)
}

/// Functions and machines that a machine calls.
fn callees(name: &str) -> (Vec<String>, Vec<String>) {
    let (mut functions, mut machines) = (Vec::new(), Vec::new());
    for token in tokens(name) {
        if let Some(machine) = kebab(&token, "StateMachineArn") {
            machines.push(machine);
        } else if let Some(function) = kebab(&token, "FunctionArn") {
            functions.push(function);
        } else {
            fail(&format!("{name}: {token} is no token of ours"));
        }
    }
    (functions, machines)
}

#[test]
fn the_stack_has_the_machines_of_the_folder_and_no_other() {
    let stack = Stack::of_guard(&[]);
    let mut found = Vec::new();
    for machine in stack.of("AWS::StepFunctions::StateMachine") {
        let of = |key: &str| machine.properties[key].as_str().unwrap();
        let name = of("StateMachineName").strip_prefix("guard-").unwrap().to_owned();
        assert_eq!(of("DefinitionS3Location"), format!("../statemachine/{name}.asl.json"));
        assert_eq!(of("StateMachineType"), "STANDARD");
        assert_eq!(of("RoleArn"), format!("arn:aws:iam::{ACCOUNT}:role/guard-{REGION}-machine-{name}"));
        assert_eq!(machine.properties["TracingConfiguration"]["Enabled"], true);
        found.push(name);
    }
    found.sort();
    assert_eq!(found, names());
}

#[test]
fn every_token_is_a_published_version_and_there_is_no_other() {
    let stack = Stack::of_guard(&[]);
    for name in names() {
        let machine = machine(&stack, &name);
        let given = machine.properties["DefinitionSubstitutions"].as_object().unwrap();
        assert_eq!(given.keys().cloned().collect::<BTreeSet<_>>(), tokens(&name), "{name}");
        let (functions, machines) = callees(&name);
        let mut expected: Vec<String> = functions
            .iter()
            .map(|callee| format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:guard-{callee}:1"))
            .chain(
                machines
                    .iter()
                    .map(|child| format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:guard-{child}:1")),
            )
            .collect();
        let mut found: Vec<&str> = given.values().map(|value| value.as_str().unwrap()).collect();
        expected.sort();
        found.sort_unstable();
        assert_eq!(found, expected, "{name}");
    }
}

/// Runs last for weeks: what they began with must still be there.
#[test]
fn versions_outlive_the_update_that_replaces_them() {
    let stack = Stack::of_guard(&[]);
    let versions = stack.of("AWS::StepFunctions::StateMachineVersion");
    assert_eq!(versions.len(), names().len());
    for version in versions {
        assert_eq!(version.attributes["DeletionPolicy"], "Retain", "{}", version.id);
        assert_eq!(version.attributes["UpdateReplacePolicy"], "Retain", "{}", version.id);
        let revision = &version.attributes["Properties"]["StateMachineRevisionId"];
        let machine = &version.attributes["Properties"]["StateMachineArn"]["Ref"];
        assert_eq!(revision["Fn::GetAtt"][0], *machine, "{}: a new revision is a new version", version.id);
    }
}

/// A payload may hold a task token.
#[test]
fn logs_tell_every_event_and_no_payload() {
    let stack = Stack::of_guard(&[]);
    for name in names() {
        let logging = &machine(&stack, &name).properties["LoggingConfiguration"];
        assert_eq!((&logging["Level"], &logging["IncludeExecutionData"]), (&"ALL".into(), &false.into()));
        let log = logging["Destinations"][0]["CloudWatchLogsLogGroup"]["LogGroupArn"].as_str().unwrap();
        assert_eq!(
            log,
            format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/vendedlogs/states/guard-{name}:*")
        );
    }
}

#[test]
fn a_machine_may_call_what_it_calls_and_nothing_else() {
    let stack = Stack::of_guard(&[]);
    for name in names() {
        let role = stack
            .of("AWS::IAM::Role")
            .into_iter()
            .find(|role| role.properties["RoleName"] == format!("guard-{REGION}-machine-{name}").as_str());
        let mut may = of_role(&stack, &role.unwrap());
        may.retain(|(_, resource)| resource != "*");
        let (functions, children) = callees(&name);
        let states = |rest: String| format!("arn:aws:states:{REGION}:{ACCOUNT}:{rest}");
        let mut needs = BTreeSet::new();
        let mut add = |action: &str, resource: String| needs.insert((action.to_owned(), resource));
        for callee in functions {
            // Any version: a run that began before an update calls the one it began with.
            add(
                "lambda:InvokeFunction",
                format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:guard-{callee}:*"),
            );
        }
        for child in &children {
            add("states:StartExecution", states(format!("stateMachine:guard-{child}")));
            add("states:DescribeExecution", states(format!("execution:guard-{child}:*")));
            add("states:StopExecution", states(format!("execution:guard-{child}:*")));
        }
        if !children.is_empty() {
            let events = "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule";
            for action in ["events:PutTargets", "events:PutRule", "events:DescribeRule"] {
                add(action, format!("arn:aws:events:{REGION}:{ACCOUNT}:{events}"));
            }
        }
        assert_eq!(may, needs, "{name}");
    }
}

/// Function and time-out of every state that calls one, seconds.
fn calls(states: &Value, into: &mut Vec<(String, String, i64)>) {
    for (name, state) in states.as_object().unwrap() {
        if let Some(inner) = state.pointer("/ItemProcessor/States") {
            calls(inner, into);
        }
        let callee = state.pointer("/Parameters/FunctionName").and_then(Value::as_str);
        let (Some(callee), Some(seconds)) = (callee, state["TimeoutSeconds"].as_i64()) else { continue };
        let token = callee.trim_start_matches("${").trim_end_matches('}');
        into.push((name.clone(), kebab(token, "FunctionArn").unwrap(), seconds));
    }
}

/// Otherwise the state gives up while its function still acts, and starts it once more beside itself.
#[test]
fn a_function_ends_before_its_state_gives_it_up() {
    let stack = Stack::of_guard(&[]);
    let mut shortest: BTreeMap<String, i64> = BTreeMap::new();
    for name in names() {
        let text = read(&format!("statemachine/{name}.asl.json"));
        let definition: Value = serde_json::from_str(&text).unwrap();
        let mut found = Vec::new();
        calls(&definition["States"], &mut found);
        for (state, callee, seconds) in found {
            let own = function(&stack, &callee).properties["Timeout"].as_i64().unwrap();
            assert!(own + 5 <= seconds, "{name}, {state}: {seconds} s for {callee}, which may take {own} s");
            let least = shortest.entry(callee).or_insert(seconds);
            *least = seconds.min(*least);
        }
    }
    assert!(shortest.len() >= 10, "{shortest:?}");
}

#[test]
fn the_whole_template_is_well_inside_cloudformations_limits() {
    let stack = Stack::of_guard(&EVERYTHING);
    // Each function becomes itself, a version and an alias.
    let functions = stack.of("AWS::Serverless::Function").len();
    assert!(stack.resources().len() + 2 * functions < 300, "of 500");
    assert!(read("infra/template.yaml").len() < 200_000, "of 1,000,000");
}
