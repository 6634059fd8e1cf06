//! Do Istio's webhooks reach anybody?

use super::{Check, Source, Subject, blocks};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Does every webhook of Istio reach a ready istiod, with a CA bundle?",
    because: "A webhook that points at a removed istiod, or that nobody gave a CA bundle, refuses pods or configuration \
              (istio#43227, istio#37545, istio#38592; an outage of 19 days with ENABLE_CA_SERVER=false): a restart then \
              leaves a workload without pods.",
    reads: &[Source::Webhooks],
    codes: &[
        blocks("WEBHOOK_UNREACHABLE", "its service has no ready endpoint"),
        blocks("WEBHOOK_WITHOUT_CA", "its caBundle is empty"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let webhooks = subject.facts.webhooks.as_ref().ok()?;
    let mut found = Vec::new();
    for webhook in webhooks {
        let name = format!("{}: {}", subject.name(), webhook.configuration);
        if webhook.ready_endpoints == 0 {
            found.push(Finding::blocking(
                "WEBHOOK_UNREACHABLE",
                name,
                format!("service {} has no ready endpoint", webhook.service),
                "remove what an old revision left, or bring its istiod up",
            ));
        } else if !webhook.has_ca {
            found.push(Finding::blocking(
                "WEBHOOK_WITHOUT_CA",
                name,
                "caBundle is empty",
                "look at istiod's log: it writes the bundle when it may and has a CA",
            ));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn a_service_without_endpoints_blocks() {
        finds(&CHECK, "WEBHOOK_UNREACHABLE", |scene| {
            scene.facts.webhooks.as_mut().unwrap()[0].ready_endpoints = 0;
        });
    }

    #[test]
    fn a_bundle_that_is_empty_blocks() {
        finds(&CHECK, "WEBHOOK_WITHOUT_CA", |scene| scene.facts.webhooks.as_mut().unwrap()[0].has_ca = false);
    }
}
