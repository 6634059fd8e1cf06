//! A cluster in which nothing is wrong, for tests to bend.

use super::*;

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

/// A cluster in which nothing is wrong, at this version everywhere.
pub(crate) fn healthy(version: &IstioVersion) -> ClusterFacts {
    let ready = Condition { status: Some(true), ..Default::default() };
    ClusterFacts {
        eks: Ok(EksFacts {
            status: "ACTIVE".into(),
            health_issues: vec![],
            kubernetes_version: "1.33".into(),
        }),
        nodes: Ok(vec![NodeFacts { name: "n1".into(), is_ready: true }]),
        flux: Ok(FluxFacts {
            kustomizations: vec![KustomizationFacts {
                name: "flux-system/istio".into(),
                path: "clusters/c1".into(),
                is_suspended: false,
                applied_commit: None,
                ready: ready.clone(),
            }],
            suspended_sources: vec![],
            releases: vec![HelmReleaseFacts {
                name: "istio-system/istiod".into(),
                component: Component::Istiod,
                spec_version: Some(version.to_string()),
                is_observed: true,
                is_suspended: false,
                corrects_drift: false,
                ready,
                deployed_version: Some(version.to_string()),
            }],
            helm_api: "v2".into(),
        }),
        istiod: Ok(IstiodFacts {
            deployments: [("istio-system/istiod".to_owned(), complete(2))].into(),
            pods: vec![(Some(version.clone()), 2)],
        }),
        workloads: Ok(vec![WorkloadFacts {
            workload: WorkloadRef {
                namespace: "shop".into(),
                kind: WorkloadKind::Deployment,
                name: "web".into(),
            },
            counts: complete(3),
            restart_mark: None,
            proxies: vec![(Some(version.clone()), 3)],
            template: TemplateFacts::default(),
        }]),
        strays: Ok(vec![]),
        system_pods: Ok(vec![PodFacts { name: "kube-system/coredns-1".into(), is_ready: true }]),
        mesh: Ok(vec![MeshPodFacts {
            name: "istio-system/istiod-1".into(),
            role: MeshRole::Istiod,
            version: Some(version.clone()),
            is_ready: true,
            restarts: 0,
            last_end: None,
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
        budgets: Ok(vec![BudgetFacts {
            name: "istio-system/istiod".into(),
            labels: [("app".to_owned(), "istiod".to_owned())].into(),
        }]),
        envoy_filters: Ok(vec![]),
        namespaces: Ok([(
            "shop".to_owned(),
            NamespaceFacts { injection: Some("enabled".into()), has_revision: false },
        )]
        .into()),
    }
}
