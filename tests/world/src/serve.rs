//! The world on loopback sockets, for clients that open real connections.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::World;
use crate::aws::eks;
use crate::people;
use crate::view::System;

/// No real request of GUARD comes near this size.
const LARGEST_BODY: usize = 16 << 20;

/// From this size on an API server compresses its answers, for clients that can read that.
const GZIP_FROM: usize = 128 * 1024;

/// How the world's clock moves while it is served.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// Only [`World::advance_to`] moves it.
    ByHand,
    /// Each request finds it this many times as far on as the real clock.
    Real {
        /// World seconds in a real second.
        speed: f64,
    },
    /// Each request finds it where the machine's wall clock is. That clock may itself be a scaled one: whoever shares it
    /// shares the world's time.
    Wall,
}

/// A world that listens, until this is dropped.
#[derive(Debug)]
pub struct Served {
    /// GitLab, plain HTTP.
    pub gitlab_url: String,
    /// Datadog, plain HTTP.
    pub datadog_url: String,
    /// STS, plain HTTP.
    pub sts_url: String,
    /// EKS, plain HTTP.
    pub eks_url: String,
    /// The chat room's webhook with its secret path, plain HTTP.
    pub slack_webhook_url: String,
    /// PagerDuty, plain HTTP.
    pub pagerduty_url: String,
    /// Each cluster's API server, TLS; DescribeCluster gives the same.
    pub kubernetes_urls: BTreeMap<String, String>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Moves the world's clock with the real one.
#[derive(Clone)]
struct Clock {
    pace: Pace,
    from: Timestamp,
    since: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the world may follow the wall clock")]
    fn tick(&self, world: &World) {
        match self.pace {
            Pace::ByHand => {}
            Pace::Real { speed } => {
                let passed = self.since.elapsed().mul_f64(speed.clamp(0.0, 1.0e6));
                let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
                world.advance_to(self.from.checked_add(passed).unwrap_or(Timestamp::MAX));
            }
            Pace::Wall => world.advance_to(Timestamp::now()),
        }
    }
}

/// Opens one plain listener for each vendor and one TLS listener for each cluster, all on 127.0.0.1.
pub async fn serve(world: World, pace: Pace) -> io::Result<Served> {
    let clock = Clock { pace, from: world.now(), since: Instant::now() };
    let (region, clusters, (slack_host, slack_path)) = {
        let state = world.state();
        let host = |hex_id: &str| eks::host(hex_id, &state.spec.region);
        let clusters: Vec<(String, String)> =
            state.clusters.iter().map(|(id, cluster)| (id.clone(), host(&cluster.hex_id))).collect();
        (state.spec.region.clone(), clusters, people::webhook_place(&state))
    };
    let mut tasks = Vec::new();
    let mut urls = Vec::new();
    let vendors = [
        "gitlab.example.com".to_owned(),
        "api.datadoghq.com".to_owned(),
        format!("sts.{region}.amazonaws.com"),
        format!("eks.{region}.amazonaws.com"),
        slack_host,
        "events.pagerduty.com".to_owned(),
    ];
    for host in vendors {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        urls.push(format!("http://{}", listener.local_addr()?));
        tasks.push(tokio::spawn(listen(listener, None, world.clone(), clock.clone(), host)));
    }
    let mut kubernetes_urls = BTreeMap::new();
    for (cluster_id, host) in clusters {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://{}", listener.local_addr()?);
        let tls = acceptor(&world, &host)?;
        world.state().endpoints.insert(cluster_id.clone(), url.clone());
        kubernetes_urls.insert(cluster_id, url);
        tasks.push(tokio::spawn(listen(listener, Some(tls), world.clone(), clock.clone(), host)));
    }
    let mut urls = urls.into_iter();
    let mut next = || urls.next().unwrap_or_default();
    let served = Served {
        gitlab_url: next(),
        datadog_url: next(),
        sts_url: next(),
        eks_url: next(),
        slack_webhook_url: next() + &slack_path,
        pagerduty_url: next(),
        kubernetes_urls,
        tasks,
    };
    world.state().gitlab_url.clone_from(&served.gitlab_url);
    Ok(served)
}

fn acceptor(world: &World, host: &str) -> io::Result<TlsAcceptor> {
    let identity = world.state().authority.identity(host);
    let identity = identity.ok_or_else(|| io::Error::other(format!("no certificate for {host}")))?;
    // The provider is named here: with two in the process rustls could not choose.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(identity.chain, identity.key))
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn listen(listener: TcpListener, tls: Option<TlsAcceptor>, world: World, clock: Clock, host: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, world, clock, host) = (tls.clone(), world.clone(), clock.clone(), host.clone());
        tokio::spawn(async move {
            match tls {
                None => connection(stream, world, clock, host).await,
                Some(tls) => {
                    // A client that does not trust the certificate just goes away.
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, world, clock, host).await;
                    }
                }
            }
        });
    }
}

async fn connection<S>(stream: S, world: World, clock: Clock, host: String)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        let (world, clock, host) = (world.clone(), clock.clone(), host.clone());
        async move { Ok::<_, Infallible>(respond(request, &world, &clock, &host).await) }
    });
    // An error here is the client's hanging up.
    _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(
    request: Request<Incoming>,
    world: &World,
    clock: &Clock,
    host: &str,
) -> Response<Full<Bytes>> {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return answer;
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = Uri::builder().scheme("https").authority(host).path_and_query(path).build();
    if let Ok(uri) = uri {
        parts.uri = uri;
    }
    let accepts_gzip = parts
        .headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|one| one.trim() == "gzip"));
    clock.tick(world);
    let answer = world.handle(Request::from_parts(parts, body.to_bytes()));
    let latency = world.state().latency;
    if !latency.is_zero() {
        wait(latency).await;
    }
    let is_large = answer.body().len() >= GZIP_FROM;
    if accepts_gzip && is_large && is_api_server(world, host) {
        compressed(world, host, answer)
    } else {
        answer
    }
    .map(Full::new)
}

#[expect(clippy::disallowed_methods, reason = "a system that takes its time is simulated")]
async fn wait(length: Duration) {
    tokio::time::sleep(length).await;
}

fn is_api_server(world: &World, host: &str) -> bool {
    matches!(crate::system_of(&world.state(), host), System::Kubernetes(_))
}

/// As an API server does with answers from 128 kB on.
fn compressed(world: &World, host: &str, answer: Response<Bytes>) -> Response<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(answer.body()).and_then(|()| encoder.finish());
    let Ok(packed) = packed else { return answer };
    {
        let mut state = world.state();
        let system = crate::system_of(&state, host);
        let saved = (answer.body().len() as u64).saturating_sub(packed.len() as u64);
        let wire = &mut state.traffic.entry(system).or_default().bytes_on_the_wire;
        *wire = wire.saturating_sub(saved);
    }
    let (mut parts, _) = answer.into_parts();
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(parts, packed.into())
}
