use bytes::Bytes;
use http::Request;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{CLUSTER, body, propose, restart_all, wait, world};
use crate::{Regression, World};

const ALL: &str =
    "sum:istio.mesh.request.count{reporter:destination,kube_cluster_name:test-euw1-1}.as_count()";
const BAD: &str = "sum:istio.mesh.request.count{reporter:destination,kube_cluster_name:test-euw1-1,response_code:5*}.as_count()";
const P95: &str =
    "p95:istio.mesh.request.duration.milliseconds{reporter:destination,kube_cluster_name:test-euw1-1}";

fn ask(world: &World, path: &str, app_key: &str) -> (u16, Value) {
    let request = Request::get(format!("https://api.datadoghq.com{path}"))
        .header("DD-API-KEY", "dd-api-world")
        .header("DD-APPLICATION-KEY", app_key)
        .body(Bytes::new())
        .unwrap();
    let answer = world.handle(request);
    (answer.status().as_u16(), body(&answer))
}

/// A query over the last so many minutes.
fn query(world: &World, text: &str, minutes: i64) -> Value {
    let to = world.now().as_second();
    let text = utf8_percent_encode(text, NON_ALPHANUMERIC);
    let path = format!("/api/v1/query?from={}&to={to}&query={text}", to - minutes * 60);
    let (status, answer) = ask(world, &path, "dd-app-world");
    assert_eq!((status, &answer["status"]), (200, &json!("ok")));
    answer
}

fn values(answer: &Value) -> Vec<f64> {
    let points = answer["series"][0]["pointlist"].as_array().cloned().unwrap_or_default();
    points.iter().filter_map(|point| point[1].as_f64()).collect()
}

fn total(world: &World, text: &str, minutes: i64) -> f64 {
    values(&query(world, text, minutes)).iter().sum()
}

fn mean(world: &World, text: &str, minutes: i64) -> f64 {
    let all = values(&query(world, text, minutes));
    all.iter().sum::<f64>() / f64::from(u32::try_from(all.len()).unwrap())
}

#[test]
fn keys_and_queries_are_checked() {
    let world = world();
    assert_eq!(
        ask(&world, "/api/v1/query?from=0&to=60&query=x", "wrong"),
        (403, json!({ "errors": ["Forbidden"] }))
    );
    assert_eq!(ask(&world, "/api/v1/validate", "wrong").1, json!({ "valid": true }));
    assert_eq!(ask(&world, "/api/v1/query?from=0&to=60&query=nonsense", "dd-app-world").0, 400);
    assert_eq!(query(&world, "sum:no.such.metric{*}", 60)["series"], json!([]));
    assert_eq!(
        query(&world, "sum:istio.mesh.request.count{kube_cluster_name:nowhere}", 60)["series"],
        json!([])
    );
}

#[test]
fn history_is_there_and_the_same_every_time() {
    let world = world();
    let day = values(&query(&world, ALL, 24 * 60));
    assert!(day.len() > 1_400);
    assert!(day.len() < 24 * 60, "some minutes are missing");
    // Of a longer time there are as many points, each of several minutes.
    let answer = query(&world, ALL, 7 * 24 * 60);
    assert_eq!(answer["series"][0]["interval"], 420);
    let week = values(&answer);
    assert!((1_400..1_500).contains(&week.len()), "{}", week.len());
    assert_eq!(week, values(&query(&world, ALL, 7 * 24 * 60)));
    let ratio = total(&world, BAD, 24 * 60) / total(&world, ALL, 24 * 60);
    assert!((0.000_15..0.000_25).contains(&ratio), "{ratio}");
    let both = ALL.replace("reporter:destination,", "");
    let doubled = total(&world, &both, 60) / total(&world, ALL, 60);
    assert!((doubled - 2.0).abs() < 1e-9);
    let (highest, lowest) =
        (week.iter().copied().fold(0.0, f64::max), week.iter().copied().fold(1e9, f64::min));
    assert!(highest / lowest > 1.8, "day and night differ");
}

/// What was answered once is answered again, but for what a lever bent meanwhile.
#[test]
fn steps_of_five_minutes_are_remembered_until_a_lever_bends_them() {
    let world = world();
    let p95 = format!("{P95}.rollup(300)");
    let before = values(&query(&world, &p95, 24 * 60));
    assert_eq!(before, values(&query(&world, &p95, 24 * 60)));
    let hour = |n: i64| world.now() - jiff::SignedDuration::from_hours(n);
    world.lose_metrics(CLUSTER, hour(10), hour(8));
    let torn = values(&query(&world, &p95, 24 * 60));
    // Two hours of steps, of which the first or the last may be half there.
    assert!((23..=24).contains(&(before.len() - torn.len())), "{} of {}", torn.len(), before.len());
    world.regress(
        CLUSTER,
        Regression { from_version: "1.30.1".to_owned(), error_factor: 1.0, latency_factor: 3.0 },
    );
    wait(&world, 3600);
    let after = values(&query(&world, &p95, 24 * 60));
    assert!(torn[12..].starts_with(&after[..200]), "the past stays");
    assert!(mean(&world, &p95, 50) > 2.0 * mean(&world, &p95, 24 * 60));
}

#[test]
fn the_older_mode_counts_by_another_name_and_its_gauge_only_grows() {
    let world = world();
    let count = mean(&world, ALL, 60);
    let legacy = ALL.replace("request.count", "request.count.total");
    assert_eq!(query(&world, &legacy, 60)["series"], json!([]));
    world.report_in_the_older_mode(CLUSTER);
    assert!((mean(&world, &legacy, 60) / count - 1.0).abs() < 1e-9);
    let gauge = values(&query(&world, ALL, 60));
    assert!(gauge.windows(2).all(|two| two[0] < two[1]), "{gauge:?}");
}

#[test]
fn the_proxies_have_their_own_memory_and_processor_time() {
    let world = world();
    let used = |metric: &str, container: &str| {
        mean(
            &world,
            &format!("sum:{metric}{{kube_cluster_name:{CLUSTER},kube_container_name:{container}}}"),
            60,
        )
    };
    let memory = "kubernetes.memory.usage";
    assert!(used(memory, "istio-proxy") > 1.5 * used(memory, "discovery"));
    assert!(used("kubernetes.cpu.usage.total", "istio-proxy") > 1e8);
}

#[test]
fn datadog_has_nothing_from_before_its_beginning() {
    let mut spec = crate::WorldSpec::healthy(1, "1.30.1");
    spec.metrics_since = Some(spec.start - jiff::SignedDuration::from_hours(2));
    let world = World::new(spec);
    let hours = values(&query(&world, ALL, 300));
    assert!((100..=121).contains(&hours.len()), "{}", hours.len());
}

#[test]
fn groups_come_apart() {
    let world = world();
    let text = "sum:istio.mesh.request.count{reporter:destination,kube_cluster_name IN (test-euw1-1,test-euw1-2)} by {kube_cluster_name}.as_count().rollup(sum, 300)";
    let answer = query(&world, text, 60);
    let scopes: Vec<&Value> = answer["series"].as_array().unwrap().iter().map(|one| &one["scope"]).collect();
    assert_eq!(scopes, ["kube_cluster_name:test-euw1-1", "kube_cluster_name:test-euw1-2"]);
    assert_eq!(answer["series"][0]["interval"], 300);
    assert_eq!(answer["series"][0]["tag_set"], json!(["kube_cluster_name:test-euw1-1"]));
    assert!(answer["series"][0]["pointlist"].as_array().unwrap().len() >= 11);
}

#[test]
fn a_regression_follows_the_share_of_bad_proxies_and_leaves_with_them() {
    let world = world();
    world.regress(
        CLUSTER,
        Regression { from_version: "1.30.5".to_owned(), error_factor: 50.0, latency_factor: 2.0 },
    );
    wait(&world, 3600);
    let healthy = mean(&world, P95, 60);
    assert!((80.0..160.0).contains(&healthy), "{healthy}");
    propose(&world, "guard/up", "Upgrade Istio", "1.30.1", "1.30.5");
    wait(&world, 30 * 60);
    let (from, before) = (world.now(), mean(&world, P95, 3));
    assert!(before < healthy * 1.35, "two gateway pods of seventeen");
    restart_all(&world, "1.30.5");
    wait(&world, 3600);
    let ratio = total(&world, BAD, 50) / total(&world, ALL, 50);
    assert!((0.007..0.013).contains(&ratio), "{ratio}");
    let bad = mean(&world, P95, 50);
    assert!(bad > healthy * 1.6, "{bad} {healthy}");
    propose(&world, "guard/back", "[ROLLBACK] Istio", "1.30.5", "1.30.1");
    wait(&world, 15 * 60);
    let reverted = total(&world, BAD, 3) / total(&world, ALL, 3);
    assert!(reverted > 0.005, "istiod alone heals nothing: {reverted}");
    restart_all(&world, "1.30.1");
    wait(&world, 3600);
    let healed = total(&world, BAD, 50) / total(&world, ALL, 50);
    assert!(healed < 0.000_5, "{healed}");
    let since = (world.now().as_second() - from.as_second()) / 60;
    let past = total(&world, BAD, since) / total(&world, ALL, since);
    assert!(past > 0.002, "the past keeps its regression: {past}");
    let other = BAD.replace(CLUSTER, "test-euw1-2");
    assert!(
        total(&world, &other, since) / total(&world, &ALL.replace(CLUSTER, "test-euw1-2"), since) < 0.000_5
    );
}

#[test]
fn silence_leaves_nothing_and_a_shock_reaches_everyone() {
    let world = world();
    world.silence_metrics(Some(CLUSTER), true);
    wait(&world, 3600);
    assert_eq!(query(&world, ALL, 50)["series"], json!([]));
    world.silence_metrics(Some(CLUSTER), false);
    let before = mean(&world, &P95.replace(CLUSTER, "test-euw1-2"), 60);
    world.shock(world.now(), jiff::Timestamp::MAX, 1.0, 3.0);
    wait(&world, 3600);
    assert!(!query(&world, ALL, 30)["series"].as_array().unwrap().is_empty());
    for cluster in [CLUSTER, "test-euw1-2"] {
        assert!(mean(&world, &P95.replace(CLUSTER, cluster), 50) > before * 2.0);
    }
}

#[test]
fn monitors_fire_and_resolve() {
    let world = world();
    let path = "/api/v1/monitor?group_states=all&monitor_tags=kube_cluster_name:test-euw1-1,service:istio&page=0&page_size=100";
    let states = || {
        let (_, all) = ask(&world, path, "dd-app-world");
        let all = all.as_array().unwrap().clone();
        all.iter().map(|one| one["overall_state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(), ["OK", "OK"]);
    world.fire_monitor(CLUSTER, "Checkout fails");
    world.mute_monitor(CLUSTER, "istiod is up", true);
    assert_eq!(states(), ["Alert", "OK", "OK"]);
    let (_, all) = ask(&world, path, "dd-app-world");
    assert_eq!(all[2]["options"]["silenced"], json!({ "*": null }));
    world.resolve_monitor(CLUSTER, "Checkout fails");
    assert_eq!(states(), ["OK", "OK", "OK"]);
}
