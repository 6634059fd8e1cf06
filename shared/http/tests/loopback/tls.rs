//! Who a call trusts.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use guard_http::{FailureKind, ReqwestTransport, Transport};
use rustls::pki_types::PrivateKeyDer;

use crate::server::{call, head, start};

/// A server that proves itself with a certificate of its own making, which is returned as PEM.
fn secured() -> (SocketAddr, Arc<str>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem: Arc<str> = made.cert.pem().into();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let address = start(move |stream| {
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        if head(&mut stream).ends_with("\r\n\r\n") {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").unwrap();
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (address, pem)
}

#[tokio::test]
async fn the_calls_own_authority_is_trusted() {
    let (address, pem) = secured();
    let call = call(&format!("https://localhost:{}/", address.port())).with_roots(pem);
    let answer = ReqwestTransport::new().send(call).await.unwrap();
    assert_eq!(answer.body().as_ref(), b"hi");
}

#[tokio::test]
async fn another_authority_is_not() {
    let (address, _) = secured();
    let (_, other) = secured();
    let call = call(&format!("https://localhost:{}/", address.port())).with_roots(other);
    let error = ReqwestTransport::new().send(call).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Tls, "{error}");
    assert!(!error.to_string().contains("hush"), "{error}");
}

#[tokio::test]
async fn an_authority_that_cannot_be_read_sends_nothing() {
    let pem = "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n";
    for roots in [pem, ""] {
        let call = call("https://localhost:9/").with_roots(roots.into());
        let error = ReqwestTransport::new().send(call).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Unsendable, "{roots}: {error}");
    }
}
