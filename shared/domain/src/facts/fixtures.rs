//! A cluster in which nothing is wrong, for tests to bend.

use super::*;
use crate::Component;

pub(crate) fn complete(pods: u32) -> RolloutCounts {
    RolloutCounts { desired: pods, updated: pods, ready: pods, total: pods, is_observed: true }
}

fn definition(name: &str, is_helms: bool) -> DefinitionFacts {
    DefinitionFacts {
        name: name.into(),
        group: name.split_once('.').unwrap().1.into(),
        is_helms,
        versions: vec!["v1".into()],
        stored: vec!["v1".into()],
        gateway_api: None,
    }
}

/// The commit that Flux has applied, and the head of the branch.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A cluster that has applied the branch's head.
pub(crate) fn base() -> BaseFacts {
    BaseFacts {
        commit: COMMIT.into(),
        applied: [("flux-system/istio".to_owned(), (Some(COMMIT.to_owned()), Standing::Holds))].into(),
    }
}

/// A budget of the pods with label `app`, which lets one of them go.
pub(crate) fn budget(namespace: &str, app: &str) -> BudgetFacts {
    let labels = [("app".to_owned(), app.to_owned())].into();
    BudgetFacts {
        namespace: namespace.into(),
        name: app.into(),
        selector: LabelSelector { labels, expressions: vec![] },
        disruptions_allowed: Some(1),
    }
}

fn git(name: &str) -> SourceRef {
    SourceRef { kind: SourceKind::GitRepository, name: name.into() }
}

fn charts() -> SourceRef {
    SourceRef { kind: SourceKind::HelmRepository, name: "flux-system/istio".into() }
}

/// A source that is Ready.
pub(crate) fn source(source: SourceRef, url: &str) -> SourceFacts {
    SourceFacts {
        source,
        url: url.into(),
        from: None,
        version: None,
        is_address: false,
        is_suspended: false,
        is_observed: true,
        ready: Condition { status: Some(true), ..Default::default() },
    }
}

/// A release of one of Istio's charts, deployed and Ready, taken from the one HelmRepository.
pub(crate) fn release(name: &str, component: Component, version: &IstioVersion) -> HelmReleaseFacts {
    let (namespace, short) = name.split_once('/').unwrap();
    HelmReleaseFacts {
        name: name.into(),
        component,
        spec_version: Some(version.to_string()),
        source: Some(charts()),
        helm_chart: Some(format!("flux-system/{namespace}-{short}")),
        revision: None,
        has_other_values: false,
        is_observed: true,
        is_suspended: false,
        is_left_alone: false,
        corrects_drift: false,
        ready: Condition { status: Some(true), ..Default::default() },
        stalled: Condition::default(),
        remediated: Condition::default(),
        released: Condition::default(),
        drifted: Condition::default(),
        failures: 0,
        retries: 0,
        deployed_version: Some(version.to_string()),
    }
}

fn helm_chart(release: &HelmReleaseFacts, version: &IstioVersion) -> SourceFacts {
    let name = release.helm_chart.clone().unwrap();
    let chart = source(SourceRef { kind: SourceKind::HelmChart, name }, "");
    SourceFacts { from: Some(charts()), version: Some(version.to_string()), ..chart }
}

/// A cluster in which nothing is wrong, at this version everywhere.
pub(crate) fn healthy(version: &IstioVersion) -> ClusterFacts {
    let ready = Condition { status: Some(true), ..Default::default() };
    ClusterFacts {
        eks: Ok(EksFacts { status: "ACTIVE".into(), health_issues: vec![] }),
        kubernetes_version: Ok("1.33".into()),
        nodes: Ok(vec![NodeFacts { name: "n1".into(), is_ready: true, is_cordoned: false }]),
        flux: Ok(FluxFacts {
            kustomizations: vec![KustomizationFacts {
                name: "flux-system/istio".into(),
                path: "clusters/c1".into(),
                is_suspended: false,
                applied_commit: Some(COMMIT.into()),
                is_observed: true,
                source: Some(git("flux-system/fleet")),
                depends_on: vec![],
                ready: ready.clone(),
            }],
            repositories: vec![source(git("flux-system/fleet"), "https://gitlab.example.com/g/p.git")],
            releases: vec![release("istio-system/istiod", Component::Istiod, version)],
            helm_api: "v2".into(),
        }),
        chart_sources: Ok(vec![
            source(charts(), "https://blob.istio.io/istio-release/charts"),
            helm_chart(&release("istio-system/istiod", Component::Istiod, version), version),
        ]),
        istiod: Ok(IstiodFacts {
            deployments: [("istio-system/istiod".to_owned(), complete(2))].into(),
            pods: vec![(Some(version.clone()), 2)],
            ..IstiodFacts::default()
        }),
        workloads: Ok(vec![WorkloadFacts {
            workload: WorkloadRef {
                namespace: "shop".into(),
                kind: WorkloadKind::Deployment,
                name: "web".into(),
            },
            counts: complete(3),
            restart_mark: None,
            marked_at: None,
            pod_marks: [].into(),
            progress_at: None,
            ready_since: None,
            is_stuck: false,
            troubles: [].into(),
            is_native: false,
            systems: [].into(),
            outdated: vec![],
            proxies: vec![(Some(version.clone()), 3)],
            template: TemplateFacts {
                labels: [("app".to_owned(), "web".to_owned())].into(),
                rolling: Rolling { unavailable: 0, surge: 1 },
                ..TemplateFacts::default()
            },
        }]),
        strays: Ok(vec![]),
        system_pods: Ok(vec![PodFacts { name: "kube-system/coredns-1".into(), is_ready: true }]),
        mesh: Ok(vec![MeshPodFacts {
            name: "istio-system/istiod-1".into(),
            role: MeshRole::Istiod,
            hub: "docker.io/istio".into(),
            version: Some(version.clone()),
            is_ready: true,
            restarts: 0,
            last_end: None,
        }]),
        control_plane: Ok(ControlPlaneFacts {
            connected: vec![(Some(version.clone()), 3)],
            pushes: 1_000,
            ..ControlPlaneFacts::default()
        }),
        injection: Ok(vec![InjectionProbe {
            revision: "default".into(),
            outcome: ProbeOutcome::Injected(Some(version.clone())),
        }]),
        definitions: Ok(vec![
            definition("virtualservices.networking.istio.io", true),
            definition("gateways.gateway.networking.k8s.io", false),
        ]),
        webhooks: Ok(vec![WebhookFacts {
            configuration: "MutatingWebhookConfiguration istio-sidecar-injector".into(),
            service: "istio-system/istiod".into(),
            has_ca: true,
            ready_endpoints: 2,
        }]),
        budgets: Ok(vec![budget("istio-system", "istiod"), budget("shop", "web")]),
        envoy_filters: Ok(vec![]),
        namespaces: Ok([(
            "shop".to_owned(),
            NamespaceFacts { injection: Some("enabled".into()), revision: None },
        )]
        .into()),
    }
}
