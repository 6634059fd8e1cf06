//! A way out through which nothing can be changed.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use guard_http::{Call, FailureKind, System, Transport, TransportError};
use http::Method;

/// Lets reads through, and POSTs that change nothing: calls of STS, questions by GraphQL, and dry runs.
pub(crate) struct ReadOnly(pub(crate) Arc<dyn Transport>);

#[async_trait]
impl Transport for ReadOnly {
    async fn send(&self, call: Call) -> Result<http::Response<Bytes>, TransportError> {
        let is_read = matches!(*call.request.method(), Method::GET | Method::HEAD);
        let is_question = call.request.uri().path().ends_with("/api/graphql")
            && !String::from_utf8_lossy(call.request.body()).contains("mutation");
        let is_dry_run = call.system == System::Kubernetes
            && call
                .request
                .uri()
                .query()
                .is_some_and(|query| query.split('&').any(|one| one == "dryRun=All"));
        if is_read || is_question || is_dry_run || call.system == System::Sts {
            return self.0.send(call).await;
        }
        let what = format!("{} would change something, and this suite only reads", call.label());
        Err(TransportError::new(FailureKind::Unsendable, what))
    }
}

#[tokio::test]
async fn a_write_does_not_get_out() {
    let answer = |_: Call| Ok(http::Response::new(Bytes::new()));
    let way = ReadOnly(Arc::new(answer));
    for (system, method, passes) in [
        (System::Kubernetes, Method::POST, false),
        (System::Gitlab, Method::GET, true),
        (System::Gitlab, Method::POST, false),
        (System::Kubernetes, Method::PATCH, false),
        (System::Kubernetes, Method::DELETE, false),
        (System::DynamoDb, Method::POST, false),
        (System::Sts, Method::POST, true),
    ] {
        let request =
            http::Request::builder().method(&method).uri("https://x.example/y").body(Bytes::new()).unwrap();
        let sent = way.send(Call::new(system, request, std::time::Duration::from_secs(1))).await;
        assert_eq!(sent.is_ok(), passes, "{system} {method}");
    }
}
