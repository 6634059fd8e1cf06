//! Has the merged change arrived: in Flux, in every Istio release, in every istiod pod?

mod release;

use jiff::Timestamp;

use crate::flux_chain::Chain;
use crate::{Finding, IstioVersion, KustomizationFacts, RolloutFacts};

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// Everywhere.
    Arrived,
    /// On its way; the text says what is awaited.
    OnItsWay(String),
    /// On its way, and a release corrects what somebody else sets anew. Once is nothing; time after time it never ends.
    Drifting(Finding),
    /// It will not arrive by itself. Blocking: the change failed. Unknown: a person must look.
    Stuck(Finding),
}

/// Looks at a release that corrects drift, one after the other, after which it is a loop.
pub const DRIFTING_LOOKS: u32 = 3;

/// Judges the facts. `is_applied` tells for each Kustomization by name whether our commit is its applied commit or an
/// ancestor of it; `began` is when following began. Ready=True alone proves nothing: it is also true of the old chart until the new commit is seen.
pub fn arrival(
    cluster: &str,
    facts: &RolloutFacts,
    flux_path: &str,
    target: &IstioVersion,
    began: Timestamp,
    is_applied: impl Fn(&str) -> bool,
) -> Arrival {
    let chain = Chain::of(&facts.kustomizations, &facts.repositories, flux_path);
    if chain.applying.is_empty() {
        return Arrival::Stuck(Finding::unknown(
            "NO_KUSTOMIZATION",
            cluster,
            format!("no Flux Kustomization applies {flux_path}"),
            "correct flux_config_path in the registry, or the Kustomization's path",
        ));
    }
    if let Some(what) = chain.suspended().next() {
        return Arrival::Stuck(suspended(cluster, &what));
    }
    if let Some(broken) = chain.applying.iter().find(|one| is_broken(one)) {
        return Arrival::Stuck(Finding::unknown(
            "KUSTOMIZATION_FAILED",
            format!("{cluster}: Kustomization {}", broken.name),
            format!("{}: {}", broken.ready.reason, broken.ready.message),
            "correct the files: Flux applies nothing of them, and a rollback could not be applied either",
        ));
    }
    // A Kustomization that waits for what it applies calls a commit applied only when all of it is well: what failed is
    // looked for before that.
    let mut stands: Vec<Arrival> =
        facts.releases.iter().map(|one| release::stand(cluster, one, &facts.chart_sources, target)).collect();
    if let Some(at) = stands.iter().position(|stand| matches!(stand, Arrival::Stuck(_))) {
        return stands.swap_remove(at);
    }
    if let Some(finding) = istiod_trouble(cluster, facts, target, began) {
        return Arrival::Stuck(finding);
    }
    if let Some(at) = stands.iter().position(|stand| matches!(stand, Arrival::Drifting(_))) {
        return stands.swap_remove(at);
    }
    if let Some(behind) = chain.applying.iter().find(|one| !is_applied(&one.name)) {
        let at = behind.applied_commit.as_deref().unwrap_or("nothing");
        let why = match behind.ready.status {
            Some(false) => format!(" ({}: {})", behind.ready.reason, behind.ready.message),
            _ => String::new(),
        };
        // The release says more than the Kustomization that waits for it.
        let waits = match stands.into_iter().find(|stand| *stand != Arrival::Arrived) {
            Some(Arrival::OnItsWay(seen)) => format!("; {seen}"),
            _ => String::new(),
        };
        return Arrival::OnItsWay(format!(
            "Flux Kustomization {} has applied {}{why}{waits}",
            behind.name,
            short(at)
        ));
    }
    if facts.releases.is_empty() {
        return Arrival::Stuck(Finding::unknown(
            "NO_HELM_RELEASES",
            cluster,
            "no HelmRelease of an Istio chart",
            "look at Flux in this cluster",
        ));
    }
    stands.into_iter().find(|stand| *stand != Arrival::Arrived).unwrap_or_else(|| istiod(facts, target))
}

/// The files that it tried last cannot be built: it will not be otherwise before somebody changes them.
fn is_broken(one: &KustomizationFacts) -> bool {
    one.is_observed && one.ready.status == Some(false) && one.ready.reason == "BuildFailed"
}

/// What the new istiod says of itself that does not pass. The old one's troubles are not the change's.
fn istiod_trouble(
    cluster: &str,
    facts: &RolloutFacts,
    target: &IstioVersion,
    began: Timestamp,
) -> Option<Finding> {
    let of_target =
        facts.istiod.troubles.iter().filter(|(_, trouble)| trouble.version.as_ref() == Some(target));
    if let Some((pod, trouble)) = of_target.clone().find(|(_, trouble)| trouble.is_lasting()) {
        let (code, remedy) = match trouble.reason.as_str() {
            "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
                ("ISTIOD_IMAGE", "bring the image to where the cluster pulls from, or correct global.hub")
            }
            "OOMKilled" => ("ISTIOD_OUT_OF_MEMORY", "the new version needs more: raise its limit"),
            _ => ("ISTIOD_CRASHES", "read the log of its last end (kubectl logs --previous)"),
        };
        return Some(Finding::blocking(code, format!("{cluster}: pod {pod}"), trouble.to_string(), remedy));
    }
    // On the way back it is still the way up that is stuck, until Helm changes the template.
    let (stuck, _) = facts.istiod.stuck.iter().find(|(_, since)| **since >= began)?;
    let why = of_target.map(|(pod, trouble)| format!("; {pod}: {trouble}")).next().unwrap_or_default();
    Some(Finding::blocking(
        "ISTIOD_STUCK",
        format!("{cluster}: Deployment {stuck}"),
        format!("it came no further for longer than its progressDeadlineSeconds{why}"),
        "look at its pods and events",
    ))
}

fn istiod(facts: &RolloutFacts, target: &IstioVersion) -> Arrival {
    let istiod = &facts.istiod;
    if let Some((name, counts)) = istiod.deployments.iter().find(|(_, counts)| !counts.is_complete()) {
        let why = istiod.troubles.iter().map(|(pod, trouble)| format!("; {pod}: {trouble}")).next();
        return Arrival::OnItsWay(format!(
            "{name}: {} of {} pods ready on the new template{}",
            counts.updated.min(counts.ready),
            counts.desired,
            why.unwrap_or_default()
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

    /// One thing about a release that is otherwise.
    type Bend = fn(&mut HelmReleaseFacts);

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
                ..IstiodFacts::default()
            },
            chart_sources: vec![],
        }
    }

    fn bent(bend: impl FnOnce(&mut RolloutFacts)) -> Arrival {
        let mut facts = arrived();
        bend(&mut facts);
        arrival("c1", &facts, "clusters/c1/istio/istiod.yaml", &v("1.30.5"), Timestamp::UNIX_EPOCH, |_| true)
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
            arrival("c1", &facts, "clusters/c1/istio", &v("1.30.5"), Timestamp::UNIX_EPOCH, |_| false),
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
            matches!(got, Arrival::Stuck(f) if f.code == "HELM_ACTION_FAILED" && f.severity == Severity::Blocking)
        );
    }

    fn condition(status: bool, reason: &str, message: &str) -> Condition {
        Condition { status: Some(status), reason: reason.into(), message: message.into() }
    }

    fn code(arrival: &Arrival) -> &str {
        match arrival {
            Arrival::Stuck(finding) => &finding.code,
            Arrival::Drifting(_) => "drifting",
            Arrival::OnItsWay(_) => "on its way",
            Arrival::Arrived => "arrived",
        }
    }

    /// As the helm-controller leaves it.
    fn failed(release: &mut HelmReleaseFacts, reason: &str) {
        release.ready = condition(false, reason, "context deadline exceeded");
        release.deployed_version = Some("1.29.3".into());
        release.failures = 1;
    }

    #[test]
    fn each_way_to_fail_has_a_name_of_its_own() {
        let at = |f: &mut RolloutFacts, bend: fn(&mut HelmReleaseFacts)| bend(&mut f.releases[0]);
        let table: [(&str, Bend); 8] = [
            ("HELM_ACTION_FAILED", |one| failed(one, "UpgradeFailed")),
            ("HELM_REMEDIATED", |one| {
                failed(one, "RollbackSucceeded");
                one.remediated = condition(true, "RollbackSucceeded", "");
            }),
            ("HELM_RETRIES_EXHAUSTED", |one| {
                failed(one, "UpgradeFailed");
                one.retries = 2;
                one.failures = 3;
                one.stalled = condition(true, "RetriesExceeded", "Failed to upgrade after 3 attempt(s)");
            }),
            ("HELM_OWNERSHIP", |one| {
                failed(one, "UpgradeFailed");
                one.ready.message = "Unable to continue: invalid ownership metadata".into();
            }),
            ("on its way", |one| {
                failed(one, "UpgradeFailed");
                one.retries = 2;
            }),
            ("on its way", |one| {
                failed(one, "RollbackSucceeded");
                (one.retries, one.remediated) = (-1, condition(true, "RollbackSucceeded", ""));
            }),
            ("on its way", |one| {
                one.ready = condition(false, "DependencyNotReady", "dependency 'base' is not ready");
            }),
            ("drifting", |one| {
                (one.corrects_drift, one.drifted) = (true, condition(true, "DriftDetected", "caBundle"));
                one.ready.status = None;
            }),
        ];
        for (expected, bend) in table {
            assert_eq!(code(&bent(|f| at(f, bend))), expected);
        }
        // It is told although the Kustomization waits for its releases, and calls nothing applied.
        let mut facts = arrived();
        failed(&mut facts.releases[0], "UpgradeFailed");
        let waiting =
            arrival("c1", &facts, "clusters/c1/istio", &v("1.30.5"), Timestamp::UNIX_EPOCH, |_| false);
        assert_eq!(code(&waiting), "HELM_ACTION_FAILED");
        // The old failure of another version is none of this change's.
        facts.releases[0].spec_version = Some("1.29.3".into());
        assert_eq!(
            code(&arrival("c1", &facts, "clusters/c1/istio", &v("1.30.5"), Timestamp::UNIX_EPOCH, |_| false)),
            "on its way"
        );
    }

    #[test]
    fn a_chart_that_is_not_there_is_told_at_once_and_a_slow_registry_is_not() {
        let waits = |words: &str, version: &str| {
            bent(|f| {
                let release = &mut f.releases[0];
                release.ready = condition(false, "ArtifactFailed", "HelmChart is not ready");
                release.deployed_version = Some("1.29.3".into());
                let name = release.helm_chart.clone().unwrap();
                let chart = fixtures::source(SourceRef { kind: SourceKind::HelmChart, name }, "");
                f.chart_sources = vec![SourceFacts {
                    version: Some(version.into()),
                    ready: condition(false, "ChartPullError", words),
                    ..chart
                }];
            })
        };
        let missing = "no 'istiod' chart with version matching '1.30.5' found";
        assert_eq!(code(&waits(missing, "1.30.5")), "CHART_NOT_FOUND");
        assert_eq!(code(&waits("GET https://r/v2/istiod: MANIFEST_UNKNOWN", "1.30.5")), "CHART_NOT_FOUND");
        assert_eq!(code(&waits("dial tcp: i/o timeout", "1.30.5")), "on its way");
        assert_eq!(code(&waits(missing, "1.29.3")), "on its way", "what the chart before this one said");
    }

    #[test]
    fn an_istiod_that_does_not_come_up_is_told_with_its_cause() {
        let with = |reason: &str, restarts: u32, version: &str| {
            bent(|f| {
                f.istiod.deployments.values_mut().for_each(|counts| counts.ready = 1);
                let trouble = PodTrouble {
                    version: Some(v(version)),
                    reason: reason.into(),
                    message: String::new(),
                    restarts,
                };
                f.istiod.troubles.insert("istio-system/istiod-1".into(), trouble);
            })
        };
        assert_eq!(code(&with("CrashLoopBackOff", 3, "1.30.5")), "ISTIOD_CRASHES");
        assert_eq!(code(&with("CrashLoopBackOff", 1, "1.30.5")), "on its way", "once is no loop");
        assert_eq!(code(&with("CrashLoopBackOff", 9, "1.29.3")), "on its way", "the old one goes away");
        assert_eq!(code(&with("ImagePullBackOff", 0, "1.30.5")), "ISTIOD_IMAGE");
        assert_eq!(code(&with("OOMKilled", 1, "1.30.5")), "ISTIOD_OUT_OF_MEMORY");
        assert_eq!(code(&with("Unschedulable", 0, "1.30.5")), "on its way", "a node may come");
        let stuck =
            |since: Timestamp| bent(|f| _ = f.istiod.stuck.insert("istio-system/istiod".into(), since));
        assert_eq!(code(&stuck(Timestamp::UNIX_EPOCH)), "ISTIOD_STUCK");
        assert_eq!(code(&stuck(Timestamp::MIN)), "arrived", "that was before this change");
    }

    #[test]
    fn what_nobody_can_tell_is_a_question_not_a_failure() {
        for bend in [
            (|f: &mut RolloutFacts| f.repositories[0].is_suspended = true) as fn(&mut RolloutFacts),
            |f| f.kustomizations[0].is_suspended = true,
            |f| f.releases[0].is_suspended = true,
            |f| f.kustomizations[0].path = "clusters/c10".into(),
            |f| f.kustomizations[0].ready = condition(false, "BuildFailed", "accumulating resources"),
            |f| f.releases[0].is_left_alone = true,
            |f| f.releases.clear(),
        ] {
            assert!(matches!(bent(bend), Arrival::Stuck(f) if f.severity == Severity::Unknown));
        }
    }
}
