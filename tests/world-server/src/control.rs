//! The socket on which a test looks at the world and pulls its levers: `GET /state`, and `POST /lever` with one `Lever`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use guard_world::{Answer, Person, Regression, System, World};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// One thing to do to the world.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Lever {
    /// How merge requests that are opened from now on are answered. What is left out is ignored.
    Person { upgrade: Option<PersonAnswer>, rollback: Option<PersonAnswer> },
    /// The person answers one now.
    Merge { iid: u64 },
    /// The person closes one now.
    Close { iid: u64 },
    /// A version makes a cluster's requests fail or slow.
    Regress { cluster: String, from_version: String, error_factor: f64, latency_factor: f64 },
    /// Datadog lost a cluster's metrics of these minutes, counted back from now.
    LoseMetrics { cluster: String, from_minutes_ago: i64, until_minutes_ago: i64 },
    /// A monitor of a cluster fires.
    FireMonitor { cluster: String, name: String },
    /// istiod of a cluster never becomes ready at another version.
    StallIstiod { cluster: String },
    /// Datadog is out of reach for this long.
    DatadogOutage { minutes: i64 },
}

/// One answer of the person.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum PersonAnswer {
    /// Merges it this many minutes after its opening.
    MergeAfterMinutes(u64),
    /// Closes it this many minutes after its opening.
    CloseAfterMinutes(u64),
}

impl PersonAnswer {
    fn of(answer: Option<Self>) -> Answer {
        match answer {
            Some(Self::MergeAfterMinutes(minutes)) => Answer::Merge { after: Duration::from_mins(minutes) },
            Some(Self::CloseAfterMinutes(minutes)) => Answer::Close { after: Duration::from_mins(minutes) },
            None => Answer::Ignore,
        }
    }
}

/// Serves one world until the process ends.
pub async fn serve(listener: TcpListener, world: World, now: fn() -> Timestamp) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let world = world.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let world = world.clone();
                async move { Ok::<_, Infallible>(respond(request, &world, now()).await) }
            });
            // An error here is the client's hanging up.
            _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(request: Request<Incoming>, world: &World, now: Timestamp) -> Response<Full<Bytes>> {
    world.advance_to(now);
    let (parts, body) = request.into_parts();
    let (status, answer) = match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/state") => (StatusCode::OK, state(world)),
        (&Method::POST, "/lever") => match body.collect().await {
            Ok(body) => pull(world, &body.to_bytes()),
            Err(error) => (StatusCode::BAD_REQUEST, json!({"error": error.to_string()})),
        },
        _ => (StatusCode::NOT_FOUND, json!({"error": "GET /state or POST /lever"})),
    };
    let mut response = Response::new(Full::from(answer.to_string()));
    *response.status_mut() = status;
    response
}

fn pull(world: &World, body: &[u8]) -> (StatusCode, Value) {
    let mut decoder = serde_json::Deserializer::from_slice(body);
    let lever: Lever = match serde_path_to_error::deserialize(&mut decoder) {
        Ok(lever) => lever,
        Err(error) => return (StatusCode::BAD_REQUEST, json!({"error": error.to_string()})),
    };
    let done = match lever {
        Lever::Person { upgrade, rollback } => {
            let answers = Person { upgrade: PersonAnswer::of(upgrade), rollback: PersonAnswer::of(rollback) };
            world.set_person(answers);
            true
        }
        Lever::Merge { iid } => world.merge_request_by_person(iid, true),
        Lever::Close { iid } => world.merge_request_by_person(iid, false),
        Lever::Regress { cluster, from_version, error_factor, latency_factor } => {
            world.regress(&cluster, Regression { from_version, error_factor, latency_factor });
            true
        }
        Lever::LoseMetrics { cluster, from_minutes_ago, until_minutes_ago } => {
            let ago = |minutes| world.now() - SignedDuration::from_mins(minutes);
            world.lose_metrics(&cluster, ago(from_minutes_ago), ago(until_minutes_ago));
            true
        }
        Lever::FireMonitor { cluster, name } => {
            world.fire_monitor(&cluster, &name);
            true
        }
        Lever::StallIstiod { cluster } => {
            world.stall_istiod(&cluster, true);
            true
        }
        Lever::DatadogOutage { minutes } => {
            let from = world.now();
            world.outage(System::Datadog, from, from + SignedDuration::from_mins(minutes), 503);
            true
        }
    };
    let status = if done { StatusCode::OK } else { StatusCode::CONFLICT };
    (status, json!({"done": done}))
}

fn state(world: &World) -> Value {
    let clusters: BTreeMap<String, Value> = world
        .cluster_ids()
        .into_iter()
        .filter_map(|id| {
            let cluster = world.cluster(&id)?;
            let workloads: Vec<Value> = cluster
                .workloads
                .iter()
                .map(|one| {
                    json!({"name": format!("{}/{}", one.namespace, one.name), "restarts": one.restarts,
                           "settled": one.settled, "proxies": one.proxy_versions})
                })
                .collect();
            let seen = json!({
                "istiod": cluster.istiod_version,
                "charts": cluster.charts,
                "proxies": cluster.proxy_versions,
                "applied_commit": cluster.applied_commit,
                "most_unavailable_pods": cluster.max_unavailable_pods,
                "workloads": workloads,
            });
            Some((id, seen))
        })
        .collect();
    let merge_requests: Vec<Value> = world
        .merge_requests()
        .into_iter()
        .map(|one| {
            json!({"iid": one.iid, "title": one.title, "description": one.description, "state": one.state,
                   "source_branch": one.source_branch, "notes": one.notes,
                   "files": one.diffs.into_iter().map(|(path, before, after)| json!({"path": path, "before": before, "after": after})).collect::<Vec<_>>()})
        })
        .collect();
    let calls: BTreeMap<String, u64> =
        world.calls().into_iter().map(|(system, calls)| (format!("{system:?}"), calls)).collect();
    let messages: Vec<String> = world.messages().into_iter().map(|one| one.text).collect();
    let events: Vec<Value> = world
        .events()
        .into_iter()
        .map(|one| json!({"action": one.action, "severity": one.severity, "summary": one.summary}))
        .collect();
    json!({
        "now": world.now(),
        "messages": messages,
        "events": events,
        "open_incidents": world.open_incidents(),
        "clusters": clusters,
        "merge_requests": merge_requests,
        "branches": world.branches(),
        "calls": calls,
    })
}
