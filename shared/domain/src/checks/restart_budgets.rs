//! Has somebody said that no pod of theirs may go?

use super::{Check, Source, Subject, blocks, first, warns};
use crate::restart::taken_by;
use crate::{Finding, WorkloadFacts};

pub(super) const CHECK: Check = Check {
    asks: "Does every disruption budget leave room for the workloads that are restarted?",
    because: "A budget that allows no disruption says that no pod may go just now: its owner meant it (one replica, \
              maxUnavailable 0), or its pods are ill already. Kubernetes asks budgets on evictions only, so a rolling \
              restart would go on all the same; GUARD asks before each, and waits where its strategy takes a pod away \
              before the next one is ready (istio#9951).",
    reads: &[Source::Workloads, Source::Budgets],
    codes: &[
        warns(
            "RESTART_BUDGET",
            "a PodDisruptionBudget allows no disruption of a workload with proxies, whose restart takes none away",
        ),
        blocks(
            "RESTART_BLOCKED",
            "a PodDisruptionBudget allows no disruption of a workload with proxies, whose restart takes pods away",
        ),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let workloads = subject.facts.workloads.as_ref().ok()?;
    let budgets = subject.facts.budgets.as_ref().ok()?;
    let closed = budgets.iter().filter(|budget| budget.disruptions_allowed.unwrap_or_default() == 0);
    let found = closed.flat_map(|budget| {
        let covered = workloads.iter().filter(|one| {
            one.counts.desired > 0 && budget.selects(&one.workload.namespace, &one.template.labels)
        });
        let (blocked, others): (Vec<&WorkloadFacts>, Vec<_>) = covered.partition(|one| taken_by(one) > 0);
        let whole = format!("{}: PodDisruptionBudget {budget}", subject.name());
        let allows = match budget.disruptions_allowed {
            Some(_) => "allows no disruption",
            None => "has not been counted by its controller",
        };
        let seen = |those: Vec<&WorkloadFacts>| {
            let names: Vec<String> = those.into_iter().map(|one| one.workload.to_string()).collect();
            (!names.is_empty()).then(|| format!("it {allows}, and selects {}", first(&names)))
        };
        let blocked = seen(blocked).map(|seen| {
            let remedy = "ask its owner for room in the budget, or for a strategy that adds a pod before it takes one \
                          (maxUnavailable 0, maxSurge 1): GUARD would wait for it, and then stop";
            Finding::blocking("RESTART_BLOCKED", whole.clone(), seen, remedy)
        });
        let others = seen(others).map(|seen| {
            let remedy = "their restart adds a pod before it takes one away; the node's drain meanwhile would wait";
            Finding::warning("RESTART_BUDGET", whole, seen, remedy)
        });
        blocked.into_iter().chain(others)
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
    fn a_budget_that_a_restart_would_break_blocks() {
        finds(&CHECK, "RESTART_BLOCKED", |scene| {
            budget(|_| {})(scene);
            scene.facts.workloads.as_mut().unwrap()[0].template.rolling.unavailable = 1;
        });
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
