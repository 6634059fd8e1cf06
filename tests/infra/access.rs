//! Every role may do what its ports and its runtime need, on nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::ports::{self, Grant};
use crate::stack::{ACCOUNT, EVERYTHING, REGION, Resource, Stack, names_in};

/// Who may act on every resource, on what, and why nothing narrower is possible. docs/security.md tells the same.
const EVERYWHERE: [(&str, &[&str], &str); 5] = [
    ("TracePolicy", &["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "X-Ray knows no resources here"),
    (
        "MachinePolicy",
        &[
            "xray:PutTraceSegments",
            "xray:PutTelemetryRecords",
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
        ],
        "X-Ray knows no resources here",
    ),
    (
        "MachinePolicy",
        &[
            "logs:CreateLogDelivery",
            "logs:GetLogDelivery",
            "logs:UpdateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:DescribeResourcePolicies",
            "logs:DescribeLogGroups",
        ],
        "log delivery by another service knows no resources",
    ),
    (
        "VpcPolicy",
        &[
            "ec2:CreateNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:DeleteNetworkInterface",
            "ec2:AssignPrivateIpAddresses",
            "ec2:UnassignPrivateIpAddresses",
        ],
        "Lambda makes the interfaces; the function's own code is denied the same",
    ),
    ("PipelinePolicy", &["states:ListStateMachines"], "a list knows no resource"),
];

fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        other => vec![other.as_str().unwrap().to_owned()],
    }
}

fn statements(document: &Value) -> &Vec<Value> {
    assert_eq!(document["Version"], "2012-10-17");
    document["Statement"].as_array().unwrap()
}

fn allowed(document: &Value, into: &mut BTreeSet<Grant>) {
    for statement in statements(document).iter().filter(|statement| statement["Effect"] == "Allow") {
        for action in list(&statement["Action"]) {
            for resource in list(&statement["Resource"]) {
                into.insert((action.clone(), resource));
            }
        }
    }
}

/// What a role may do, its policies taken together.
pub(crate) fn of_role(stack: &Stack, role: &Resource) -> BTreeSet<Grant> {
    let mut may = BTreeSet::new();
    for policy in role.properties["ManagedPolicyArns"].as_array().into_iter().flatten() {
        let policy = stack.resource(policy.as_str().unwrap());
        allowed(&policy.properties["PolicyDocument"], &mut may);
    }
    for policy in role.properties["Policies"].as_array().into_iter().flatten() {
        allowed(&policy["PolicyDocument"], &mut may);
    }
    may
}

/// The role of a function.
pub(crate) fn role_of(stack: &Stack, function: &str) -> Resource {
    let name = format!("guard-{REGION}-{function}");
    let role =
        stack.of("AWS::IAM::Role").into_iter().find(|role| role.properties["RoleName"] == name.as_str());
    role.unwrap_or_else(|| crate::stack::fail(&format!("{function} has no role {name}")))
}

/// What a function's runtime needs, whatever its task does.
fn of_runtime(function: &str, is_private: bool, has_everything: bool) -> BTreeSet<Grant> {
    let log = format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/guard-{function}:*");
    let mut needs = BTreeSet::new();
    let mut add = |actions: &[&str], resource: &str| {
        needs.extend(actions.iter().map(|action| ((*action).to_owned(), resource.to_owned())));
    };
    add(&["logs:CreateLogStream", "logs:PutLogEvents"], &log);
    add(EVERYWHERE[0].1, "*");
    if has_everything {
        add(
            &["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey"],
            "arn:aws:kms:eu-west-1:123456789012:key/k",
        );
        if is_private {
            add(EVERYWHERE[3].1, "*");
        }
    }
    let queue = |name: &str| format!("arn:aws:sqs:{REGION}:{ACCOUNT}:guard-{name}");
    if ["watch-merges", "sweep"].contains(&function) {
        add(&["sqs:SendMessage"], &queue("watcher-dead-letters"));
    }
    if function == "sweep" {
        add(&["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], &queue("sweep"));
    }
    needs
}

fn compare(given: &[(&str, &str)], has_everything: bool) {
    let stack = Stack::of_guard(given);
    for function in names_in("functions") {
        let ports = ports::of(&function);
        let mut needs = of_runtime(&function, ports::is_private(&ports), has_everything);
        needs.extend(ports.iter().flat_map(|port| ports::grants(port, has_everything)));
        let may = of_role(&stack, &role_of(&stack, &function));
        let missing: Vec<&Grant> = needs.difference(&may).collect();
        let idle: Vec<&Grant> = may.difference(&needs).collect();
        assert!(
            missing.is_empty() && idle.is_empty(),
            "{function} with {ports:?}\nlacks {missing:#?}\nmay without need {idle:#?}"
        );
    }
}

#[test]
fn a_function_may_do_what_its_ports_need_and_nothing_else() {
    compare(&[], false);
}

#[test]
fn so_it_is_with_every_option_on() {
    compare(&EVERYTHING, true);
}

#[test]
fn nothing_may_act_everywhere_without_a_reason() {
    let stack = Stack::of_guard(&EVERYTHING);
    let mut documents = Vec::new();
    for policy in stack.of("AWS::IAM::ManagedPolicy") {
        documents.push((policy.id.clone(), policy.properties["PolicyDocument"].clone()));
    }
    for role in stack.of("AWS::IAM::Role") {
        for policy in role.properties["Policies"].as_array().into_iter().flatten() {
            documents.push((role.id.clone(), policy["PolicyDocument"].clone()));
        }
    }
    let mut found = Vec::new();
    for (owner, document) in &documents {
        for statement in statements(document) {
            let actions = list(&statement["Action"]);
            assert!(actions.iter().all(|action| !action.contains('*')), "{owner}: {actions:?}");
            if statement["Effect"] == "Allow" && list(&statement["Resource"]).iter().any(|name| name == "*") {
                found.push((owner.as_str(), actions));
            }
        }
    }
    found.sort();
    let mut known: Vec<(&str, Vec<String>)> = EVERYWHERE
        .iter()
        .map(|(owner, actions, _)| (*owner, actions.iter().map(|action| (*action).to_owned()).collect()))
        .collect();
    known.sort();
    assert_eq!(found, known);
}

#[test]
fn no_policy_is_attached_to_nobody_and_none_is_too_many() {
    let stack = Stack::of_guard(&EVERYTHING);
    let mut attached = BTreeSet::new();
    for role in stack.of("AWS::IAM::Role") {
        let policies = list(&role.properties["ManagedPolicyArns"]);
        assert!(policies.len() <= 10, "{}: IAM attaches ten policies to a role", role.id);
        attached.extend(policies);
    }
    let mut made: BTreeSet<String> =
        stack.of("AWS::IAM::ManagedPolicy").into_iter().map(|policy| policy.id).collect();
    // For people, who attach them.
    made.retain(|policy| !["PipelinePolicy", "OperatorPolicy"].contains(&policy.as_str()));
    assert_eq!(attached, made);
}

/// The interfaces are for Lambda, not for the code it runs.
#[test]
fn code_in_a_vpc_is_denied_what_its_service_needs() {
    let stack = Stack::of_guard(&EVERYTHING);
    let document = &stack.resource("VpcPolicy").properties["PolicyDocument"];
    let [allow, deny] = &statements(document)[..] else { crate::stack::fail("two statements") };
    assert_eq!((&allow["Effect"], &deny["Effect"]), (&"Allow".into(), &"Deny".into()));
    assert_eq!(allow["Action"], deny["Action"]);
    let of_code = &deny["Condition"]["ArnLike"]["lambda:SourceFunctionArn"];
    assert_eq!(of_code, &format!("arn:aws:lambda:*:{ACCOUNT}:function:guard-*"));
}

#[test]
fn a_role_is_for_one_service() {
    let stack = Stack::of_guard(&EVERYTHING);
    for role in stack.of("AWS::IAM::Role") {
        let trust = statements(&role.properties["AssumeRolePolicyDocument"]);
        let name = role.properties["RoleName"].as_str().unwrap();
        let service = match name.strip_prefix(&format!("guard-{REGION}-")).unwrap() {
            of if of.starts_with("machine-") => "states.amazonaws.com",
            of if of.starts_with("schedule-") => "scheduler.amazonaws.com",
            _ => "lambda.amazonaws.com",
        };
        assert_eq!(trust.len(), 1, "{name}");
        assert_eq!(trust[0]["Principal"]["Service"], service, "{name}");
        let longest = name.len() - "guard".len() + 20 - REGION.len() + "ap-southeast-1".len();
        assert!(longest <= 64, "{name} is too long with the longest prefix in the longest region");
    }
}
