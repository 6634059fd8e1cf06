//! Does this Flux tell what GUARD asks?

use super::{Check, Source, Subject, blocks};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Does the cluster serve HelmRelease v2?",
    because: "Older versions do not tell which chart is deployed (status.history), so nobody could say that an upgrade \
              arrived. v2 came with Flux 2.3; v2beta1 and v2beta2 are gone since 2.7 and 2.8 (helm-controller, changelog).",
    reads: &[Source::Flux],
    codes: &[blocks("FLUX_TOO_OLD", "the newest version it serves is older")],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let api = &subject.facts.flux.as_ref().ok()?.helm_api;
    let found = (api != "v2").then(|| {
        Finding::blocking(
            "FLUX_TOO_OLD",
            subject.name(),
            format!("HelmReleases are served as {api}"),
            "upgrade Flux to 2.3 or later",
        )
    });
    Some(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::finds;

    #[test]
    fn a_flux_before_v2_blocks() {
        finds(&CHECK, "FLUX_TOO_OLD", |scene| scene.facts.flux.as_mut().unwrap().helm_api = "v2beta2".into());
    }
}
