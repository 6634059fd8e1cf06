//! Refusals and silence.

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use guard_aws::{Aws, Endpoints};
use guard_http::cluster_access::ClusterAccess;
use guard_http::{Call, FailureKind, System, TransportError};
use guard_tasks::{ErrorName, TaskError};
use serde_json::json;
use std::sync::Arc;

use crate::world::{Answer, World, answer, clock, cluster, row, sts_error};

async fn error(world: &World) -> TaskError {
    let error = world.aws.access(&row()).await.unwrap_err();
    assert!(!error.chain().contains("hush"), "{error}");
    assert!(error.chain().starts_with("open cluster eks-1: "), "{error}");
    error
}

#[tokio::test]
async fn eks_refusals_are_named_by_code_and_asked_once() {
    let table = [
        (429, "ThrottlingException", ErrorName::Throttled),
        (400, "ThrottlingException", ErrorName::Throttled),
        (403, "AccessDeniedException", ErrorName::Denied),
        (403, "ExpiredTokenException", ErrorName::Denied),
        (404, "ResourceNotFoundException", ErrorName::Rejected),
        (400, "ClientException", ErrorName::Rejected),
        (500, "ServerException", ErrorName::Transient),
        (503, "ServiceUnavailableException", ErrorName::Transient),
        (418, "Teapot", ErrorName::Internal),
    ];
    for (status, code, name) in table {
        let world = World::new(move || Ok(answer(status, Some(code), &json!({"message": "no, because"}))));
        let error = error(&world).await;
        assert_eq!(error.name, name, "{code}: {error}");
        assert!(error.chain().contains("EKS GET /clusters/eks-1"), "{error}");
        assert!(error.chain().contains(&format!("status {status} {code}: no, because")), "{error}");
        assert_eq!(world.asked(System::Eks).len(), 1, "retrying is the state machine's job");
    }
}

#[tokio::test]
async fn sts_refusals_are_named_too() {
    let table = [
        (403, "AccessDenied", ErrorName::Denied),
        (403, "InvalidClientTokenId", ErrorName::Denied),
        (400, "Throttling", ErrorName::Throttled),
        (400, "ValidationError", ErrorName::Rejected),
        (500, "InternalFailure", ErrorName::Transient),
    ];
    for (status, code, name) in table {
        let never = || -> Answer { panic!("EKS is not asked without credentials") };
        let world = World::with_sts(clock(), move || Ok(sts_error(status, code)), never);
        let error = error(&world).await;
        assert_eq!(error.name, name, "{code}: {error}");
        assert!(
            error.chain().contains("STS POST / AssumeRole arn:aws:iam::111111111111:role/guard"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn silence_keeps_the_name_the_transport_gave_it() {
    for kind in FailureKind::ALL {
        let world = World::new(move || Err(TransportError::new(kind, "why")));
        let error = error(&world).await;
        assert_eq!(error.name, kind.error_name(), "{error}");
        assert!(error.chain().ends_with(&format!("{}: why", kind.as_str())), "{error}");
    }
}

#[tokio::test]
async fn garbage_is_nobodys_known_case() {
    let world = World::new(|| Ok(answer(200, None, &json!("<html>"))));
    assert_eq!(error(&world).await.name, ErrorName::Internal);
    let mut broken = cluster("ACTIVE");
    broken["cluster"]["certificateAuthority"]["data"] = json!("%%%");
    let world = World::new(move || Ok(answer(200, None, &broken)));
    let error = error(&world).await;
    assert_eq!(error.name, ErrorName::Internal);
    assert!(error.chain().contains("certificate authority"), "{error}");
}

#[tokio::test]
async fn a_denied_look_forgets_the_session() {
    let world = World::new(|| Ok(answer(403, Some("AccessDeniedException"), &json!({"message": "m"}))));
    error(&world).await;
    error(&world).await;
    assert_eq!(world.asked(System::Sts).len(), 2);
}

#[derive(Debug)]
struct Nothing;

impl ProvideCredentials for Nothing {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let none = aws_credential_types::provider::error::CredentialsError::not_loaded_no_source();
        future::ProvideCredentials::ready(Err(none))
    }
}

#[tokio::test]
async fn without_credentials_of_its_own_guard_is_denied_before_it_asks() {
    let transport = |_: Call| -> Answer { panic!("nothing can be signed") };
    let base = SharedCredentialsProvider::new(Nothing);
    let aws = Aws::new(Arc::new(transport), base, clock(), Endpoints::default());
    let error = aws.access(&row()).await.unwrap_err();
    assert_eq!(error.name, ErrorName::Denied, "{error}");
}
