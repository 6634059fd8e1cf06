use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{CLUSTER, token, world};
use crate::{Pace, World, serve};

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, path: &str, header: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{header}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A peer may leave out TLS's goodbye.
    _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn trusting(world: &World) -> tokio_rustls::TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config).into()
}

#[tokio::test]
async fn the_world_listens_on_sockets_with_its_own_certificates() {
    let world = world();
    let served = serve(world.clone(), Pace::ByHand).await.unwrap();
    let gitlab = TcpStream::connect(served.gitlab_url.trim_start_matches("http://")).await.unwrap();
    let answer = ask(gitlab, "/api/v4/projects/platform%2Ffleet", "private-token: glpat-world").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let url = &served.kubernetes_urls[CLUSTER];
    let address = url.trim_start_matches("https://");
    let bearer = format!("authorization: Bearer {}", token(&world, CLUSTER));
    let host = world.state().clusters[CLUSTER].hex_id.to_lowercase();
    for name in ["127.0.0.1".to_owned(), format!("{host}.gr7.eu-west-1.eks.amazonaws.com")] {
        let name = ServerName::try_from(name).unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = trusting(&world).connect(name, stream).await.unwrap();
        let answer = ask(stream, "/api/v1/namespaces/shop", &bearer).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(world.state().endpoints[CLUSTER], *url);
}

#[tokio::test]
async fn a_served_world_can_follow_the_real_clock() {
    let world = world();
    let start = world.now();
    let served = serve(world.clone(), Pace::Real { speed: 1_000_000.0 }).await.unwrap();
    let stream = TcpStream::connect(served.datadog_url.trim_start_matches("http://")).await.unwrap();
    let answer = ask(stream, "/api/v1/validate", "dd-api-key: dd-api-world").await;
    assert!(answer.contains("{\"valid\":true}"), "{answer}");
    assert!(world.now() > start);
}
