//! Is there an istiod while istiod is replaced?

use super::{Check, Source, Subject, first, warns};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Has istiod two replicas and a disruption budget?",
    because: "Istio asks for both before an in-place upgrade: with one replica there is a moment without an injector, and \
              requests have failed in it (istio.io, in-place upgrades; istio#28120, istio#29599).",
    reads: &[Source::Istiod, Source::Budgets],
    codes: &[
        warns("ISTIOD_SINGLE", "a Deployment of istiod wants fewer than two replicas"),
        warns("ISTIOD_WITHOUT_BUDGET", "no PodDisruptionBudget covers istiod"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let istiod = subject.facts.istiod.as_ref().ok()?;
    let budgets = subject.facts.budgets.as_ref().ok()?;
    let single = istiod.deployments.iter().filter(|(_, counts)| counts.desired < 2);
    let single: Vec<String> = single.map(|(name, _)| name.clone()).collect();
    let mut found = Vec::new();
    if !single.is_empty() {
        found.push(Finding::warning(
            "ISTIOD_SINGLE",
            subject.name(),
            format!("one replica: {}", first(&single)),
            "give istiod two replicas (pilot.autoscaleMin)",
        ));
    }
    if !istiod.deployments.is_empty() && !budgets.iter().any(|budget| budget.covers("app", "istiod")) {
        found.push(Finding::warning(
            "ISTIOD_WITHOUT_BUDGET",
            subject.name(),
            "no PodDisruptionBudget selects app=istiod",
            "the istiod chart makes one (global.defaultPodDisruptionBudget)",
        ));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;
    use crate::facts::fixtures::complete;

    #[test]
    fn one_replica_is_told() {
        finds(&CHECK, "ISTIOD_SINGLE", |scene| {
            let deployments = &mut scene.facts.istiod.as_mut().unwrap().deployments;
            for counts in deployments.values_mut() {
                *counts = complete(1);
            }
        });
    }

    #[test]
    fn no_budget_is_told() {
        finds(&CHECK, "ISTIOD_WITHOUT_BUDGET", |scene| scene.facts.budgets.as_mut().unwrap().clear());
    }
}
