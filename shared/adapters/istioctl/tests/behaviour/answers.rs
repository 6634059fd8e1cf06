//! Runs that come to their end.

use guard_domain::analyzer::{Analysis, AtHand, Level, Message};
use guard_tasks::ConfigurationAnalyzer as _;

use crate::place::{Place, said, why};

const TWO: &str = "[\n\t{\n\t\t\"code\": \"IST0101\",\n\t\t\"documentationUrl\": \"https://istio.io/ist0101\",\n\t\t\
                   \"level\": \"Error\",\n\t\t\"message\": \"Referenced host not found: \\\"x\\\"\",\n\t\t\
                   \"origin\": \"VirtualService shop/web\"\n\t},\n\t{\n\t\t\"code\": \"IST0102\",\n\t\t\
                   \"level\": \"Info\",\n\t\t\"message\": \"not enabled\",\n\t\t\"origin\": \"Namespace a\",\n\t\t\
                   \"cluster\": \"x\"\n\t}\n]\n";

/// Written to stdout by some commands before their answer.
const NOISE: &str = "2026-11-23T07:05:33.581379Z\terror\tport forward failed: no addresses: []\n";

async fn levels(stdout: &str) -> Vec<(String, Level)> {
    let place = Place::new();
    place.write("analyze.stdout", stdout);
    said(place.analyze().await).into_iter().map(|message| (message.code, message.level)).collect()
}

#[tokio::test]
async fn messages_keep_their_code_level_object_and_page() {
    let place = Place::new();
    place.write("analyze.stdout", TWO);
    let messages = said(place.analyze().await);
    assert_eq!(
        messages[0],
        Message {
            code: "IST0101".into(),
            level: Level::Error,
            origin: "VirtualService shop/web".into(),
            text: "Referenced host not found: \"x\"".into(),
            documentation: "https://istio.io/ist0101".into(),
        }
    );
    assert_eq!((messages.len(), messages[1].level), (2, Level::Info));
}

#[tokio::test]
async fn an_empty_list_is_an_answer_and_no_words_are_none() {
    assert_eq!(levels("[]\n").await, []);
    let place = Place::new();
    place.write("analyze.stdout", "");
    place.write("analyze.stderr", "namespace \"default\" not found\n");
    assert!(why(place.analyze().await).ends_with("answered nothing: namespace \"default\" not found"));
}

#[tokio::test]
async fn log_lines_before_and_after_the_answer_are_skipped() {
    let two = [("IST0101".to_owned(), Level::Error), ("IST0102".to_owned(), Level::Info)];
    assert_eq!(levels(&format!("{NOISE}{NOISE}{TWO}")).await, two);
    assert_eq!(levels(&format!("{TWO}{NOISE}")).await, two);
    let place = Place::new();
    place.write("version.stdout", format!("{NOISE}{}", crate::place::VERSION));
    assert_eq!(place.istioctl().at_hand().await, AtHand::Version("1.30.5".parse().unwrap()));
}

#[tokio::test]
async fn a_level_that_nobody_knows_is_the_worst() {
    let unheard = "[{\"code\": \"IST9999\", \"level\": \"Fatal\", \"message\": \"m\"}]";
    assert_eq!(levels(unheard).await, [("IST9999".to_owned(), Level::Error)]);
}

#[tokio::test]
async fn what_is_no_list_of_messages_is_no_answer() {
    for (stdout, said) in [
        (&TWO[..TWO.len() - 20], "JSON that does not read"),
        ("{\"code\": \"IST0101\"}\n", "no JSON"),
        ("[{\"level\": \"Error\"}]\n", "JSON that does not read"),
        ("No Istio revision tags found.\n", "no JSON: No Istio revision tags found."),
        ("\u{0}\u{1}", "no JSON"),
    ] {
        let place = Place::new();
        place.write("analyze.stdout", stdout);
        let why = why(place.analyze().await);
        assert!(why.contains(said), "{stdout:?}: {why}");
    }
}

#[tokio::test]
async fn what_could_not_be_read_is_told_beside_the_messages() {
    let place = Place::new();
    place.write("analyze.stdout", TWO);
    place.write(
        "analyze.stderr",
        "error watch error in cluster eks-1: gateways is forbidden: User \"guard\"\n",
    );
    let Analysis::Said { messages, gap: Some(gap) } = place.analyze().await else { panic!("no gap") };
    assert_eq!(messages.len(), 2);
    assert!(gap.contains("gateways is forbidden"), "{gap}");
}

#[tokio::test]
async fn findings_by_exit_code_are_an_answer_and_a_failure_by_exit_code_is_none() {
    let place = Place::new();
    place.write("analyze.stdout", TWO);
    place.write("analyze.code", "79");
    assert_eq!(said(place.analyze().await).len(), 2);
    for code in ["1", "64", "65", "2"] {
        place.write("analyze.code", code);
        place.write("analyze.stderr", "Error: Unauthorized\n");
        assert_eq!(
            why(place.analyze().await),
            format!("istioctl ended with code {code}: Error: Unauthorized")
        );
    }
}

#[tokio::test]
async fn everything_is_analysed_but_what_needs_secrets() {
    let place = Place::new();
    said(place.analyze().await);
    let words = place.left("analyze.words");
    let words: Vec<&str> = words.lines().collect();
    assert_eq!(&words[..4], ["analyze", "-A", "-o", "json"]);
    let after = |word: &str| -> Vec<&str> {
        words.windows(2).filter(|pair| pair[0] == word).map(|pair| pair[1]).collect()
    };
    assert_eq!(after("--analyzer"), ["injection.Analyzer", "webhook.Analyzer"]);
    assert_eq!((after("--log_target"), after("--context")), (vec!["stderr"], vec!["eks-1"]));
    place.write("list.stdout", "");
    assert!(why(place.analyze().await).contains("lists no analyzers"), "never all of them by accident");
}

#[tokio::test]
async fn a_version_is_asked_for_offline_and_must_be_one() {
    let place = Place::new();
    assert_eq!(place.istioctl().at_hand().await, AtHand::Version("1.30.5".parse().unwrap()));
    assert_eq!(place.left("version.words"), "version\n--remote=false\n-o\njson\n");
    for text in ["{\"clientVersion\": {\"version\": \"unknown\"}}", "{}", "client version: 1.30.5\n", ""] {
        place.write("version.stdout", text);
        let at_hand = place.istioctl().at_hand().await;
        assert!(matches!(at_hand, AtHand::Broken(_)), "{text}: {at_hand:?}");
    }
}
