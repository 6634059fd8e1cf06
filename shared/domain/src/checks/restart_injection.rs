//! Will the next pod have a proxy too?

use super::{Check, Source, Subject, blocks, first};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Will the next pod of every workload be injected again?",
    because: "Pods keep the proxy they were born with; whether the next one gets any is decided anew, by the labels of \
              namespace and pod (pkg/kube/inject, mutatingwebhook.yaml). A restart would silently take the workload out \
              of the mesh.",
    reads: &[Source::Workloads, Source::Namespaces],
    codes: &[
        blocks("INJECTION_LOST", "neither the namespace nor the pod template asks for a proxy any more"),
        blocks("PROXY_BY_HAND", "the proxy stands in the pod template itself, with its version"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let workloads = subject.facts.workloads.as_ref().ok()?;
    let namespaces = subject.facts.namespaces.as_ref().ok()?;
    let is_lost = |one: &&crate::WorkloadFacts| {
        let template = &one.template;
        let namespace = namespaces.get(&one.workload.namespace);
        !template.has_own_proxy
            && namespace.is_some_and(|it| !it.injects(template.asks.as_deref(), template.has_revision))
    };
    let names = |those: Vec<&crate::WorkloadFacts>| -> Vec<String> {
        those.into_iter().map(|one| one.workload.to_string()).collect()
    };
    let lost = names(workloads.iter().filter(is_lost).collect());
    let by_hand = names(workloads.iter().filter(|one| one.template.has_own_proxy).collect());
    let mut found = Vec::new();
    if !by_hand.is_empty() {
        found.push(Finding::blocking(
            "PROXY_BY_HAND",
            subject.name(),
            format!("{} workloads bring their proxy along: {}", by_hand.len(), first(&by_hand)),
            "a restart does not change it: let istiod inject it, or change the template",
        ));
    }
    if !lost.is_empty() {
        found.push(Finding::blocking(
            "INJECTION_LOST",
            subject.name(),
            format!("{} workloads would come back without a proxy: {}", lost.len(), first(&lost)),
            "label the namespace istio-injection=enabled or istio.io/rev, or the pod template, as it was",
        ));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::NamespaceFacts;
    use crate::checks::tests::{Scene, finds, passes};

    fn labelled(injection: Option<&str>, revision: bool) -> impl FnOnce(&mut Scene) {
        let injection = injection.map(str::to_owned);
        move |scene| {
            let facts = NamespaceFacts { injection, revision: revision.then(|| "canary".to_owned()) };
            scene.facts.namespaces.as_mut().unwrap().insert("shop".into(), facts);
        }
    }

    fn asks(pod: Option<&str>, revision: bool) -> impl Fn(&mut Scene) {
        let pod = pod.map(str::to_owned);
        move |scene| {
            let workload = &mut scene.facts.workloads.as_mut().unwrap()[0];
            workload.template.asks = pod.clone();
            workload.template.has_revision = revision;
        }
    }

    #[test]
    fn a_namespace_that_lost_its_label_blocks() {
        finds(&CHECK, "INJECTION_LOST", labelled(None, false));
        finds(&CHECK, "INJECTION_LOST", labelled(Some("disabled"), true));
        finds(&CHECK, "INJECTION_LOST", asks(Some("false"), false));
    }

    #[test]
    fn a_proxy_in_the_template_is_not_restarted_away() {
        finds(&CHECK, "PROXY_BY_HAND", |scene| {
            labelled(None, false)(scene);
            scene.facts.workloads.as_mut().unwrap()[0].template.has_own_proxy = true;
        });
    }

    #[test]
    fn either_label_is_enough_and_the_pod_may_ask_by_itself() {
        passes(labelled(None, true));
        for (pod, revision) in [(Some("true"), false), (None, true)] {
            passes(|scene| {
                labelled(None, false)(scene);
                asks(pod, revision)(scene);
            });
        }
    }
}
