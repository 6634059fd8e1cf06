//! The template as CloudFormation would make it: parameters given, conditions decided, intrinsic functions resolved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::yaml;

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const ACCOUNT: &str = "123456789012";

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the repository.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| fail(&format!("{path}: {error}")))
}

/// Names of what is in a folder of the repository, sorted.
pub(crate) fn names_in(path: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(path)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn fail(message: &str) -> ! {
    #[expect(clippy::panic, reason = "the test's own failure")]
    {
        panic!("{message}")
    }
}

/// A stack.
pub(crate) struct Stack {
    template: Value,
    parameters: BTreeMap<String, Value>,
}

/// One resource, resolved.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) properties: Value,
    /// `DeletionPolicy` and its like.
    pub(crate) attributes: Map<String, Value>,
}

/// Switches on everything that is off by default.
pub(crate) const EVERYTHING: [(&str, &str); 10] = [
    ("NotificationWebhookSecret", "guard/notification-webhook"),
    ("PagerDutyKeySecret", "guard/pagerduty-key"),
    ("WebhookUrl", "on"),
    ("WebhookConcurrency", "2"),
    ("RolloutSchedule", "on"),
    ("RolloutTargetVersion", "1.30.5"),
    ("KmsKeyArn", "arn:aws:kms:eu-west-1:123456789012:key/k"),
    ("VpcSubnetIds", "subnet-1,subnet-2"),
    ("VpcSecurityGroupIds", "sg-1"),
    ("AlarmTopicArn", "arn:aws:sns:eu-west-1:123456789012:alarms"),
];

impl Stack {
    /// The template with its defaults and what is given.
    pub(crate) fn new(path: &str, given: &[(&str, &str)]) -> Self {
        let template = yaml::documents(&read(path)).remove(0);
        let declared = template["Parameters"].as_object().unwrap();
        for (name, _) in given {
            assert!(declared.contains_key(*name), "{path} has no parameter {name}");
        }
        let value_of = |name: &String, parameter: &Value| {
            let given = given.iter().find(|(given, _)| given == name).map(|(_, value)| json!(value));
            let value = given.or_else(|| parameter.get("Default").cloned());
            let value = value.unwrap_or_else(|| fail(&format!("{path}: {name} has no value")));
            let is_list = parameter["Type"] == "CommaDelimitedList";
            (name.clone(), if is_list { value.as_str().unwrap().split(',').collect() } else { value })
        };
        let parameters = declared.iter().map(|(name, parameter)| value_of(name, parameter)).collect();
        Self { template, parameters }
    }

    /// GUARD's own stack.
    pub(crate) fn of_guard(given: &[(&str, &str)]) -> Self {
        Self::new("infra/template.yaml", given)
    }

    /// A section as it is written.
    pub(crate) fn section(&self, name: &str) -> &Value {
        &self.template[name]
    }

    /// Every resource whose condition holds.
    pub(crate) fn resources(&self) -> Vec<Resource> {
        let resources = self.template["Resources"].as_object().unwrap();
        resources.iter().filter_map(|(id, resource)| self.made(id, resource)).collect()
    }

    /// Every resource of a type.
    pub(crate) fn of(&self, kind: &str) -> Vec<Resource> {
        self.resources().into_iter().filter(|resource| resource.kind == kind).collect()
    }

    /// A resource that must be there.
    pub(crate) fn resource(&self, id: &str) -> Resource {
        self.made(id, &self.template["Resources"][id]).unwrap_or_else(|| fail(&format!("{id} is not made")))
    }

    fn made(&self, id: &str, resource: &Value) -> Option<Resource> {
        let body = resource.as_object()?;
        if body.get("Condition").is_some_and(|name| !self.holds(name.as_str().unwrap())) {
            return None;
        }
        Some(Resource {
            id: id.to_owned(),
            kind: body["Type"].as_str().unwrap().to_owned(),
            properties: self.value(&body["Properties"]).unwrap(),
            attributes: body.clone(),
        })
    }

    fn holds(&self, condition: &str) -> bool {
        let body = &self.template["Conditions"][condition];
        assert!(!body.is_null(), "there is no condition {condition}");
        self.truth(body)
    }

    fn truth(&self, body: &Value) -> bool {
        let (name, argument) = body.as_object().and_then(|body| body.iter().next()).unwrap();
        let parts = || argument.as_array().unwrap();
        match name.as_str() {
            "Condition" => self.holds(argument.as_str().unwrap()),
            "Fn::Not" => !self.truth(&parts()[0]),
            "Fn::Or" => parts().iter().any(|part| self.truth(part)),
            "Fn::Equals" => self.value(&parts()[0]) == self.value(&parts()[1]),
            other => fail(&format!("the condition {other} is not known here")),
        }
    }

    /// A value with its intrinsic functions resolved; `None` is `AWS::NoValue`.
    pub(crate) fn value(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Array(items) => Some(items.iter().filter_map(|item| self.value(item)).collect()),
            Value::Object(body) if body.len() == 1 => {
                let (name, argument) = body.iter().next().unwrap();
                if name == "Ref" || name.starts_with("Fn::") {
                    self.call(name, argument)
                } else {
                    Some(self.object(body))
                }
            }
            Value::Object(body) => Some(self.object(body)),
            other => Some(other.clone()),
        }
    }

    fn object(&self, body: &Map<String, Value>) -> Value {
        body.iter().filter_map(|(key, value)| Some((key.clone(), self.value(value)?))).collect()
    }

    fn call(&self, name: &str, argument: &Value) -> Option<Value> {
        let text = || argument.as_str().unwrap();
        let part = |index: usize| &argument[index];
        match name {
            "Ref" => self.reference(text()),
            "Fn::If" => self.value(part(if self.holds(part(0).as_str().unwrap()) { 1 } else { 2 })),
            "Fn::GetAtt" => Some(json!(self.attribute(part(0).as_str().unwrap(), part(1).as_str().unwrap()))),
            "Fn::Join" => {
                let Some(Value::Array(items)) = self.value(part(1)) else { fail("Join of no list") };
                let texts: Vec<&str> = items.iter().map(|item| item.as_str().unwrap()).collect();
                Some(json!(texts.join(part(0).as_str().unwrap())))
            }
            "Fn::FindInMap" => {
                let keys: Vec<Value> =
                    argument.as_array().unwrap().iter().map(|key| self.value(key).unwrap()).collect();
                let found =
                    keys.iter().fold(&self.template["Mappings"], |map, key| &map[key.as_str().unwrap()]);
                assert!(!found.is_null(), "nothing at {keys:?} of Mappings");
                Some(found.clone())
            }
            "Fn::Sub" if argument.is_array() => {
                Some(json!(self.substitute(part(0).as_str().unwrap(), part(1).as_object().unwrap())))
            }
            "Fn::Sub" => Some(json!(self.substitute(text(), &Map::new()))),
            other => fail(&format!("{other} is not known here")),
        }
    }

    fn substitute(&self, text: &str, local: &Map<String, Value>) -> String {
        let mut parts = text.split("${");
        let mut done = parts.next().unwrap().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap();
            let value = match local.get(name) {
                Some(value) => self.value(value).unwrap(),
                None => match name.split_once('.') {
                    Some((id, attribute @ ("Arn" | "Name"))) => json!(self.attribute(id, attribute)),
                    _ => self.reference(name).unwrap(),
                },
            };
            done += value.as_str().unwrap_or_else(|| fail(&format!("${{{name}}} is no text")));
            done += rest;
        }
        done
    }

    fn reference(&self, name: &str) -> Option<Value> {
        match name {
            "AWS::NoValue" => return None,
            "AWS::Region" => return Some(json!(REGION)),
            "AWS::AccountId" => return Some(json!(ACCOUNT)),
            "AWS::Partition" => return Some(json!("aws")),
            _ => {}
        }
        if let Some(value) = self.parameters.get(name) {
            return Some(value.clone());
        }
        // The transform knows these two of a function.
        if let Some((id, what)) = name.split_once('.') {
            let qualifier = match what {
                "Version" => "1",
                "Alias" => "live",
                _ => fail(&format!("Ref to {name}")),
            };
            return Some(json!(format!("{}:{qualifier}", self.attribute(id, "Arn"))));
        }
        let resource = self.resource(name);
        let of = |key: &str| resource.properties[key].as_str().unwrap().to_owned();
        Some(json!(match resource.kind.as_str() {
            "AWS::DynamoDB::Table" => of("TableName"),
            "AWS::Serverless::Function" => of("FunctionName"),
            "AWS::Logs::LogGroup" => of("LogGroupName"),
            "AWS::StepFunctions::StateMachine" => self.attribute(name, "Arn"),
            "AWS::StepFunctions::StateMachineVersion" => format!("{}:1", of("StateMachineArn")),
            "AWS::IAM::ManagedPolicy" => name.to_owned(),
            "AWS::SQS::Queue" => of("QueueName"),
            other => fail(&format!("Ref to {name}, a {other}")),
        }))
    }

    fn attribute(&self, id: &str, attribute: &str) -> String {
        let body = &self.template["Resources"][id];
        let of = |key: &str| {
            let value = self.value(&body["Properties"][key]);
            value
                .as_ref()
                .and_then(Value::as_str)
                .unwrap_or_else(|| fail(&format!("{id} has no {key}")))
                .to_owned()
        };
        let arn = |service: &str, rest: String| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}");
        match (body["Type"].as_str().unwrap_or_else(|| fail(&format!("there is no {id}"))), attribute) {
            ("AWS::DynamoDB::Table", "Arn") => arn("dynamodb", format!("table/{}", of("TableName"))),
            ("AWS::Serverless::Function", "Arn") => arn("lambda", format!("function:{}", of("FunctionName"))),
            ("AWS::Logs::LogGroup", "Arn") => arn("logs", format!("log-group:{}:*", of("LogGroupName"))),
            ("AWS::SQS::Queue", "Arn") => arn("sqs", of("QueueName")),
            ("AWS::SQS::Queue", "QueueName") => of("QueueName"),
            ("AWS::Events::Rule", "Arn") => arn("events", format!("rule/{}", of("Name"))),
            ("AWS::IAM::Role", "Arn") => format!("arn:aws:iam::{ACCOUNT}:role/{}", of("RoleName")),
            ("AWS::StepFunctions::StateMachine", "Arn") => {
                arn("states", format!("stateMachine:{}", of("StateMachineName")))
            }
            ("AWS::StepFunctions::StateMachine", "StateMachineRevisionId") => "revision".to_owned(),
            (kind, attribute) => fail(&format!("{attribute} of {id}, a {kind}, is not known here")),
        }
    }
}
