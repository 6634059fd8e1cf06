//! `guard judge` as a user runs it, on the small set of tests/fixtures/series.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn set() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/series")
}

/// Exit code, standard output, standard error.
fn judge(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_guard"))
        .arg("judge")
        .args(arguments)
        .current_dir(set())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const LATENCY: [&str; 16] = [
    "--column",
    "web|latency_p95",
    "--step",
    "300",
    "--kind",
    "latency",
    "--bad-direction",
    "up",
    "--history-start",
    "1699999800",
    "--baseline-start",
    "1700244600",
    "--change-ts",
    "1700251800",
    "--soak-end",
    "1700259000",
];

#[test]
fn one_change_gets_a_verdict_its_reasons_and_its_exit_code() {
    let (code, out, _) = judge(&[&["--file", "web.csv"][..], &LATENCY].concat());
    assert_eq!((code, out.lines().next()), (0, Some("PASS")), "{out}");
    let (code, out, _) = judge(&[&["--file", "faulty.csv"][..], &LATENCY].concat());
    assert_eq!((code, out.lines().next()), (3, Some("FAIL")), "{out}");
    assert!(out.contains("in the first 120 minutes") && out.contains("a fail from"), "{out}");
    let (code, out, _) = judge(&[&["--file", "faulty.csv", "--rule", "percent:10"][..], &LATENCY].concat());
    assert_eq!((code, out.lines().next()), (3, Some("FAIL")), "{out}");
}

/// What lies between the change and the end of the restart is not looked at; here that is all of the fault.
#[test]
fn the_restart_is_left_out_and_silence_is_no_pass() {
    let settled = [&["--file", "faulty.csv", "--settled-ts", "1700258700"][..], &LATENCY].concat();
    let (_, out, _) = judge(&settled);
    assert!(out.contains("in the first 5 minutes"), "{out}");
    let mut beyond = LATENCY;
    beyond[13] = "1700259000";
    beyond[15] = "1700266200";
    let (code, out, _) = judge(&[&["--file", "web.csv"][..], &beyond].concat());
    assert_eq!((code, out.lines().next()), (6, Some("INSUFFICIENT")), "{out}");
}

#[test]
fn a_verdict_is_one_document_too() {
    let (code, out, _) = judge(&[&["--file", "faulty.csv", "--json"][..], &LATENCY].concat());
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["verdict"]), (3, &Value::from("fail")));
    assert!(document["strength"].as_f64().unwrap() > document["fail_at"].as_f64().unwrap());
    assert!(document["change"].as_f64().unwrap() > 0.4, "{document}");
}

#[test]
fn a_set_is_counted() {
    let (code, out, _) = judge(&["--index", "INDEX.csv", "--dir", ".", "--inject", "1.5", "--json"]);
    assert_eq!(code, 0);
    let document: Value = serde_json::from_str(&out).unwrap();
    let rate = |part: &str| {
        let rows = document["rows"].as_array().unwrap();
        rows.iter().find(|row| row["part"] == part && row["source"] == "all").unwrap()["fail_rate"].clone()
    };
    assert_eq!(
        (rate("no_change"), rate("regression"), rate("injected")),
        (0.0.into(), 1.0.into(), 1.0.into())
    );
    let (_, out, _) = judge(&["--index", "INDEX.csv", "--split", "other"]);
    assert!(out.contains("a FAIL is a false rollback") && !out.contains("Labelled"), "{out}");
}

#[test]
fn what_is_wrong_is_named() {
    let mut column = LATENCY;
    column[1] = "web|latency_p50";
    let (code, _, error) = judge(&[&["--file", "web.csv"][..], &column].concat());
    assert_eq!(code, 1);
    assert!(error.contains("web.csv has no column `web|latency_p50`"), "{error}");
    for (wrong, words) in [
        (&["--file", "web.csv"][..], "--change-ts"),
        (&["--index", "INDEX.csv", "--rule", "kayenta"], "is no rule"),
        (&["--index", "INDEX.csv", "--inject", "0"], "greater than 0"),
        (&[], "--file"),
        (&["--file", "web.csv", "--change-ts", "10", "--soak-end", "5"], "follow one another"),
    ] {
        let (code, _, error) = judge(wrong);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(words), "{words}: {error}");
    }
    let (code, _, error) = judge(&["--index", "INDEX.csv", "--split", "none"]);
    assert_eq!(code, 1);
    assert!(error.contains("no pair is of the split `none`"), "{error}");
}

/// The same fault on two others that were not upgraded: not the new version's doing.
#[test]
fn controls_tell_a_cause_from_outside() {
    let page = std::env::temp_dir().join(format!("guard-judge-{}.html", std::process::id()));
    let path = page.display().to_string();
    let controls = ["--control", "web|requests", "--control", "web|availability", "--explain", &path];
    let mut requests = LATENCY;
    (requests[1], requests[5], requests[7]) = ("web|requests", "throughput", "down");
    // Latency does not fall where requests do; requests themselves, twice, do.
    let (code, out, _) = judge(&[&["--file", "faulty.csv"][..], &controls, &LATENCY].concat());
    assert_eq!((code, out.lines().next()), (3, Some("FAIL")), "{out}");
    let alike = ["--control", "web|requests", "--control", "web|requests"];
    let (code, out, _) = judge(&[&["--file", "faulty.csv"][..], &alike, &requests].concat());
    assert_eq!((code, out.lines().next()), (5, Some("EXTERNAL")), "{out}");
    let html = std::fs::read_to_string(&page).unwrap();
    std::fs::remove_file(&page).unwrap();
    for part in [
        "<!doctype html>",
        "FAIL",
        "web|latency_p95",
        "in the first 120 minutes",
        "</svg>",
        "Clusters that were not",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("<script") && !html.contains("http"), "nothing from elsewhere");
    assert_eq!(html.matches("<svg").count(), 4);
}
