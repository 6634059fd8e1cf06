//! What a Task sends and gets.

use super::effect::{Known, quantity};
use super::reader::{Data, Reader};
use super::value::{Field, Object, Type};
use crate::lint::LintRule;
use crate::machine::{Resource, Task};
use crate::names::machine_name;
use crate::template::Template;
use serde_json::Value;

/// What a call comes to.
#[derive(Default)]
pub(super) struct Called {
    /// What ResultSelector sees; `None` as long as no result is known to come.
    pub(super) result: Option<Type>,
    /// The machine it starts, with what.
    pub(super) child: Option<(String, Type)>,
}

pub(super) fn call(task: &Task, data: Data<'_>, known: &Known<'_>, reader: &mut Reader) -> Called {
    quantity("TimeoutSecondsPath", task.timeout.as_ref(), data, reader);
    quantity("HeartbeatSecondsPath", task.heartbeat.as_ref(), data, reader);
    match task.resource {
        Resource::Invoke | Resource::InvokeWithToken => invoke(task, data, known, reader),
        Resource::StartExecutionSync => start(task, data, known, reader),
    }
}

fn invoke(task: &Task, data: Data<'_>, known: &Known<'_>, reader: &mut Reader) -> Called {
    let payload = task.parameters.field("Payload");
    let sent = match payload {
        Some(payload) => reader.fill("Parameters.Payload", payload, data),
        None => Type::object([]),
    };
    let name = literal(task, "FunctionName");
    let Some(contract) = name.and_then(|name| known.contracts.functions.get(name)) else {
        let name = name.unwrap_or("a path");
        reader.note(LintRule::ContractKnown, format!("FunctionName is {name}, whose payload nobody knows"));
        return Called { result: Some(answered(Type::nothing())), child: None };
    };
    for misfit in sent.misfits(&contract.payload) {
        let rule = if misfit.is_key { LintRule::PayloadKeys } else { LintRule::PayloadFits };
        let from = origin(payload, &misfit.way);
        reader.note(rule, format!("Parameters.Payload{}{from}: {}", misfit.way, misfit.message));
    }
    let result = match (task.resource, &contract.token_answer) {
        (Resource::InvokeWithToken, Some(answer)) => answer.clone(),
        (Resource::InvokeWithToken, None) => {
            let message = format!("{} keeps no token, so nobody answers", name.unwrap_or_default());
            reader.note(LintRule::ContractKnown, message);
            Type::nothing()
        }
        (Resource::Invoke | Resource::StartExecutionSync, _) => answered(contract.answer.clone()),
    };
    Called { result: Some(result), child: None }
}

/// What `lambda:invoke` gives.
fn answered(payload: Type) -> Type {
    Type::object([
        ("ExecutedVersion", Type::string()),
        ("Payload", payload),
        ("SdkHttpMetadata", open()),
        ("StatusCode", Type::natural()),
    ])
    .with_optional("SdkResponseMetadata", open())
}

fn start(task: &Task, data: Data<'_>, known: &Known<'_>, reader: &mut Reader) -> Called {
    let input = match task.parameters.field("Input") {
        Some(input) => reader.fill("Parameters.Input", input, data),
        None => Type::object([]),
    };
    if let Some(template) = task.parameters.field("Name") {
        let name = reader.fill("Parameters.Name", template, data);
        if !name.fits(&Type::string()) {
            let from = origin(Some(template), "");
            let message = format!("Parameters.Name{from}: is {name}, and must be a string");
            reader.note(LintRule::TextIsString, message);
        }
    }
    let name = literal(task, "StateMachineArn").map(machine_name);
    let Some((name, output)) = name.and_then(|name| known.outputs.get_key_value(name)) else {
        let name = name.unwrap_or("a path");
        reader.note(LintRule::ContractKnown, format!("StateMachineArn is {name}, which is no machine here"));
        return Called { result: Some(described(&input, Type::nothing())), child: None };
    };
    Called {
        result: output.as_ref().map(|output| described(&input, output.clone())),
        child: Some((name.clone(), input)),
    }
}

/// What `startExecution.sync:2` gives.
fn described(input: &Type, output: Type) -> Type {
    let included = || Type::object([("Included", Type::boolean())]);
    Type::object([
        ("ExecutionArn", Type::string()),
        ("Input", input.clone()),
        ("InputDetails", included()),
        ("Name", Type::string()),
        ("Output", output),
        ("OutputDetails", included()),
        ("StartDate", Type::natural()),
        ("StateMachineArn", Type::string()),
        ("Status", Type::constant("SUCCEEDED")),
        ("StopDate", Type::natural()),
    ])
}

fn open() -> Type {
    Type::from_object(Object { others: Some(Box::new(Type::anything())), ..Object::default() })
}

impl Type {
    fn with_optional(mut self, name: &str, of: Self) -> Self {
        if let Some(object) = &mut self.object {
            object.fields.insert(name.to_owned(), Field::new(of, false));
        }
        self
    }
}

fn literal<'t>(task: &'t Task, field: &str) -> Option<&'t str> {
    match task.parameters.field(field) {
        Some(Template::Literal(Value::String(text))) => Some(text),
        _ => None,
    }
}

/// Where what stands at this way comes from: ` ($.merge.commit)`.
fn origin(template: Option<&Template>, way: &str) -> String {
    let mut here = template;
    let mut names = way.split('.').filter(|name| !name.is_empty());
    loop {
        match here {
            Some(Template::Path(path)) => return format!(" ({path})"),
            Some(template) => match names.next() {
                Some(name) => here = template.field(name),
                None => return String::new(),
            },
            None => return String::new(),
        }
    }
}
