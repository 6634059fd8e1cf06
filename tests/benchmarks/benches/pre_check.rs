//! What a pre-check reads and decides, over real sockets: one cluster of 5,000 pods, beside the naive way; and 75 clusters,
//! ten at a time. The asking is done by a process of its own, so that its memory is its own.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set up its case should stop there")]
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use flate2::read::GzDecoder;
use futures::{StreamExt as _, stream};
use guard_aws::{Aws, Endpoints};
use guard_benchmarks::peak_memory_kb;
use guard_datadog::Datadog;
use guard_domain::checks::Subject;
use guard_domain::compatibility::Compatibility;
use guard_domain::{BaseFacts, ClusterRecord, PlannedCluster, Standing, manifest};
use guard_gitlab::GitLab;
use guard_http::cluster_access::ClusterAccess as _;
use guard_http::{ReqwestTransport, Transport};
use guard_kubernetes::Clusters;
use guard_simulation::Fleet;
use guard_tasks::{
    Clock, ClusterHealthReader as _, CommitReader as _, FileReader as _, MonitorReader as _,
    TrafficReader as _,
};
use guard_world::{ClusterSpec, Pace, Served, World};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;

/// Of the fleet, and how many are checked at the same time: the Map's `MaxConcurrency`.
const FLEET: usize = 75;
const AT_A_TIME: usize = 10;

/// What an answer of any system takes beside the computing, in the second table: a request across accounts.
const LATENCY: Duration = Duration::from_millis(40);

fn main() {
    // `cargo bench` adds `--bench`; the asking process gets what to do, and where everything is.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let [what, places] = words.as_slice() {
        return runtime.block_on(ask(what, &serde_json::from_str(places).unwrap()));
    }
    print_one(&runtime.block_on(serve(&large(), Duration::ZERO, &["checked", "naive"])));
    let usual = Fleet::new(FLEET, 1, None, None).unwrap();
    print_fleet(&runtime.block_on(serve(&usual, LATENCY, &["one-of-fleet", "fleet"])));
}

fn large() -> Fleet {
    let mut fleet = Fleet::new(1, 1, None, None).unwrap();
    let usual = &mut fleet.world.clusters[0];
    *usual = ClusterSpec {
        kubernetes_version: usual.kubernetes_version.clone(),
        ..ClusterSpec::large(&usual.cluster_id, &usual.account_id)
    };
    fleet
}

/// Serves a fresh world to each asking process, and adds what the world saw to what the process says of itself.
async fn serve(fleet: &Fleet, latency: Duration, what: &[&str]) -> Vec<Value> {
    let mut rows = Vec::new();
    for what in what {
        let world = World::new(fleet.world.clone());
        world.answer_after(latency);
        let served = guard_world::serve(world.clone(), Pace::ByHand).await.unwrap();
        let places = places(fleet, &served).to_string();
        let what = (*what).to_owned();
        let output = tokio::task::spawn_blocking(move || {
            Command::new(std::env::current_exe().unwrap()).args([what, places]).output().unwrap()
        });
        let output = output.await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut row: Value = serde_json::from_slice(&output.stdout).unwrap();
        let (mut kubernetes, mut others) = ((0, 0, 0), 0);
        for (system, traffic) in world.traffic() {
            match system {
                guard_world::System::Kubernetes(_) => {
                    kubernetes.0 += traffic.calls;
                    kubernetes.1 += traffic.bytes_out;
                    kubernetes.2 += traffic.bytes_on_the_wire;
                }
                _ => others += traffic.calls,
            }
        }
        row["requests"] = json!(kubernetes.0);
        row["bytes"] = json!(kubernetes.1);
        row["wire"] = json!(kubernetes.2);
        row["others"] = json!(others);
        rows.push(row);
    }
    rows
}

fn places(fleet: &Fleet, served: &Served) -> Value {
    json!({
        "rows": fleet.rows, "now": fleet.world.start, "start": fleet.start, "target": fleet.target,
        "sts": served.sts_url, "eks": served.eks_url, "gitlab": served.gitlab_url, "datadog": served.datadog_url,
        "gitlab_token": fleet.world.gitlab_token, "api_key": fleet.world.datadog_api_key,
        "app_key": fleet.world.datadog_app_key,
    })
}

struct FixedClock(Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// The adapters as the function `pre-check` has them, and what it decides with.
struct Asker {
    rows: Vec<ClusterRecord>,
    places: Value,
    aws: Arc<Aws>,
    clusters: Clusters,
    datadog: Datadog,
    gitlab: GitLab,
    now: Timestamp,
}

impl Asker {
    fn new(places: &Value) -> Self {
        let text = |name: &str| places[name].as_str().unwrap().to_owned();
        let transport: Arc<dyn Transport> = Arc::new(ReqwestTransport::new());
        let now: Timestamp = text("now").parse().unwrap();
        let credentials = SharedCredentialsProvider::new(Credentials::from_keys("AKIAGUARD", "secret", None));
        let endpoints = Endpoints { sts: Some(text("sts")), eks: Some(text("eks")) };
        let aws =
            Arc::new(Aws::new(Arc::clone(&transport), credentials, Arc::new(FixedClock(now)), endpoints));
        Self {
            rows: serde_json::from_value(places["rows"].clone()).unwrap(),
            clusters: Clusters::new(Arc::clone(&transport), aws.clone()),
            datadog: Datadog::new(
                Arc::clone(&transport),
                &text("datadog"),
                text("api_key").into(),
                text("app_key").into(),
            ),
            gitlab: GitLab::new(Arc::clone(&transport), &text("gitlab"), text("gitlab_token").into()),
            places: places.clone(),
            aws,
            now,
        }
    }

    /// Everything that a pre-check reads, and all its decisions; not its run record.
    async fn check(&self, row: &ClusterRecord) -> usize {
        let facts =
            self.clusters.health(row, guard_tasks::Extent::Whole, Duration::from_mins(1)).await.unwrap();
        let from = self.now - SignedDuration::from_hours(1);
        let baseline = self.datadog.traffic(std::slice::from_ref(row), from, self.now).await.unwrap();
        let monitors = self.datadog.monitors(row).await.unwrap();
        let head = self.gitlab.head(&row.gitlab_repo, "main").await.unwrap();
        let files = self.gitlab.yaml_files(&row.gitlab_repo, &[&row.flux_config_path], &head).await.unwrap();
        let version = |name: &str| serde_json::from_value(self.places[name].clone()).unwrap();
        let planned = PlannedCluster {
            record: row.clone(),
            old: version("start"),
            new: version("target"),
            undoes: None,
        };
        manifest::edit(&files, &manifest::Aim::new(&planned.old, &planned.new)).unwrap();
        let kustomizations = facts.flux.as_ref().unwrap().kustomizations.iter();
        let applied = kustomizations.map(|one| (one.name.clone(), (Some(head.clone()), Standing::Holds)));
        let base = BaseFacts { commit: head.clone(), applied: applied.collect() };
        let subject = Subject {
            planned: &planned,
            facts: &facts,
            base: &Ok(base),
            baseline: &Ok(baseline.into_values().next()),
            memory: &Err(guard_domain::Unread::for_good("not measured here")),
            integration: &Err(guard_domain::Unread::for_good("not measured here")),
            monitors: &Ok(monitors),
            config: &guard_domain::Config::default(),
            compatibility: &Compatibility::built_in().unwrap(),
            skew: &guard_domain::skew::Skew::built_in().unwrap(),
            retirement: &guard_domain::retirement::Retirement::built_in().unwrap(),
            now: self.now,
        };
        let findings = subject.findings();
        assert!(findings.iter().all(|one| one.severity != guard_domain::Severity::Blocking), "{findings:?}");
        facts.mesh.unwrap().len()
    }

    /// As a script does it: every list whole, and kept. Some are larger than our own way out takes.
    async fn naive(&self, row: &ClusterRecord) -> usize {
        let server = self.aws.access(row).await.unwrap().api_server.unwrap();
        let address = server.endpoint.trim_start_matches("https://").to_owned();
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(server.ca_pem.as_bytes()) {
            roots.add(authority.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let socket = TlsConnector::from(Arc::new(tls)).connect(name, socket).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        let mut kept = Vec::new();
        for path in NAIVE {
            let request = http::Request::get(path)
                .header("host", &address)
                .header("accept-encoding", "gzip")
                .header("authorization", format!("Bearer {}", server.token.expose_secret()))
                .body(Empty::<Bytes>::new())
                .unwrap();
            let answer = client.send_request(request).await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            let is_packed = answer.headers().contains_key("content-encoding");
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let list: Value = if is_packed {
                serde_json::from_reader(std::io::BufReader::new(GzDecoder::new(&*body))).unwrap()
            } else {
                serde_json::from_slice(&body).unwrap()
            };
            kept.push(list);
        }
        kept.iter().map(|list| list["items"].as_array().unwrap().len()).sum()
    }
}

/// What the checks look at.
const NAIVE: [&str; 16] = [
    "/api/v1/pods",
    "/api/v1/nodes",
    "/api/v1/namespaces",
    "/apis/apps/v1/replicasets",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/daemonsets",
    "/apis/policy/v1/poddisruptionbudgets",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/networking.istio.io/v1alpha3/envoyfilters",
    "/apis/source.toolkit.fluxcd.io/v1/gitrepositories",
    "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations",
    "/apis/helm.toolkit.fluxcd.io/v2/helmreleases",
];

/// The asking process.
async fn ask(what: &str, places: &Value) {
    let asker = Asker::new(places);
    let started = Instant::now();
    let seen = match what {
        "naive" => asker.naive(&asker.rows[0]).await,
        "fleet" => {
            let checks = stream::iter(&asker.rows).map(|row| asker.check(row));
            checks.buffer_unordered(AT_A_TIME).collect::<Vec<usize>>().await.into_iter().sum()
        }
        _ => asker.check(&asker.rows[0]).await,
    };
    let seconds = started.elapsed().as_secs_f64();
    println!("{}", json!({"seconds": seconds, "memory_kb": peak_memory_kb(), "seen": seen}));
}

fn megabytes(value: &Value) -> f64 {
    f64::from(u32::try_from(value.as_u64().unwrap() / 1024).unwrap()) / 1024.0
}

fn print_one(rows: &[Value]) {
    println!("One cluster: 5,000 pods, 300 namespaces, 1,500 workloads, 10 old ReplicaSets each\n");
    println!(
        "| how | Kubernetes requests | answers | on the wire, gzip | wall time | peak memory |\n|---|---|---|---|---|---|"
    );
    for (how, row) in ["pre-check", "every list whole, as parsed JSON"].iter().zip(rows) {
        println!(
            "| {how} | {} | {:.1} MB | {:.1} MB | {:.1} s | {} MB |",
            row["requests"],
            megabytes(&row["bytes"]),
            megabytes(&row["wire"]),
            row["seconds"].as_f64().unwrap(),
            row["memory_kb"].as_u64().unwrap() / 1024
        );
    }
    let checked = &rows[0];
    assert!(checked["requests"].as_u64().unwrap() <= 40, "at most 40 requests");
    assert!(checked["seconds"].as_f64().unwrap() < 10.0, "below 10 s");
    assert!(checked["memory_kb"].as_u64().unwrap() < 128 * 1024, "below 128 MB");
}

fn print_fleet(rows: &[Value]) {
    println!(
        "\n{FLEET} clusters, {AT_A_TIME} at a time; each answer takes {LATENCY:?} beside its computing\n"
    );
    println!(
        "| clusters | wall time | Kubernetes requests | other requests | peak memory |\n|---|---|---|---|---|"
    );
    for (clusters, row) in ["1", "75"].iter().zip(rows) {
        println!(
            "| {clusters} | {:.2} s | {} | {} | {} MB |",
            row["seconds"].as_f64().unwrap(),
            row["requests"],
            row["others"],
            row["memory_kb"].as_u64().unwrap() / 1024
        );
    }
    let [one, all] = [0, 1].map(|at| rows[at]["seconds"].as_f64().unwrap());
    println!("\n75/10 times one cluster's: {:.2} s", one * 7.5);
    assert!(all < one * 7.5 * 1.5, "near it");
}
