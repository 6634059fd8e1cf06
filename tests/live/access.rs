//! The way into clusters: STS and EKS.

use std::sync::Arc;

use guard_aws::{Aws, Endpoints, OwnKeys};
use guard_domain::{ClusterId, ClusterRecord};
use guard_http::cluster_access::{ACTIVE, ClusterAccess};
use guard_lambda::SystemClock;
use guard_tasks::ErrorName;

use crate::environment::{given, wanted};
use crate::metrics::invented;
use crate::world::{Outside, reads};

struct Subject {
    access: Arc<dyn ClusterAccess>,
    /// A row whose role may be assumed, for a cluster that is not there.
    absent: ClusterRecord,
    /// One that is there, where one is known.
    known: Option<ClusterRecord>,
}

async fn reading(subject: &Subject) {
    let Subject { access, absent, known } = subject;
    let error = access.access(absent).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Rejected, "the role is assumed, the cluster is not there: {error}");
    assert!(error.chain().contains(absent.cluster_id.as_str()), "{error}");
    let mut locked = absent.clone();
    locked.aws_role_arn = format!("{}-guard-live-no-such-role", absent.aws_role_arn);
    let error = access.access(&locked).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Denied, "{error}");
    assert!(error.chain().contains(&locked.aws_role_arn), "{error}");
    let Some(known) = known else { return };
    let opened = access.access(known).await.unwrap();
    assert!(opened.kubernetes_version.starts_with("1."), "{opened:?}");
    assert_eq!(opened.eks_status == ACTIVE, opened.api_server.is_some(), "{opened:?}");
    if let Some(server) = &opened.api_server {
        assert!(server.endpoint.starts_with("https://"), "{server:?}");
        assert!(server.ca_pem.contains("BEGIN CERTIFICATE"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_world_keeps_the_contract() {
    let outside = Outside::open().await;
    let known = outside.fleet.rows[0].clone();
    let mut absent = known.clone();
    absent.cluster_id = invented().cluster_id;
    reading(&Subject { access: outside.aws(), absent, known: Some(known) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_aws_is_read() {
    let names = ["AWS_TEST_REGION", "AWS_TEST_ROLE_ARN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let Some([region, role, key, secret]) = wanted("AWS", names) else { return };
    let keys = OwnKeys {
        access_key_id: key,
        secret_access_key: secret.into(),
        session_token: given("AWS_SESSION_TOKEN").map(Into::into),
    };
    let provider = OwnKeys::provider(Some(&keys));
    let aws = Aws::new(reads(), provider, Arc::new(SystemClock), Endpoints::default());
    let aws = match given("AWS_TEST_EXTERNAL_ID") {
        Some(id) => aws.with_external_id(id),
        None => aws,
    };
    let absent = ClusterRecord { region, aws_role_arn: role, ..invented() };
    let known = given("AWS_TEST_CLUSTER").map(|name| {
        let cluster_id = ClusterId::parse(&name).unwrap();
        ClusterRecord { cluster_id, ..absent.clone() }
    });
    reading(&Subject { access: Arc::new(aws), absent, known }).await;
}
