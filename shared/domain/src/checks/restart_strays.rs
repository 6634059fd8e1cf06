//! Which proxies will not be restarted?

use super::{Check, Source, Subject, first, warns};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Does every pod with a proxy belong to something that GUARD can restart?",
    because: "Bare pods, Jobs and workloads of other controllers (Argo Rollouts, Knative) keep the old proxy until their \
              owners restart them.",
    reads: &[Source::Strays],
    codes: &[warns("PROXY_NOT_RESTARTED", "pods with proxies belong to something else")],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let strays = subject.facts.strays.as_ref().ok()?;
    let found = (!strays.is_empty()).then(|| {
        Finding::warning(
            "PROXY_NOT_RESTARTED",
            subject.name(),
            format!("{} pods with proxies are not restarted: {}", strays.len(), first(strays)),
            "tell their owners to restart them after the upgrade",
        )
    });
    Some(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn a_bare_pod_is_told() {
        finds(&CHECK, "PROXY_NOT_RESTARTED", |scene| scene.facts.strays = Ok(vec!["shop/pod debug".into()]));
    }
}
