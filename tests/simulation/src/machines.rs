//! The state machines as they stand in `statemachine/`, with their tokens filled in as the template will.

use std::collections::BTreeMap;

use guard_asl::{
    ApiError, Contracts, FunctionContract, LintRules, Machine, ParseError, RetryPolicy, SchemaError,
    SubstituteError, machine_arn, substitute,
};
use guard_tasks::{Contract, ErrorName};

use crate::functions::{FUNCTIONS, function_arn};

/// Name and text of every machine.
pub const MACHINES: [(&str, &str); 4] = [
    ("batch-upgrade", include_str!("../../../statemachine/batch-upgrade.asl.json")),
    ("batch-rollback", include_str!("../../../statemachine/batch-rollback.asl.json")),
    ("cluster-converge", include_str!("../../../statemachine/cluster-converge.asl.json")),
    ("rollout", include_str!("../../../statemachine/rollout.asl.json")),
];

/// Machines that people, schedules and pipelines start. The others are started by machines only.
pub const STARTED_BY_PEOPLE: [&str; 3] = ["batch-upgrade", "batch-rollback", "rollout"];

const POLICIES: &str = include_str!("../../../statemachine/retry-policies.json");

/// A machine that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A `${Token}` nobody fills in.
    #[error("{machine}: {source}")]
    Token {
        /// The machine.
        machine: String,
        /// What is wrong.
        source: SubstituteError,
    },
    /// Not in the subset that is understood.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Refused by the service.
    #[error("{machine}: {error}")]
    Refused {
        /// The machine.
        machine: String,
        /// Why.
        error: ApiError,
    },
    /// `retry-policies.json` is no JSON object.
    #[error("retry-policies.json: {0}")]
    Policies(#[from] serde_json::Error),
    /// A task's schema that the lint does not understand.
    #[error("{task}: {source}")]
    Schema {
        /// The task.
        task: &'static str,
        /// What is wrong.
        source: SchemaError,
    },
}

/// `plan-batch` as `PlanBatch`, the way tokens spell it.
fn pascal(name: &str) -> String {
    name.split('-').map(|part| part[..1].to_uppercase() + &part[1..]).collect()
}

/// What each `${Token}` stands for.
fn tokens() -> BTreeMap<String, String> {
    let functions = FUNCTIONS.iter().map(|name| (format!("{}FunctionArn", pascal(name)), function_arn(name)));
    let machines =
        MACHINES.iter().map(|(name, _)| (format!("{}StateMachineArn", pascal(name)), machine_arn(name)));
    functions.chain(machines).collect()
}

/// One machine, ready to run.
pub fn machine(name: &str, text: &str) -> Result<Machine, MachineError> {
    let filled = substitute(text, &tokens())
        .map_err(|source| MachineError::Token { machine: name.to_owned(), source })?;
    Ok(Machine::parse(name, &filled)?)
}

/// Every machine.
pub fn machines() -> Result<Vec<Machine>, MachineError> {
    MACHINES.iter().map(|(name, text)| machine(name, text)).collect()
}

/// The house's rules for its machines: our six error names, our four retry policies.
pub fn lint_rules() -> Result<LintRules, MachineError> {
    let policies: BTreeMap<String, serde_json::Value> = serde_json::from_str(POLICIES)?;
    let retry_policies = policies
        .iter()
        .map(|(name, retriers)| RetryPolicy::parse(name, &retriers.to_string()))
        .collect::<Result<_, _>>()?;
    Ok(LintRules {
        error_names: ErrorName::ALL.iter().map(|name| name.as_str().to_owned()).collect(),
        retry_policies,
    })
}

/// What the functions take and give, and who starts what.
pub fn contracts() -> Result<Contracts, MachineError> {
    let contract = |contract: Contract| {
        let Contract { task, input, output, token_answer } = contract;
        FunctionContract::of_schemas(&input, &output, token_answer.as_ref())
            .map(|known| (function_arn(task), known))
            .map_err(|source| MachineError::Schema { task, source })
    };
    Ok(Contracts {
        functions: Contract::all().into_iter().map(contract).collect::<Result<_, _>>()?,
        started_by_people: STARTED_BY_PEOPLE.map(str::to_owned).into(),
    })
}
