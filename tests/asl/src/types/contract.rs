//! What the caller knows of the functions and of who starts what.

use super::schema::SchemaError;
use super::value::Type;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What the machines' data is checked against.
#[derive(Debug, Clone, Default)]
pub struct Contracts {
    /// By what `FunctionName` says.
    pub functions: BTreeMap<String, FunctionContract>,
    /// Machines that people, schedules and pipelines start too: of their input nothing is known. The others
    /// get what the machines that start them pass.
    pub started_by_people: BTreeSet<String>,
}

/// What a function takes and gives.
#[derive(Debug, Clone)]
pub struct FunctionContract {
    /// Payloads it decodes.
    pub payload: Type,
    /// Its answers.
    pub answer: Type,
    /// What the token in its payload is answered with; `None` when it keeps no token.
    pub token_answer: Option<Type>,
}

impl FunctionContract {
    /// From JSON Schemas.
    pub fn of_schemas(
        payload: &Value,
        answer: &Value,
        token_answer: Option<&Value>,
    ) -> Result<Self, SchemaError> {
        Ok(Self {
            payload: Type::of_schema(payload)?,
            answer: Type::of_schema(answer)?,
            token_answer: token_answer.map(Type::of_schema).transpose()?,
        })
    }
}
