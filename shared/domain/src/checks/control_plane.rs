//! Do the proxies take what istiod sends them?

use super::{Check, Source, Subject, warns};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Do the proxies take what istiod sends them?",
    because: "A new istiod may send what old proxies refuse (istio#60486, istio#49836): they go on with what they had, and \
              nobody notices before a pod is made anew. What is refused before the change is counted, so that the \
              gate behind it can tell the difference.",
    reads: &[Source::ControlPlane],
    codes: &[
        warns("XDS_REJECTS", "proxies refuse configurations already"),
        warns("XDS_UNSENT", "istiod cannot send configurations, or has errors of its own, already"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let seen = subject.facts.control_plane.as_ref().ok()?;
    let mut found = Vec::new();
    if seen.rejects > 0 {
        found.push(Finding::warning(
            "XDS_REJECTS",
            subject.name(),
            format!("proxies refused {} of {} configurations since istiod began", seen.rejects, seen.pushes),
            "istioctl proxy-status names the proxies and istiod's log the cause, often an EnvoyFilter",
        ));
    }
    if seen.unsent + seen.internal_errors > 0 {
        found.push(Finding::warning(
            "XDS_UNSENT",
            subject.name(),
            format!(
                "{} configurations unsent, {} errors since istiod began",
                seen.unsent, seen.internal_errors
            ),
            "look at istiod's log, memory and CPU",
        ));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn what_is_refused_already_is_told() {
        let found =
            finds(&CHECK, "XDS_REJECTS", |scene| scene.facts.control_plane.as_mut().unwrap().rejects = 7);
        assert_eq!(found[0].message, "proxies refused 7 of 1000 configurations since istiod began");
    }

    #[test]
    fn what_cannot_be_sent_already_is_told() {
        finds(&CHECK, "XDS_UNSENT", |scene| scene.facts.control_plane.as_mut().unwrap().unsent = 1);
        finds(&CHECK, "XDS_UNSENT", |scene| scene.facts.control_plane.as_mut().unwrap().internal_errors = 1);
    }
}
