//! EKS: DescribeCluster and ListClusters.

use http::Method;
use serde_json::{Value, json};

use super::access_key;
use crate::call::{self, Answer, Call};
use crate::chance;
use crate::cluster::Cluster;
use crate::state::State;

fn error(status: u16, kind: &'static str, message: &str) -> Answer {
    call::with(call::json(status, &json!({ "message": message })), "x-amzn-errortype", kind)
}

pub(crate) fn handle(state: &State, call: &Call) -> Answer {
    let Some(key) = access_key(call) else {
        return error(403, "MissingAuthenticationTokenException", "Missing Authentication Token");
    };
    let Some(session) = state.session(key) else {
        if state.sessions.contains_key(key) {
            return error(
                403,
                "ExpiredTokenException",
                "The security token included in the request is expired",
            );
        }
        return error(403, "AccessDeniedException", "User is not authorized to perform: eks:DescribeCluster");
    };
    // A member role sees the clusters of its own account only.
    let account = session.role_arn.split(':').nth(4).unwrap_or_default();
    let parts: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    if call.method != Method::GET {
        return error(403, "AccessDeniedException", "User is not authorized to perform this action");
    }
    match parts.as_slice() {
        ["clusters"] => {
            let own = state.clusters.values().filter(|cluster| cluster.spec.account_id == account);
            let names: Vec<&String> = own.map(|cluster| &cluster.spec.cluster_id).collect();
            call::json(200, &json!({ "clusters": names }))
        }
        ["clusters", name] => match state.clusters.get(*name).filter(|c| c.spec.account_id == account) {
            Some(cluster) if cluster.spec.role_arn == session.role_arn => {
                call::json(200, &json!({ "cluster": describe(state, cluster) }))
            }
            Some(_) => {
                error(403, "AccessDeniedException", "User is not authorized to perform: eks:DescribeCluster")
            }
            None if state.clusters.contains_key(*name) => {
                error(403, "AccessDeniedException", "User is not authorized to perform: eks:DescribeCluster")
            }
            None => error(404, "ResourceNotFoundException", &format!("No cluster found for name: {name}.")),
        },
        _ => error(404, "NotFoundException", "Not Found"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double exactly")]
fn describe(state: &State, cluster: &Cluster) -> Value {
    let spec = &cluster.spec;
    let region = &state.spec.region;
    let issues =
        cluster.eks.issues.iter().map(|code| json!({ "code": code, "message": "", "resourceIds": [] }));
    let id = |what: &str| chance::hex(cluster.seed, &[what, &spec.cluster_id], 17);
    let endpoint = state
        .endpoints
        .get(&spec.cluster_id)
        .cloned()
        .unwrap_or_else(|| format!("https://{}", host(&cluster.hex_id, region)));
    json!({
        "name": spec.cluster_id,
        "arn": format!("arn:aws:eks:{region}:{}:cluster/{}", spec.account_id, spec.cluster_id),
        "createdAt": cluster.born.as_second() as f64,
        "version": spec.kubernetes_version,
        "endpoint": endpoint,
        "roleArn": format!("arn:aws:iam::{}:role/eks-control-plane", spec.account_id),
        "resourcesVpcConfig": {
            "subnetIds": [format!("subnet-{}", id("a")), format!("subnet-{}", id("b"))],
            "securityGroupIds": [],
            "clusterSecurityGroupId": format!("sg-{}", id("sg")),
            "vpcId": format!("vpc-{}", id("vpc")),
            "endpointPublicAccess": true,
            "endpointPrivateAccess": true,
            "publicAccessCidrs": ["0.0.0.0/0"],
        },
        "kubernetesNetworkConfig": { "serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4" },
        "status": cluster.eks.status,
        "certificateAuthority": { "data": call::base64_of(state.authority.pem().as_bytes()) },
        "platformVersion": "eks.14",
        "tags": { "env": spec.environment },
        "health": { "issues": issues.collect::<Vec<_>>() },
        "accessConfig": { "authenticationMode": "API" },
        "upgradePolicy": { "supportType": "STANDARD" },
        "deletionProtection": false,
    })
}

/// The host name of a cluster's API server.
pub(crate) fn host(hex_id: &str, region: &str) -> String {
    format!("{hex_id}.gr7.{region}.eks.amazonaws.com")
}
