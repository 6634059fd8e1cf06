//! Every folder of functions/ is a function of the stack: built for it, with its own role and log, with the settings it
//! reads.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::ports;
use crate::stack::{ACCOUNT, EVERYTHING, REGION, Resource, Stack, fail, names_in, read};

/// A function of the stack by its folder's name.
pub(crate) fn function(stack: &Stack, name: &str) -> Resource {
    let full = format!("guard-{name}");
    let all = stack.of("AWS::Serverless::Function");
    let found = all.into_iter().find(|function| function.properties["FunctionName"] == full.as_str());
    found.unwrap_or_else(|| fail(&format!("{full} is not in the template")))
}

#[test]
fn the_stack_has_the_functions_of_the_folder_and_no_other() {
    let stack = Stack::of_guard(&[]);
    let functions = stack.of("AWS::Serverless::Function");
    let mut names = Vec::new();
    for function in &functions {
        let of = |key: &str| function.properties[key].as_str().unwrap();
        let name = of("FunctionName").strip_prefix("guard-").unwrap().to_owned();
        assert_eq!(of("CodeUri"), format!("../target/package/{name}.zip"));
        assert_eq!(of("Role"), format!("arn:aws:iam::{ACCOUNT}:role/guard-{REGION}-{name}"));
        assert_eq!(function.properties["LoggingConfig"]["LogGroup"], format!("/aws/lambda/guard-{name}"));
        assert_eq!(
            function.properties["AutoPublishCodeSha256"], "first",
            "{name}: see the parameter Release"
        );
        names.push(name);
    }
    names.sort();
    assert_eq!(names, names_in("functions"));
}

#[test]
fn sizes_are_of_functions_that_exist_and_inside_lambdas_limits() {
    let stack = Stack::of_guard(&[]);
    let sizes = stack.section("Mappings")["Sizes"].as_object().unwrap();
    let mut names: Vec<String> = sizes.keys().cloned().collect();
    names.sort();
    assert_eq!(names, names_in("functions"));
    for (name, size) in sizes {
        let function = function(&stack, name);
        assert_eq!(
            (&function.properties["MemorySize"], &function.properties["Timeout"]),
            (&size["Memory"], &size["Timeout"])
        );
        assert!((128..=10_240).contains(&size["Memory"].as_i64().unwrap()), "{name}");
        assert!((1..=900).contains(&size["Timeout"].as_i64().unwrap()), "{name}");
    }
}

#[test]
fn the_checks_get_istioctl_where_there_is_a_layer_and_nobody_else_does() {
    let arn = "arn:aws:lambda:eu-west-1:123456789012:layer:istioctl:3";
    let (without, with) = (Stack::of_guard(&[]), Stack::of_guard(&[("IstioctlLayerArn", arn)]));
    for name in names_in("functions") {
        let runs_it = ports::of(&name).contains("ConfigurationAnalyzer");
        assert_eq!(runs_it, ["pre-check", "post-check"].contains(&name.as_str()), "{name}");
        let (plain, layered) = (function(&without, &name).properties, function(&with, &name).properties);
        assert_eq!(plain.get("Layers"), None, "{name}");
        assert_eq!(layered.get("Layers").cloned(), runs_it.then(|| json!([arn])), "{name}");
        // The layer's script puts the program into bin, and Lambda the layer into /opt.
        let path = &layered["Environment"]["Variables"]["GUARD_ISTIOCTL"];
        assert_eq!(path.as_str(), runs_it.then_some("/opt/bin/istioctl"), "{name}");
        let more = layered["MemorySize"].as_i64() > plain["MemorySize"].as_i64();
        assert_eq!(more, runs_it, "{name}");
    }
    assert!(read("scripts/layer-istioctl").contains("\"bin/istioctl\""));
}

#[test]
fn what_all_functions_share_is_said_once() {
    let stack = Stack::of_guard(&[]);
    let globals = stack.value(&stack.section("Globals")["Function"]).unwrap();
    assert_eq!(globals["Runtime"], "provided.al2023");
    assert_eq!(globals["Architectures"], json!(["x86_64"]));
    assert_eq!(globals["Tracing"], "Active");
    assert_eq!(globals["AutoPublishAlias"], "live");
    assert_eq!(globals.get("ReservedConcurrentExecutions"), None, "none is reserved by default");
    let arm = Stack::of_guard(&[("Arch", "arm64"), ("ReservedConcurrency", "7")]);
    let globals = arm.value(&arm.section("Globals")["Function"]).unwrap();
    assert_eq!(globals["Architectures"], json!(["arm64"]));
    assert_eq!(globals["ReservedConcurrentExecutions"], "7");
}

/// Names of variables in a text.
fn variables(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_uppercase() || letter == '_' || letter.is_ascii_digit();
    let words = text.split(|letter| !is_part(letter));
    words.filter(|word| word.starts_with("GUARD_")).map(str::to_owned).collect()
}

#[test]
fn functions_are_told_what_they_read_and_nothing_else() {
    let stack = Stack::of_guard(&[]);
    let keys = |body: &Value| -> BTreeSet<String> {
        let variables = body["Environment"]["Variables"].as_object();
        variables.into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    let mut told = keys(&stack.section("Globals")["Function"]);
    for function in stack.of("AWS::Serverless::Function") {
        told.extend(keys(&function.properties));
    }
    let settings = read("shared/lambda/src/settings.rs");
    let (code, _) = settings.split_once("#[cfg(test)]").unwrap();
    let mut read = variables(code);
    // The other way to be told the configuration: one of the two is set.
    assert!(read.remove("GUARD_CONFIG_FILE"));
    assert_eq!(told, read);
}

#[test]
fn who_calls_clusters_or_gitlab_is_in_the_vpc_and_nobody_else() {
    let outside = Stack::of_guard(&[]);
    let inside = Stack::of_guard(&EVERYTHING);
    for name in names_in("functions") {
        assert_eq!(function(&outside, &name).properties.get("VpcConfig"), None, "{name}");
        let config = function(&inside, &name).properties.get("VpcConfig").cloned();
        let expected = ports::is_private(&ports::of(&name))
            .then(|| json!({"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}));
        assert_eq!(config, expected, "{name}");
    }
}

#[test]
fn every_log_is_kept_for_a_time_and_belongs_to_something() {
    let stack = Stack::of_guard(&[("LogRetentionDays", "30")]);
    let mut logs: Vec<String> = Vec::new();
    for log in stack.of("AWS::Logs::LogGroup") {
        assert_eq!(log.properties["RetentionInDays"], "30", "{}", log.id);
        logs.push(log.properties["LogGroupName"].as_str().unwrap().to_owned());
    }
    let machines = ["batch-rollback", "batch-upgrade", "cluster-converge", "rollout"];
    let mut expected: Vec<String> = names_in("functions")
        .iter()
        .map(|name| format!("/aws/lambda/guard-{name}"))
        .chain(machines.iter().map(|name| format!("/aws/vendedlogs/states/guard-{name}")))
        .collect();
    logs.sort();
    expected.sort();
    assert_eq!(logs, expected);
}

#[test]
fn a_key_of_ones_own_is_used_wherever_something_is_stored() {
    let key = "arn:aws:kms:eu-west-1:123456789012:key/k";
    let stack = Stack::of_guard(&EVERYTHING);
    let place = |resource: &Resource| -> Option<Value> {
        let properties = &resource.properties;
        let value = match resource.kind.as_str() {
            "AWS::DynamoDB::Table" => &properties["SSESpecification"]["KMSMasterKeyId"],
            "AWS::Logs::LogGroup" => &properties["KmsKeyId"],
            "AWS::SQS::Queue" => &properties["KmsMasterKeyId"],
            "AWS::StepFunctions::StateMachine" => &properties["EncryptionConfiguration"]["KmsKeyId"],
            _ => return None,
        };
        Some(value.clone())
    };
    let places: Vec<(String, Value)> = stack
        .resources()
        .iter()
        .filter_map(|resource| Some((resource.id.clone(), place(resource)?)))
        .collect();
    assert!(places.len() > 20);
    assert!(places.iter().all(|(_, value)| value == key), "{places:?}");
    assert_eq!(stack.value(&stack.section("Globals")["Function"]).unwrap()["KmsKeyArn"], key);
}

#[test]
fn tables_have_the_keys_that_the_stores_use_and_outlive_the_stack() {
    let stack = Stack::of_guard(&[]);
    let tables = stack.of("AWS::DynamoDB::Table");
    let keys = |schema: &Value| -> Vec<String> {
        schema
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["AttributeName"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut found = Vec::new();
    for table in &tables {
        let of = &table.properties;
        assert_eq!(of["BillingMode"], "PAY_PER_REQUEST");
        assert_eq!(of["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
        assert_eq!(of["DeletionProtectionEnabled"], "true");
        assert_eq!(table.attributes["DeletionPolicy"], "Retain");
        assert_eq!(table.attributes["UpdateReplacePolicy"], "Retain");
        let index = of["GlobalSecondaryIndexes"].as_array().map(|indexes| {
            (indexes[0]["IndexName"].as_str().unwrap().to_owned(), keys(&indexes[0]["KeySchema"]).concat())
        });
        let ttl = of["TimeToLiveSpecification"]["AttributeName"].as_str().map(str::to_owned);
        found.push((
            of["TableName"].as_str().unwrap().to_owned(),
            keys(&of["KeySchema"]).join("+"),
            index,
            ttl,
        ));
    }
    found.sort();
    let row = |name: &str, keys: &str, index: Option<(&str, &str)>, ttl: Option<&str>| {
        let index = index.map(|(name, key)| (name.to_owned(), key.to_owned()));
        (name.to_owned(), keys.to_owned(), index, ttl.map(str::to_owned))
    };
    let expected = [
        row("guard-cluster-registry", "cluster_id", Some(("batch-index", "batch_id")), None),
        row("guard-locks", "resource", None, None),
        row("guard-runs", "run_id+entry", Some(("open-tokens", "token_state")), Some("expires_at")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_registry_that_is_there_already_is_used_and_not_made() {
    let stack = Stack::of_guard(&[("ExistingRegistryTable", "fleet")]);
    assert_eq!(stack.of("AWS::DynamoDB::Table").len(), 2);
    let globals = stack.value(&stack.section("Globals")["Function"]).unwrap();
    assert_eq!(globals["Environment"]["Variables"]["GUARD_REGISTRY_TABLE"], "fleet");
    let policy = stack.resource("RegistryPolicy").properties["PolicyDocument"].to_string();
    assert!(
        policy.contains(&format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/fleet/index/batch-index")),
        "{policy}"
    );
}
