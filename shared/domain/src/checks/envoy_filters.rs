//! Will every EnvoyFilter still be applied?

use super::{Check, Source, Subject, first, warns};
use crate::{Direction, Finding};

pub(super) const CHECK: Check = Check {
    asks: "Does no EnvoyFilter name a proxy version?",
    because: "A filter that matches the old proxies' version is silently dropped by the new ones (istio#38214), and others \
              have made proxies reject their configuration (istio#49764).",
    reads: &[Source::EnvoyFilters],
    codes: &[warns("ENVOY_FILTER_VERSION", "a filter applies to proxies of some versions only")],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let filters = subject.facts.envoy_filters.as_ref().ok()?;
    let bound: Vec<String> = filters
        .iter()
        .filter(|filter| !filter.proxy_versions.is_empty())
        .map(|filter| format!("{} ({})", filter.name, filter.proxy_versions.join(", ")))
        .collect();
    let target = subject.planned.to(Direction::Upgrade);
    let found = (!bound.is_empty()).then(|| {
        Finding::warning(
            "ENVOY_FILTER_VERSION",
            subject.name(),
            format!("{} filters name a proxy version: {}", bound.len(), first(&bound)),
            format!("see that each still applies to {target}"),
        )
    });
    Some(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::EnvoyFilterFacts;
    use crate::checks::tests::{finds, passes};

    fn filter(versions: &[&str]) -> EnvoyFilterFacts {
        let proxy_versions = versions.iter().map(|text| (*text).to_owned()).collect();
        EnvoyFilterFacts { name: "shop/lua".into(), proxy_versions }
    }

    #[test]
    fn a_filter_for_one_version_is_told() {
        let found = finds(&CHECK, "ENVOY_FILTER_VERSION", |scene| {
            scene.facts.envoy_filters = Ok(vec![filter(&["^1\\.29.*"])]);
        });
        assert!(found[0].message.contains("shop/lua (^1\\.29.*)"), "{}", found[0]);
        passes(|scene| scene.facts.envoy_filters = Ok(vec![filter(&[])]));
    }
}
