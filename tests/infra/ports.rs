//! Which ports a function uses, read from the sources, and what each port needs of AWS.

use std::collections::BTreeSet;

use crate::stack::{ACCOUNT, REGION, fail, names_in, read};

/// An action on a resource.
pub(crate) type Grant = (String, String);

/// Reached through the network: in a VPC, where there is one.
const PRIVATE: [&str; 11] = [
    "MergeRequestConversation",
    "ClusterHealthReader",
    "ConfigurationAnalyzer",
    "RolloutReader",
    "DataPlaneReader",
    "FluxNudger",
    "ProxyRestarter",
    "CommitReader",
    "FileReader",
    "MergeRequestReader",
    "MergeRequestWriter",
];

/// The ports of a function: the fields of the task that its `compose` makes.
pub(crate) fn of(function: &str) -> BTreeSet<String> {
    let compose = read(&format!("functions/{function}/src/lib.rs"));
    let module = function.replace('-', "_");
    let import = compose
        .lines()
        .filter_map(|line| line.strip_prefix("use guard_tasks::"))
        .find(|import| import.starts_with(&format!("{module}::")))
        .unwrap_or_else(|| fail(&format!("{function}: compose names no task of guard_tasks")));
    let (module, task) = import.trim_end_matches(';').split_once("::").unwrap();
    let mut ports = fields(&read(&format!("shared/tasks/src/{module}.rs")), task);
    // One task that uses another as its last step.
    if ports.remove("Settle") {
        ports.extend(fields(&read("shared/tasks/src/settle.rs"), "Settle"));
    }
    if ports.remove("Ledger") {
        ports.extend(fields(&read("shared/tasks/src/ledger.rs"), "Ledger"));
    }
    // A vendor's client is made from configuration: where GitLab is, which Datadog.
    if ["outside.with_gitlab_token", "outside.with_datadog_keys"].iter().any(|call| compose.contains(call)) {
        ports.insert("ConfigReader".to_owned());
    }
    ports
}

/// The types of a struct's fields: ports, and `Ledger`.
fn fields(source: &str, name: &str) -> BTreeSet<String> {
    let head = format!("pub struct {name} {{");
    let (_, body) = source.split_once(&head).unwrap_or_else(|| fail(&format!("{name} is not where it was")));
    let (body, _) = body.split_once("\n}").unwrap();
    let types = body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "));
    types
        .map(|(_, kind)| {
            let kind = kind.trim_end_matches(',');
            let port = kind.strip_prefix("Arc<dyn ").and_then(|rest| rest.strip_suffix('>'));
            port.unwrap_or(kind).to_owned()
        })
        .collect()
}

/// True when one of the ports is reached through the network that people keep private.
pub(crate) fn is_private(ports: &BTreeSet<String>) -> bool {
    ports.iter().any(|port| PRIVATE.contains(&port.as_str()))
}

/// What a port needs, in a stack whose notifications are on or off. A port without a line here stops the test: its
/// permissions have to be thought about.
pub(crate) fn grants(port: &str, notifies: bool) -> Vec<Grant> {
    let table = |name: &str| format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/guard-{name}");
    let secret = |name: &str| format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:guard/{name}-??????");
    let machine = |name: &str| format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:guard-{name}");
    let on = |resource: String, actions: &[&str]| -> Vec<Grant> {
        actions.iter().map(|action| ((*action).to_owned(), resource.clone())).collect()
    };
    let read_secret = "secretsmanager:GetSecretValue";
    match port {
        "ConfigReader" => {
            on(format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/guard/config"), &["ssm:GetParameter"])
        }
        "ClusterReader" => on(table("cluster-registry"), &["dynamodb:GetItem"]),
        "BatchReader" => [
            on(table("cluster-registry"), &["dynamodb:BatchGetItem", "dynamodb:Scan"]),
            on(table("cluster-registry/index/batch-index"), &["dynamodb:Query"]),
        ]
        .concat(),
        "StatusWriter" => [
            on(table("cluster-registry"), &["dynamodb:GetItem", "dynamodb:UpdateItem"]),
            on(table("locks"), &["dynamodb:ConditionCheckItem"]),
        ]
        .concat(),
        "RunRecords" => [
            on(table("runs"), &["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"]),
            on(table("locks"), &["dynamodb:ConditionCheckItem"]),
        ]
        .concat(),
        "LeaseReader" => on(table("locks"), &["dynamodb:Scan"]),
        "Locks" => on(table("locks"), &["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"]),
        "TokenStore" => [
            on(table("runs"), &["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"]),
            on(table("runs/index/open-tokens"), &["dynamodb:Query"]),
        ]
        .concat(),
        "ExecutionReader" => {
            on(format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:guard-*"), &["states:DescribeExecution"])
        }
        "TokenAnswerer" => ["batch-upgrade", "batch-upgrade:*", "batch-rollback", "batch-rollback:*"]
            .map(|name| on(machine(name), &["states:SendTaskSuccess"]))
            .concat(),
        "CommitReader"
        | "FileReader"
        | "MergeRequestReader"
        | "MergeRequestConversation"
        | "MergeRequestWriter" => {
            // Each request is taken out of a budget first.
            [on(secret("gitlab-token"), &[read_secret]), on(table("runs"), &["dynamodb:UpdateItem"])].concat()
        }
        "TrafficReader" | "HistoryReader" | "MemoryReader" | "IntegrationReader" | "MonitorReader" => {
            on(secret("datadog-credentials"), &[read_secret])
        }
        "ClusterHealthReader"
        | "ConfigurationAnalyzer"
        | "RolloutReader"
        | "DataPlaneReader"
        | "FluxNudger"
        | "ProxyRestarter" => on("arn:aws:iam::*:role/guard-member".to_owned(), &["sts:AssumeRole"]),
        // A start is one conditional write beside the runs.
        "StartRegister" => on(table("runs"), &["dynamodb:PutItem"]),
        "Channels" if notifies => {
            [on(secret("notification-webhook"), &[read_secret]), on(secret("pagerduty-key"), &[read_secret])]
                .concat()
        }
        "Clock" | "Channels" => Vec::new(),
        "WatcherWaker" => on(
            format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:guard-watch-merges:live"),
            &["lambda:InvokeFunction"],
        ),
        "DeliveryReader" => on(secret("gitlab-webhook-token"), &[read_secret]),
        other => fail(&format!(
            "{other} is a new port: give it a line here, a policy in the template, docs/security.md"
        )),
    }
}

#[test]
fn every_function_has_ports() {
    for function in names_in("functions") {
        assert!(!of(&function).is_empty(), "{function}");
    }
}
