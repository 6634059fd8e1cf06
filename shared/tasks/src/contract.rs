//! What every function takes and answers, as JSON Schema: the state machines are checked against it.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::ledger::{DecisionAnswer, MergeAnswer};
use crate::task::{Meta, Task};
use crate::{
    answer_decision, await_decision, await_merge, decide, gate_control_plane, judge_soak, merge_webhook,
    open_merge_request, plan_batch, plan_rollout, post_check, pre_check, restart_proxies, settle, sweep,
    watch_merges, watch_rollout,
};

/// The JSON Schemas of one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// See [`Task::NAME`].
    pub task: &'static str,
    /// Payloads that decode.
    pub input: Value,
    /// Answers.
    pub output: Value,
    /// What the task token in the payload is answered with, for a task that keeps one.
    pub token_answer: Option<Value>,
}

impl Contract {
    /// The schemas of a task's types.
    pub fn of<T: Task>() -> Self {
        Self {
            task: T::NAME,
            input: schema::<T::Input>(SchemaSettings::draft2020_12().for_deserialize()),
            output: schema::<T::Output>(SchemaSettings::draft2020_12().for_serialize()),
            token_answer: None,
        }
    }

    /// The schemas of a task that a state calls: it tells who it is.
    pub fn of_state<T: Task>() -> Self {
        let mut contract = Self::of::<T>();
        let meta = schema::<Meta>(SchemaSettings::draft2020_12().for_deserialize().with(|settings| {
            settings.meta_schema = None;
        }));
        contract.input["properties"][Meta::KEY] = meta;
        match contract.input["required"].as_array_mut() {
            Some(required) => required.push(Meta::KEY.into()),
            None => contract.input["required"] = [Meta::KEY].as_slice().into(),
        }
        contract
    }

    fn token_answered_by<A: JsonSchema>(self) -> Self {
        let answer = schema::<A>(SchemaSettings::draft2020_12().for_serialize());
        Self { token_answer: Some(answer), ..self }
    }

    /// Every task, in the order of the workflow.
    pub fn all() -> Vec<Self> {
        vec![
            Self::of_state::<plan_rollout::PlanRollout>(),
            Self::of_state::<plan_batch::PlanBatch>(),
            Self::of_state::<pre_check::PreCheck>(),
            Self::of_state::<decide::Decide>(),
            Self::of_state::<open_merge_request::OpenMergeRequest>(),
            Self::of_state::<await_merge::AwaitMerge>().token_answered_by::<MergeAnswer>(),
            Self::of::<watch_merges::WatchMerges>(),
            Self::of::<merge_webhook::MergeWebhook>(),
            Self::of_state::<watch_rollout::WatchRollout>(),
            Self::of_state::<gate_control_plane::GateControlPlane>(),
            Self::of_state::<restart_proxies::RestartProxies>(),
            Self::of_state::<judge_soak::JudgeSoak>(),
            Self::of_state::<await_decision::AwaitDecision>().token_answered_by::<DecisionAnswer>(),
            Self::of::<answer_decision::AnswerDecision>(),
            Self::of_state::<post_check::PostCheck>(),
            Self::of_state::<settle::Settle>(),
            Self::of::<sweep::Sweep>(),
        ]
    }
}

fn schema<T: JsonSchema>(settings: SchemaSettings) -> Value {
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
