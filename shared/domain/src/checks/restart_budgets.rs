//! Has somebody said that no pod of theirs may go?

use super::{Check, Source, Subject, first, warns};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Does every disruption budget leave room for the workloads that are restarted?",
    because: "A budget that allows no disruption says that no pod may go just now: its owner meant it (one replica, \
              maxUnavailable 0), or its pods are ill already. Kubernetes asks budgets on evictions only, so a rolling \
              restart goes on all the same; draining a node meanwhile would not (istio#9951).",
    reads: &[Source::Workloads, Source::Budgets],
    codes: &[warns(
        "RESTART_BUDGET",
        "a PodDisruptionBudget that selects pods of a workload with proxies allows no disruption",
    )],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let workloads = subject.facts.workloads.as_ref().ok()?;
    let budgets = subject.facts.budgets.as_ref().ok()?;
    let closed = budgets.iter().filter(|budget| budget.disruptions_allowed.unwrap_or_default() == 0);
    let found = closed.filter_map(|budget| {
        let covered = workloads.iter().filter(|one| {
            one.counts.desired > 0 && budget.selects(&one.workload.namespace, &one.template.labels)
        });
        let names: Vec<String> = covered.map(|one| one.workload.to_string()).collect();
        let allows = match budget.disruptions_allowed {
            Some(_) => "allows no disruption",
            None => "has not been counted by its controller",
        };
        (!names.is_empty()).then(|| {
            Finding::warning(
                "RESTART_BUDGET",
                format!("{}: PodDisruptionBudget {budget}", subject.name()),
                format!("it {allows}, and selects {}", first(&names)),
                "ask their owners whether a restart may happen; a rolling restart does not ask the budget",
            )
        })
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::{Scene, finds, passes};
    use crate::{BudgetFacts, LabelSelector, Operator, Requirement};

    fn budget(bend: impl FnOnce(&mut BudgetFacts)) -> impl FnOnce(&mut Scene) {
        move |scene| {
            let budget = &mut scene.facts.budgets.as_mut().unwrap()[1];
            budget.disruptions_allowed = Some(0);
            bend(budget);
        }
    }

    fn expression(operator: Operator) -> LabelSelector {
        let requirement = Requirement { key: "app".into(), operator, values: vec!["web".into()] };
        LabelSelector { expressions: vec![requirement], ..LabelSelector::default() }
    }

    #[test]
    fn a_budget_that_allows_nothing_is_told_with_whom_it_covers() {
        let found = finds(&CHECK, "RESTART_BUDGET", budget(|_| {}));
        assert_eq!(found[0].subject, "c1: PodDisruptionBudget shop/web");
        assert!(found[0].message.ends_with("selects shop/Deployment/web"), "{}", found[0]);
        finds(&CHECK, "RESTART_BUDGET", budget(|one| one.disruptions_allowed = None));
        finds(&CHECK, "RESTART_BUDGET", budget(|one| one.selector = LabelSelector::default()));
        finds(&CHECK, "RESTART_BUDGET", budget(|one| one.selector = expression(Operator::In)));
    }

    #[test]
    fn a_budget_of_other_pods_is_not() {
        passes(budget(|one| one.disruptions_allowed = Some(1)));
        passes(budget(|one| one.namespace = "data".into()));
        passes(budget(|one| one.selector = expression(Operator::NotIn)));
        passes(|scene| {
            budget(|_| {})(scene);
            let workload = &mut scene.facts.workloads.as_mut().unwrap()[0];
            workload.counts = crate::facts::fixtures::complete(0);
        });
    }
}
