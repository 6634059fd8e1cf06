//! Has the merged change arrived: in Flux, in every Istio release, in every istiod pod?

use crate::flux_chain::Chain;
use crate::{Finding, HelmReleaseFacts, IstioVersion, RolloutFacts};

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// Everywhere.
    Arrived,
    /// On its way; the text says what is awaited.
    OnItsWay(String),
    /// It will not arrive by itself. Blocking: the change failed. Unknown: a person must look.
    Stuck(Finding),
}

/// Reasons of a HelmRelease that is Ready=False for good: without remediation retries it stays so until a change.
const FAILED: [&str; 5] =
    ["UpgradeFailed", "InstallFailed", "RollbackSucceeded", "RollbackFailed", "UninstallFailed"];

/// Judges the facts. `is_applied` tells for each Kustomization by name whether our commit is its applied commit or an
/// ancestor of it. Ready=True alone proves nothing: it is also true of the old chart until the new commit is seen.
pub fn arrival(
    cluster: &str,
    facts: &RolloutFacts,
    flux_path: &str,
    target: &IstioVersion,
    is_applied: impl Fn(&str) -> bool,
) -> Arrival {
    let stuck = |finding| Arrival::Stuck(finding);
    let chain = Chain::of(&facts.kustomizations, &facts.repositories, flux_path);
    if chain.applying.is_empty() {
        return stuck(Finding::unknown(
            "NO_KUSTOMIZATION",
            cluster,
            format!("no Flux Kustomization applies {flux_path}"),
            "correct flux_config_path in the registry, or the Kustomization's path",
        ));
    }
    if let Some(what) = chain.suspended().next() {
        return stuck(suspended(cluster, &what));
    }
    if let Some(behind) = chain.applying.iter().find(|one| !is_applied(&one.name)) {
        let at = behind.applied_commit.as_deref().unwrap_or("nothing");
        return Arrival::OnItsWay(format!("Flux Kustomization {} has applied {}", behind.name, short(at)));
    }
    if facts.releases.is_empty() {
        return stuck(Finding::unknown(
            "NO_HELM_RELEASES",
            cluster,
            "no HelmRelease of an Istio chart",
            "look at Flux in this cluster",
        ));
    }
    facts
        .releases
        .iter()
        .map(|release| one_release(cluster, release, target))
        .find(|arrival| *arrival != Arrival::Arrived)
        .unwrap_or_else(|| istiod(facts, target))
}

fn one_release(cluster: &str, release: &HelmReleaseFacts, target: &IstioVersion) -> Arrival {
    if release.is_suspended {
        return Arrival::Stuck(suspended(cluster, &format!("HelmRelease {}", release.name)));
    }
    let name = &release.name;
    if release.spec_version.as_deref().and_then(IstioVersion::from_chart_version).as_ref() != Some(target) {
        let at = release.spec_version.as_deref().unwrap_or("no version");
        return Arrival::OnItsWay(format!("HelmRelease {name} still asks for {at}"));
    }
    if !release.is_observed {
        return Arrival::OnItsWay(format!("HelmRelease {name} waits for the helm-controller"));
    }
    if release.ready.status == Some(false) && FAILED.contains(&release.ready.reason.as_str()) {
        return Arrival::Stuck(Finding::blocking(
            "HELM_UPGRADE_FAILED",
            format!("{cluster}: HelmRelease {name}"),
            format!("{}: {}", release.ready.reason, release.ready.message),
            "GUARD takes the cluster back; read the release's events before trying again",
        ));
    }
    let deployed = release.deployed_version.as_deref().and_then(IstioVersion::from_chart_version);
    if release.ready.status != Some(true) || deployed.as_ref() != Some(target) {
        let at = release.deployed_version.as_deref().unwrap_or("nothing");
        return Arrival::OnItsWay(format!("HelmRelease {name} has deployed {at}"));
    }
    Arrival::Arrived
}

fn istiod(facts: &RolloutFacts, target: &IstioVersion) -> Arrival {
    let istiod = &facts.istiod;
    if let Some((name, counts)) = istiod.deployments.iter().find(|(_, counts)| !counts.is_complete()) {
        return Arrival::OnItsWay(format!(
            "{name}: {} of {} pods ready on the new template",
            counts.updated.min(counts.ready),
            counts.desired
        ));
    }
    let at_target: u32 = istiod.pods.iter().filter(|(v, _)| v.as_ref() == Some(target)).map(|(_, n)| n).sum();
    let all: u32 = istiod.pods.iter().map(|(_, n)| n).sum();
    if istiod.deployments.is_empty() || all == 0 || at_target < all {
        return Arrival::OnItsWay(format!("{at_target} of {all} istiod pods run {target}"));
    }
    Arrival::Arrived
}

fn suspended(cluster: &str, what: &str) -> Finding {
    Finding::unknown(
        "FLUX_SUSPENDED",
        format!("{cluster}: {what}"),
        "suspended: the merged change cannot arrive, and neither could a rollback",
        "resume it, then start the batch again",
    )
}

fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use crate::facts::*;

    fn v(s: &str) -> IstioVersion {
        IstioVersion::parse(s).unwrap()
    }

    fn arrived() -> RolloutFacts {
        let flux = fixtures::healthy(&v("1.30.5")).flux.unwrap();
        RolloutFacts {
            kustomizations: vec![KustomizationFacts {
                path: "clusters/c1/istio".into(),
                applied_commit: Some("ab".repeat(20)),
                ..flux.kustomizations[0].clone()
            }],
            repositories: flux.repositories,
            releases: vec![HelmReleaseFacts {
                deployed_version: Some("1.30.5+0123456789ab".into()),
                ..flux.releases[0].clone()
            }],
            istiod: IstiodFacts {
                deployments: [(
                    "istio-system/istiod".to_owned(),
                    RolloutCounts { desired: 2, updated: 2, ready: 2, total: 2, is_observed: true },
                )]
                .into(),
                pods: vec![(Some(v("1.30.5")), 2)],
            },
        }
    }

    fn bent(bend: impl FnOnce(&mut RolloutFacts)) -> Arrival {
        let mut facts = arrived();
        bend(&mut facts);
        arrival("c1", &facts, "clusters/c1/istio/istiod.yaml", &v("1.30.5"), |_| true)
    }

    #[test]
    fn everything_at_the_target_is_arrived() {
        assert_eq!(bent(|_| {}), Arrival::Arrived);
    }

    #[test]
    fn ready_with_the_old_chart_is_not_arrived() {
        for bend in [
            (|f: &mut RolloutFacts| f.releases[0].deployed_version = Some("1.29.3".into()))
                as fn(&mut RolloutFacts),
            |f| f.releases[0].spec_version = Some("1.29.3".into()),
            |f| f.releases[0].is_observed = false,
            |f| f.releases[0].ready.status = None,
            |f| f.istiod.pods = vec![(Some(v("1.30.5")), 1), (Some(v("1.29.3")), 1)],
            |f| f.istiod.pods = vec![(None, 2)],
            |f| f.istiod.pods.clear(),
            |f| f.istiod.deployments.clear(),
            |f| f.istiod.deployments.values_mut().for_each(|c| c.total = 3),
        ] {
            assert!(matches!(bent(bend), Arrival::OnItsWay(_)));
        }
        let facts = arrived();
        assert!(matches!(
            arrival("c1", &facts, "clusters/c1/istio", &v("1.30.5"), |_| false),
            Arrival::OnItsWay(_)
        ));
    }

    #[test]
    fn a_failed_upgrade_is_told_at_once() {
        let got = bent(|f| {
            f.releases[0].ready = Condition {
                status: Some(false),
                reason: "UpgradeFailed".into(),
                message: "timed out".into(),
            };
            f.releases[0].deployed_version = Some("1.29.3".into());
        });
        assert!(
            matches!(got, Arrival::Stuck(f) if f.code == "HELM_UPGRADE_FAILED" && f.severity == Severity::Blocking)
        );
    }

    #[test]
    fn what_nobody_can_tell_is_a_question_not_a_failure() {
        for bend in [
            (|f: &mut RolloutFacts| f.repositories[0].is_suspended = true) as fn(&mut RolloutFacts),
            |f| f.kustomizations[0].is_suspended = true,
            |f| f.releases[0].is_suspended = true,
            |f| f.kustomizations[0].path = "clusters/c10".into(),
            |f| f.releases.clear(),
        ] {
            assert!(matches!(bent(bend), Arrival::Stuck(f) if f.severity == Severity::Unknown));
        }
    }
}
