//! The files of a cluster whose releases take their charts by `chartRef`.

/// One file a chart: the OCIRepository that pins it, and the release that names the OCIRepository.
pub fn istio_files_by_reference(cluster_id: &str, version: &str) -> [(&'static str, String); 3] {
    let file = |chart: &str, name: &str, namespace: &str, more: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\n\
             kind: OCIRepository\n\
             metadata:\n  name: {name}\n  namespace: {namespace}\n\
             spec:\n  interval: 12h\n  url: oci://ghcr.io/istio/release/charts/{chart}\n  ref:\n    tag: {version} # the pin\n\
             ---\n\
             apiVersion: helm.toolkit.fluxcd.io/v2\n\
             kind: HelmRelease\n\
             metadata:\n  name: {name}\n  namespace: {namespace}\n\
             spec:\n  interval: 10m\n  chartRef:\n    kind: OCIRepository\n    name: {name}\n{more}"
        )
    };
    let istiod = format!(
        "  dependsOn:\n    - name: istio-base\n  values:\n    global:\n      multiCluster:\n        clusterName: {cluster_id}\n"
    );
    let gateway = "  dependsOn:\n    - name: istiod\n      namespace: istio-system\n";
    [
        ("base.yaml", file("base", "istio-base", "istio-system", "")),
        ("istiod.yaml", file("istiod", "istiod", "istio-system", &istiod)),
        ("gateway.yaml", file("gateway", "istio-ingressgateway", "istio-ingress", gateway)),
    ]
}
