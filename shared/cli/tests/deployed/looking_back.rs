//! `guard judge --retro`: what GUARD would have said of a past upgrade.

use serde_json::{Value, json};

use crate::aws::{Aws, Ran};
use crate::server;

/// 2026-11-10 12:00, in Unix seconds: long ago for a clock that is right.
const CHANGE: i64 = 1_794_312_000;
const STEP: i64 = 300;

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// A Datadog whose `eks-bad` is slower from half an hour after the change on, and all others are as they were.
fn datadog() -> String {
    server::start(|request| {
        let (path, query) = request.path.split_once('?').unwrap_or((request.path.as_str(), ""));
        if path != "/api/v1/query" {
            return (404, json!({"errors": ["Not found"]}));
        }
        let value = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).map(decoded).unwrap()
        };
        let (from, to): (i64, i64) = (value("from").parse().unwrap(), value("to").parse().unwrap());
        let text = value("query");
        if text.contains("request.count.total") {
            return (200, json!({"status": "ok", "series": []}));
        }
        let series: Vec<Value> = ["eks-bad", "eks-fine", "eks-other"]
            .into_iter()
            .filter(|cluster| text.contains(cluster))
            .map(|cluster| {
                let points: Vec<Value> = (0..(to - from) / STEP)
                    .map(|n| (from.div_euclid(STEP) + n) * STEP)
                    .map(|at| {
                        let wobble = 1.0 + 0.02 * f64::from(i32::try_from(at.rem_euclid(7_919)).unwrap() - 3_959) / 3_959.0;
                        let is_slow = cluster == "eks-bad" && at >= CHANGE + 1_800 && text.starts_with('p');
                        let worse = if is_slow { 1.5 } else { 1.0 };
                        let level = if text.contains("response_code") { 1.0 } else { 5_000.0 };
                        json!([at * 1_000, level * wobble * worse])
                    })
                    .collect();
                json!({"scope": "", "tag_set": [format!("kube_cluster_name:{cluster}")], "interval": STEP, "pointlist": points})
            })
            .collect();
        (200, json!({"status": "ok", "series": series}))
    })
}

fn guard(arguments: &[&str]) -> Ran {
    let aws = Aws::start();
    let config = json!({"gitlab": {"url": "https://gitlab.example.com"}, "datadog": {"site": datadog()}});
    {
        let mut account = aws.account();
        for cluster in ["eks-bad", "eks-fine", "eks-other"] {
            account.tables.cluster(cluster, "test", "healthy");
        }
        let keys = json!({"api_key": "hush-api", "app_key": "hush-app"});
        account.secrets.insert("guard/datadog-credentials".to_owned(), keys.to_string());
        account.parameters.insert("/guard/config".to_owned(), config.to_string());
    }
    aws.guard(&[&["judge", "--retro", "--at", "2026-11-10T12:00:00Z"][..], arguments].concat())
}

#[test]
fn a_past_upgrade_is_judged_as_it_would_have_been() {
    let ran = guard(&["--cluster", "eks-bad", "--beside", "eks-fine", "--beside", "eks-other"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    ran.says(&["FAIL eks-bad, soak 2026-11-10T12:30:00Z to 2026-11-10T13:30:00Z", "p95 latency"]);
    assert!(!format!("{}{}", ran.out, ran.err).contains("hush"));
    let ran = guard(&["--cluster", "eks-fine", "--soak-minutes", "120", "--json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["outcome"], "pass", "{document}");
    assert_eq!(document["soak_until"], "2026-11-10T14:30:00Z");
}

#[test]
fn what_cannot_be_judged_is_told() {
    let ran = guard(&["--cluster", "eks-moon"]);
    assert!(ran.code != 0 && ran.err.contains("eks-moon is not in the registry"), "{}", ran.err);
    let ran = guard(&["--cluster", "eks-bad", "--beside", "eks-bad"]);
    assert!(ran.code == 2 && ran.err.contains("a control is another cluster"), "{}", ran.err);
    let ran = guard(&["--cluster", "eks-bad", "--soak-minutes", "43200"]);
    assert!(ran.code == 2 && ran.err.contains("is not over"), "{}", ran.err);
}
