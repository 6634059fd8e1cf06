//! What istioctl 1.30.3 really wrote, replayed with its exit codes. The collection is read where `GUARD_FIXTURES` says it
//! is; without it these tests have nothing to do and say so.

use std::fs;
use std::path::PathBuf;

use guard_domain::analyzer::{AtHand, Level};
use guard_tasks::ConfigurationAnalyzer as _;

use crate::place::{Place, said};

#[expect(clippy::print_stderr, reason = "a test that does nothing should say so")]
fn collection() -> Option<PathBuf> {
    let folder = std::env::var_os("GUARD_FIXTURES");
    if folder.is_none() {
        eprintln!("skipped: GUARD_FIXTURES names no collection of real outputs");
    }
    folder.map(|folder| PathBuf::from(folder).join("istioctl/1.30.3"))
}

/// The stub, with one run of the collection as its answer to `command`; its exit code is in the index.
fn replay(folder: &std::path::Path, run: &str, command: &str) -> Place {
    let index = fs::read_to_string(folder.join("INDEX.txt")).unwrap();
    let line = index.lines().find(|line| line.split('\t').next() == Some(run)).unwrap();
    let code = line.split_once("rc=").unwrap().1.split('\t').next().unwrap();
    let place = Place::new();
    place.write(&format!("{command}.stdout"), fs::read(folder.join(format!("{run}.stdout"))).unwrap());
    place.write(&format!("{command}.stderr"), fs::read(folder.join(format!("{run}.stderr"))).unwrap());
    place.write(&format!("{command}.code"), code);
    place
}

#[tokio::test]
async fn analyses_that_found_something() {
    let Some(folder) = collection() else { return };
    for (run, errors, warnings, infos) in [
        ("analyze-all-json", 5, 8, 4),
        ("analyze-all-json-failwarn", 5, 8, 4),
        ("analyze-all-json-outerror", 5, 0, 0),
        ("analyze-all-json-verbose", 5, 8, 4),
        ("analyze-revision", 5, 8, 4),
        ("analyze-legacy-infoonly-json", 0, 0, 1),
        ("analyze-nocrds-json", 0, 0, 1),
        ("analyze-clean-json", 0, 0, 0),
    ] {
        let messages = said(replay(&folder, run, "analyze").analyze().await);
        let count = |level| messages.iter().filter(|message| message.level == level).count();
        let counts = (count(Level::Error), count(Level::Warning), count(Level::Info));
        assert_eq!(counts, (errors, warnings, infos), "{run}");
        assert!(messages.iter().all(|m| m.code.starts_with("IST") && !m.origin.is_empty()), "{run}");
        assert!(messages.iter().all(|m| m.documentation.starts_with("https://istio.io/")), "{run}");
    }
}

#[tokio::test]
async fn analyses_that_gave_no_answer() {
    let Some(folder) = collection() else { return };
    for (run, told) in [
        ("analyze-ns-missing-json", "answered nothing: namespace \"does-not-exist\" not found"),
        ("analyze-viewer-forbidden-json", "code 1: Error: namespaces \"default\" is forbidden"),
        ("analyze-bad-context-json", "code 1: "),
        ("analyze-no-kubeconfig-json", "connection refused"),
        ("analyze-apiserver-down-json", "connection refused"),
        ("analyze-badtoken-json", "code 1: Error: Unauthorized"),
        ("analyze-bad-output", "code 64: "),
        ("analyze-bad-flag", "code 64: "),
        ("analyze-all-log", "no JSON"),
        ("analyze-clean-log", "answered nothing"),
        ("analyze-all-yaml", "no JSON"),
        // It found something and ended with 1, as a precheck does: an analysis never does.
        ("precheck-issues-json", "code 1: Error: Issues found"),
    ] {
        let why = crate::place::why(replay(&folder, run, "analyze").analyze().await);
        assert!(why.contains(told), "{run}: {why}");
    }
}

/// It printed log lines for 45 s and never an answer. Here it hangs after the same lines.
#[tokio::test]
async fn the_analysis_that_hung() {
    let Some(folder) = collection() else { return };
    let run = "analyze-partial-rbac-hang-json";
    let place = replay(&folder, run, "analyze");
    place.write("analyze.hangs", "");
    let why = crate::place::why(place.analyze_shortly().await);
    assert!(why.contains("was killed"), "{why}");
    let ended = replay(&folder, run, "analyze");
    ended.write("analyze.code", "0");
    let why = crate::place::why(ended.analyze().await);
    assert!(why.contains("no JSON") && why.contains("secrets is forbidden"), "{why}");
}

#[tokio::test]
async fn versions() {
    let Some(folder) = collection() else { return };
    for run in ["version-client-json", "version-json-noistiod", "version-json-istiod-unreachable"] {
        let at_hand = replay(&folder, run, "version").istioctl().at_hand().await;
        assert_eq!(at_hand, AtHand::Version("1.30.3".parse().unwrap()), "{run}");
    }
    for run in ["version-client-short", "version-json-down"] {
        let at_hand = replay(&folder, run, "version").istioctl().at_hand().await;
        assert!(matches!(at_hand, AtHand::Broken(_)), "{run}: {at_hand:?}");
    }
}

#[tokio::test]
async fn the_list_of_analyzers() {
    let Some(folder) = collection() else { return };
    let place = replay(&folder, "analyze-list", "list");
    said(place.analyze().await);
    let words = place.left("analyze.words");
    let names = words.lines().filter(|word| word.ends_with("Analyzer") || word.contains("Analyzer.")).count();
    assert_eq!(names, 51, "52, and the one that reads Secrets is left out: {words}");
}
