//! Do the Gateway API's definitions fit the target, and the way back?

use super::{Check, Source, Subject, blocks, warns};
use crate::{Direction, Finding, IstioVersion};

pub(super) const CHECK: Check = Check {
    asks: "Do the Gateway API's definitions fit both versions?",
    because: "istiod up to 1.29 never becomes ready beside definitions of v1.5 (istio#59443), and 1.30 does not see \
              TLSRoutes and ReferenceGrants of older ones (istio.io PR 17394). So with v1.5 there is no way back from 1.30.",
    reads: &[Source::Definitions],
    codes: &[
        blocks(
            "GATEWAY_API_NO_WAY_BACK",
            "they are v1.5 or later, and the version to go back to is 1.29 or earlier",
        ),
        warns("GATEWAY_API_TOO_OLD", "they are older than v1.5, and the target is 1.30 or later"),
    ],
    find,
};

/// The first version of the definitions that 1.30 needs and 1.29 does not live with.
const TURN: (u64, u64) = (1, 5);

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let all = subject.facts.definitions.as_ref().ok()?;
    let bundles = all.iter().filter_map(|one| one.gateway_api.as_deref());
    let Some(bundle) = bundles.min_by_key(|text| line(text)) else { return Some(Vec::new()) };
    let (from, to) = (subject.planned.from(Direction::Upgrade), subject.planned.to(Direction::Upgrade));
    let is_new = |version: &IstioVersion| (version.major(), version.minor()) >= (1, 30);
    let has_turned = line(bundle).is_some_and(|have| have >= TURN);
    Some(match (is_new(from), is_new(to), has_turned) {
        (false, _, true) => vec![Finding::blocking(
            "GATEWAY_API_NO_WAY_BACK",
            subject.name(),
            format!("the definitions are {bundle}, beside which istiod {from} does not become ready"),
            "install definitions of v1.4 until the upgrade is over",
        )],
        (_, true, false) => vec![Finding::warning(
            "GATEWAY_API_TOO_OLD",
            subject.name(),
            format!("the definitions are {bundle}; {to} needs v1.5 for TLSRoute and ReferenceGrant"),
            "upgrade them when the upgrade is over and nobody wants to go back",
        )],
        _ => Vec::new(),
    })
}

/// `v1.4.1` as major and minor.
fn line(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::{Scene, finds, passes};

    fn has(bundle: &str) -> impl FnOnce(&mut Scene) {
        move |scene| scene.facts.definitions.as_mut().unwrap()[1].gateway_api = Some(bundle.into())
    }

    #[test]
    fn each_side_of_the_turn_has_its_trouble() {
        finds(&CHECK, "GATEWAY_API_NO_WAY_BACK", has("v1.5.0"));
        finds(&CHECK, "GATEWAY_API_NO_WAY_BACK", has("v1.10.1-rc.1"));
        finds(&CHECK, "GATEWAY_API_TOO_OLD", has("v1.4.1"));
        finds(&CHECK, "GATEWAY_API_TOO_OLD", has("main"));
    }

    #[test]
    fn between_two_versions_of_one_side_all_is_well() {
        passes(|scene| {
            has("v1.5.0")(scene);
            scene.goes("1.30.1".parse().unwrap(), "1.30.5".parse().unwrap());
        });
        passes(|scene| {
            has("v1.4.0")(scene);
            scene.goes("1.28.1".parse().unwrap(), "1.29.5".parse().unwrap());
        });
    }
}
