//! PodDisruptionBudgets.

use guard_domain::BudgetFacts;
use guard_tasks::{Context as _, TaskError};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Api, Client, ResourceExt as _};

use crate::list;

pub(crate) async fn facts(client: &Client) -> Result<Vec<BudgetFacts>, TaskError> {
    let api: Api<PodDisruptionBudget> = Api::all(client.clone());
    list::all(&api, None, |budget| {
        let name = format!("{}/{}", budget.namespace().unwrap_or_default(), budget.name_any());
        let labels = budget.spec?.selector?.match_labels.unwrap_or_default();
        Some(BudgetFacts { name, labels })
    })
    .await
    .context("list PodDisruptionBudgets")
}
