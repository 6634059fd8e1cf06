use super::*;
use crate::Verdict;

fn v(text: &str) -> IstioVersion {
    IstioVersion::parse(text).unwrap()
}

fn c1() -> ClusterId {
    ClusterId::parse("c1").unwrap()
}

fn message(level: Level, code: &str, origin: &str) -> Message {
    Message {
        code: code.into(),
        level,
        origin: origin.into(),
        text: format!("what {code} says"),
        documentation: format!("https://istio.io/{code}"),
    }
}

fn accept(code: &str, origin: Option<&str>) -> AcceptedMessage {
    AcceptedMessage { code: code.into(), origin: origin.map(str::to_owned), reason: "known".into() }
}

#[test]
fn only_the_targets_minor_version_is_relied_on() {
    let target = v("1.30.5");
    assert_eq!(fit(&AtHand::Version(v("1.30.0")), &target), Ok(v("1.30.0")));
    let why = |at_hand: AtHand| fit(&at_hand, &target).unwrap_err();
    for (at_hand, said) in [
        (AtHand::Version(v("1.29.8")), "the layer has istioctl 1.29.8"),
        (AtHand::Version(v("2.30.5")), "the layer has istioctl 2.30.5"),
        (AtHand::Nothing("/opt/bin/istioctl".into()), "no istioctl at /opt/bin/istioctl"),
        (AtHand::Broken("Exec format error".into()), "Exec format error"),
    ] {
        let silence = why(at_hand);
        assert!(silence.why.contains(said), "{silence:?}");
        assert!(silence.remedy.contains("ISTIO_VERSION=1.30.5"), "{silence:?}");
    }
}

#[test]
fn the_policy_says_whether_no_answer_stops_the_upgrade() {
    let silence = Silence::of_run("it hung");
    let of = |policy| silence.finding(&c1(), policy);
    assert_eq!(of(OnUnknown::Warn).severity, Severity::Warning);
    assert_eq!(Verdict::of(&[of(OnUnknown::Warn)]), Verdict::Pass);
    assert_eq!(Verdict::of(&[of(OnUnknown::Stop)]), Verdict::Unknown);
    assert_eq!(of(OnUnknown::Stop).brief(), "ANALYZER_UNKNOWN c1");
}

#[test]
fn an_error_blocks_and_the_rest_is_told() {
    let said = [
        message(Level::Info, "IST0102", "Namespace a"),
        message(Level::Warning, "IST0103", "Pod a/b"),
        message(Level::Error, "IST0101", "VirtualService a/b"),
        message(Level::Error, "IST0101", "VirtualService a/c"),
    ];
    let found = findings(&c1(), &said, &[]);
    let told: Vec<(&str, Severity)> = found.iter().map(|f| (f.code.as_str(), f.severity)).collect();
    assert_eq!(
        told,
        [("IST0101", Severity::Blocking), ("IST0102", Severity::Warning), ("IST0103", Severity::Warning)]
    );
    assert_eq!(found[0].subject, "c1: VirtualService a/b");
    assert!(found[0].message.contains("a/c: what IST0101 says"), "{}", found[0]);
    assert!(found[0].remedy.contains("policy.analyzer_accepted: https://istio.io/IST0101"), "{}", found[0]);
    assert_eq!(findings(&c1(), &[], &[]), []);
}

#[test]
fn what_is_accepted_is_told_with_its_reason_and_only_that() {
    let said = [
        message(Level::Error, "IST0101", "VirtualService shop/web"),
        message(Level::Error, "IST0101", "VirtualService bank/web"),
    ];
    let found = |accepted: &[AcceptedMessage]| findings(&c1(), &said, accepted);
    assert_eq!(found(&[accept("IST0101", None)]).len(), 1);
    assert_eq!(Verdict::of(&found(&[accept("IST0101", None)])), Verdict::Pass);
    let one = found(&[accept("IST0101", Some("VirtualService shop/*"))]);
    assert_eq!(one.len(), 2);
    assert_eq!(
        (one[0].severity, one[0].subject.as_str()),
        (Severity::Blocking, "c1: VirtualService bank/web")
    );
    assert_eq!(one[1].remedy, "accepted by policy: known");
    assert_eq!(Verdict::of(&found(&[accept("IST0102", None)])), Verdict::Fail);
    assert_eq!(Verdict::of(&found(&[accept("IST0101", Some("VirtualService shop/we"))])), Verdict::Fail);
}

#[test]
fn what_only_says_that_guard_may_not_install_is_no_finding() {
    assert_eq!(findings(&c1(), &[message(Level::Error, "IST0141", "Cluster")], &[]), []);
}

#[test]
fn thousands_of_one_kind_are_one_line() {
    let said: Vec<Message> =
        (0..5000).map(|n| message(Level::Error, "IST0101", &format!("VirtualService a/{n}"))).collect();
    let found = findings(&c1(), &said, &[]);
    assert_eq!(found.len(), 1);
    assert!(found[0].message.ends_with("; and 4995 more") && found[0].message.len() < 1200, "{}", found[0]);
}

#[test]
fn only_what_is_new_counts_afterwards() {
    let old = message(Level::Error, "IST0101", "VirtualService a/b");
    let before = Seen::of(&v("1.30.5"), std::slice::from_ref(&old));
    let now = |messages: &[Message]| since(&before, &c1(), &v("1.30.5"), messages, &[]).unwrap();
    assert_eq!(now(std::slice::from_ref(&old)), []);
    assert_eq!(now(&[]), []);
    let other_text = Message { text: "now another list".into(), ..old.clone() };
    assert_eq!(now(&[other_text]), [], "the text may change by itself");
    let new = message(Level::Error, "IST0101", "VirtualService a/c");
    let found = now(&[old.clone(), new]);
    assert_eq!((found.len(), found[0].severity), (1, Severity::Blocking));
    assert!(found[0].message.starts_with("new since the pre-check: VirtualService a/c"), "{}", found[0]);
    assert_eq!(now(&[message(Level::Warning, "IST0103", "Pod a/b")])[0].severity, Severity::Warning);
    assert_eq!(now(&[message(Level::Info, "IST0102", "Namespace z")]), []);
}

#[test]
fn a_restarted_pod_says_nothing_new() {
    let pod = |name: &str| message(Level::Warning, "IST0158", &format!("Pod shop/web-{name}"));
    let before = Seen::of(&v("1.30.5"), &[pod("7d4b9c6f58-x2bcd")]);
    let after = [pod("66f9d8b7c4-9zk4q"), pod("66f9d8b7c4-8h2vw")];
    assert_eq!(since(&before, &c1(), &v("1.30.5"), &after, &[]), Ok(vec![]));
}

#[test]
fn answers_of_two_versions_do_not_compare_and_neither_does_a_part() {
    let before = Seen::of(&v("1.30.5"), &[]);
    let other = since(&before, &c1(), &v("1.30.6"), &[], &[]).unwrap_err();
    assert!(other.why.contains("1.30.5, this is 1.30.6"), "{other:?}");
    let many: Vec<Message> =
        (0..=2000).map(|n| message(Level::Warning, "IST0103", &format!("Service a/{n}"))).collect();
    assert!(since(&Seen::of(&v("1.30.5"), &many[..2000]), &c1(), &v("1.30.5"), &many[..2000], &[]).is_ok());
    assert!(since(&Seen::of(&v("1.30.5"), &many), &c1(), &v("1.30.5"), &many, &[]).is_err());
}

#[test]
fn what_was_seen_survives_the_record() {
    let seen = Seen::of(&v("1.30.5"), &[message(Level::Error, "IST0101", "Gateway a/b")]);
    let text = serde_json::to_string(&seen).unwrap();
    assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), seen);
}
