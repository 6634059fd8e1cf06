//! A Task state.

use super::fields::Fields;
use super::{recovery, state};
use crate::error::ParseError;
use crate::machine::{Resource, Task};
use crate::template::Template;

pub(super) fn task(fields: &mut Fields) -> Result<Task, ParseError> {
    let resource = fields.required_text("Resource")?;
    let (resource, known, required) = match resource.as_str() {
        "arn:aws:states:::lambda:invoke" => {
            (Resource::Invoke, ["FunctionName", "Payload"].as_slice(), "FunctionName")
        }
        "arn:aws:states:::lambda:invoke.waitForTaskToken" => {
            (Resource::InvokeWithToken, ["FunctionName", "Payload"].as_slice(), "FunctionName")
        }
        "arn:aws:states:::states:startExecution.sync:2" => {
            (Resource::StartExecutionSync, ["StateMachineArn", "Name", "Input"].as_slice(), "StateMachineArn")
        }
        other => return Err(fields.refuse("Resource", format!("{other} is outside of the subset"))),
    };
    let parameters = match resource {
        Resource::InvokeWithToken => fields.template("Parameters")?,
        Resource::Invoke | Resource::StartExecutionSync => fields.tokenless_template("Parameters")?,
    };
    let parameters = parameters.ok_or_else(|| fields.refuse("Parameters", "is missing"))?;
    if let Template::Object(given) = &parameters
        && let Some((name, _)) = given.iter().find(|(name, _)| !known.contains(&name.as_str()))
    {
        return Err(fields.refuse(&format!("Parameters.{name}"), "is outside of the subset"));
    }
    if parameters.field(required).is_none() {
        return Err(fields.refuse(&format!("Parameters.{required}"), "is missing"));
    }
    let timeout = state::quantity(fields, "TimeoutSeconds")?;
    let heartbeat = state::quantity(fields, "HeartbeatSeconds")?;
    if heartbeat.is_some() && resource != Resource::InvokeWithToken {
        // Nothing could ever send the heartbeat.
        return Err(fields.refuse("HeartbeatSeconds", "is for waitForTaskToken only"));
    }
    Ok(Task {
        resource,
        parameters,
        result_selector: fields.tokenless_template("ResultSelector")?,
        result_path: state::result_path(fields)?,
        timeout,
        heartbeat,
        retry: recovery::retry(fields)?,
        catch: recovery::catch(fields)?,
        after: state::after(fields)?,
    })
}
