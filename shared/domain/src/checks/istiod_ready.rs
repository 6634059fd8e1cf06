//! Does istiod run?

use super::{Check, Source, Subject, blocks};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Is istiod there, rolled out and ready?",
    because: "With istiod down, its webhook refuses every new pod (failurePolicy Fail, the chart's mutatingwebhook.yaml).",
    reads: &[Source::Istiod],
    codes: &[
        blocks("ISTIOD_NOT_READY", "a Deployment of istiod is not rolled out and ready"),
        blocks("ISTIOD_MISSING", "no Deployment has the label app=istiod"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let istiod = subject.facts.istiod.as_ref().ok()?;
    if istiod.deployments.is_empty() {
        return Some(vec![Finding::blocking(
            "ISTIOD_MISSING",
            subject.name(),
            "no Deployment with app=istiod",
            "is this the right cluster?",
        )]);
    }
    let unready = istiod.deployments.iter().filter(|(_, counts)| !counts.is_complete());
    let found = unready.map(|(name, _)| {
        Finding::blocking(
            "ISTIOD_NOT_READY",
            format!("{}: {name}", subject.name()),
            "not rolled out and ready",
            "bring istiod up before upgrading it",
        )
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn an_istiod_that_is_not_complete_blocks() {
        finds(&CHECK, "ISTIOD_NOT_READY", |scene| {
            let deployments = &mut scene.facts.istiod.as_mut().unwrap().deployments;
            for counts in deployments.values_mut() {
                counts.ready = 1;
            }
        });
    }

    #[test]
    fn no_istiod_blocks() {
        finds(&CHECK, "ISTIOD_MISSING", |scene| scene.facts.istiod.as_mut().unwrap().deployments.clear());
    }
}
