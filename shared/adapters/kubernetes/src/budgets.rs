//! PodDisruptionBudgets.

use guard_domain::{BudgetFacts, LabelSelector, Operator, Requirement};
use guard_tasks::{Context as _, TaskError};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Client;
use serde::Deserialize;

use crate::list::{List, or_default};
use crate::object::{Metadata, Texts};

#[derive(Debug, Deserialize)]
struct Budget {
    metadata: Metadata,
    spec: Option<Spec>,
    #[serde(default, deserialize_with = "or_default")]
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Spec {
    selector: Option<Selector>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    #[serde(default, deserialize_with = "or_default")]
    match_labels: Texts,
    #[serde(default, deserialize_with = "or_default")]
    match_expressions: Vec<Expression>,
}

#[derive(Debug, Deserialize)]
struct Expression {
    key: String,
    operator: String,
    #[serde(default, deserialize_with = "or_default")]
    values: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    disruptions_allowed: Option<u32>,
}

/// Those without a selector cover no pod.
pub(crate) async fn facts(client: &Client) -> Result<Vec<BudgetFacts>, TaskError> {
    let facts = |budget: Budget| {
        let selector = budget.spec?.selector?;
        let expressions = selector.match_expressions.into_iter().map(|one| Requirement {
            operator: Operator::parse(&one.operator),
            key: one.key,
            values: one.values,
        });
        Some(BudgetFacts {
            namespace: budget.metadata.namespace,
            name: budget.metadata.name,
            selector: LabelSelector { labels: selector.match_labels, expressions: expressions.collect() },
            disruptions_allowed: budget.status.disruptions_allowed,
        })
    };
    List::of::<PodDisruptionBudget>().read(client, facts).await.context("list PodDisruptionBudgets")
}
