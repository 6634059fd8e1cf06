//! The context object, `$$`.

use super::core::{Branch, Core};
use crate::names::machine_arn;
use serde_json::{Value, json};

/// Role in `$$.Execution.RoleArn`; nothing local checks it.
pub(super) const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/local-step-functions";

impl Core {
    /// `$$` for a branch, null when its state reads nothing of it; `token` for a `waitForTaskToken` task only.
    pub(super) fn context(&self, branch: &Branch, token: Option<&str>) -> Value {
        let execution = self.executions.get(&branch.execution).filter(|_| branch.state.reads_context);
        let Some(execution) = execution else { return Value::Null };
        let mut context = json!({
            "Execution": {
                "Id": branch.execution,
                "Input": execution.input,
                "Name": execution.name,
                "RoleArn": ROLE_ARN,
                "StartTime": format!("{:.3}", execution.start),
            },
            "StateMachine": {
                "Id": machine_arn(&execution.machine.name),
                "Name": execution.machine.name,
            },
            "State": {
                "EnteredTime": format!("{:.3}", branch.entered_at),
                "Name": branch.state.name,
                "RetryCount": branch.retries.iter().sum::<u64>(),
            },
        });
        if let Some(object) = context.as_object_mut() {
            if let Some((index, value)) = &branch.item {
                object.insert("Map".to_owned(), json!({"Item": {"Index": index, "Value": value}}));
            }
            if let Some(token) = token {
                object.insert("Task".to_owned(), json!({"Token": token}));
            }
        }
        context
    }
}
