//! PodDisruptionBudgets.

use guard_domain::BudgetFacts;
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
}

pub(crate) async fn facts(client: &Client) -> Result<Vec<BudgetFacts>, TaskError> {
    let facts = |budget: Budget| {
        let labels = budget.spec?.selector?.match_labels;
        Some(BudgetFacts { name: budget.metadata.full_name(), labels })
    };
    List::of::<PodDisruptionBudget>().read(client, facts).await.context("list PodDisruptionBudgets")
}
