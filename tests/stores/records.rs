//! The entries of a run.

use guard_tasks::{ErrorName, Fence, Lease};
use serde_json::{Value, json};

use crate::subject::{Stores, contract, lease, run, second, take};
use guard_tasks::AuditEntry;

contract! {
    an_entry_is_written_if_it_is_as_expected,
    an_entry_is_written_under_the_newest_fence_only,
    what_is_equal_is_expected,
    entries_come_by_name_and_by_prefix,
    every_value_comes_back_as_it_was,
    entries_of_more_than_one_megabyte_are_read_to_the_end,
    runs_do_not_see_each_other,
}

async fn an_entry_is_written_if_it_is_as_expected(stores: &Stores<'_>) {
    let held = lease(take(stores, "a", &["c1"], None).await);
    assert_eq!(stores.entry(&run("a"), "plan").await.unwrap(), None);
    let absent = stores.put(&held, "plan", Some(&json!(1)), &json!(2)).await.unwrap_err();
    assert_eq!(absent.name, ErrorName::Conflict);
    stores.put(&held, "plan", None, &json!(1)).await.unwrap();
    let there = stores.put(&held, "plan", None, &json!(2)).await.unwrap_err();
    assert_eq!(there.name, ErrorName::Conflict);
    assert!(there.to_string().contains("entry plan of run a was changed by somebody else"), "{there}");
    assert_eq!(stores.entry(&run("a"), "plan").await.unwrap(), Some(json!(1)));

    stores.put(&held, "plan", Some(&json!(1)), &json!(2)).await.unwrap();
    assert_eq!(
        stores.put(&held, "plan", Some(&json!(1)), &json!(2)).await.unwrap_err().name,
        ErrorName::Conflict,
        "the same call again is told the truth"
    );
    // There and back, and there again: the third is not taken for the first.
    stores.put(&held, "plan", Some(&json!(2)), &json!(1)).await.unwrap();
    stores.put(&held, "plan", Some(&json!(1)), &json!(2)).await.unwrap();
    assert_eq!(stores.entry(&run("a"), "plan").await.unwrap(), Some(json!(2)));
}

async fn an_entry_is_written_under_the_newest_fence_only(stores: &Stores<'_>) {
    let old = lease(take(stores, "a", &["c1"], None).await);
    stores.put(&old, "plan", None, &json!(1)).await.unwrap();
    let new = lease(take(stores, "b", &["c1"], Some("arn:a")).await);
    let stale = stores.put(&old, "plan", Some(&json!(1)), &json!(2)).await.unwrap_err();
    assert_eq!(stale.name, ErrorName::Conflict);
    assert!(stale.to_string().contains("run a with fence 1 does not hold batch#test; arn:b does"), "{stale}");
    let forged = Lease { fence: Fence(9), ..new.clone() };
    stores.put(&forged, "plan", None, &json!(2)).await.unwrap_err();
    assert_eq!(stores.entry(&run("a"), "plan").await.unwrap(), Some(json!(1)));
    assert_eq!(stores.entry(&run("b"), "plan").await.unwrap(), None);
    stores.put(&new, "plan", None, &json!(3)).await.unwrap();
}

/// Values are compared as values: the order of keys and the spelling of a character say nothing.
async fn what_is_equal_is_expected(stores: &Stores<'_>) {
    let held = lease(take(stores, "a", &["c1"], None).await);
    let parse = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let written = parse(r#"{"b": {"y": [1, 2], "x": 0.5}, "a": "é"}"#);
    let expected = parse(r#"{"a": "\u00e9", "b": {"x": 5e-1, "y": [1, 2]}}"#);
    stores.put(&held, "e", None, &written).await.unwrap();
    stores.put(&held, "e", Some(&expected), &json!([1, 2])).await.unwrap();
    let other = [json!([2, 1]), json!([1, 2.0]), json!("[1,2]"), json!(null)];
    for wrong in &other {
        let error = stores.put(&held, "e", Some(wrong), &json!(0)).await.unwrap_err();
        assert_eq!(error.name, ErrorName::Conflict, "{wrong}");
    }
}

async fn entries_come_by_name_and_by_prefix(stores: &Stores<'_>) {
    let held = lease(take(stores, "a", &["c1"], None).await);
    for name in ["pre-check#c2", "plan", "pre-check#c10", "pre-check#c1", "preview", "audience", "ä"] {
        stores.put(&held, name, None, &json!({"name": name})).await.unwrap();
    }
    stores.audit(&held, &AuditEntry { at: second(1), who: "w".into(), what: "x".into() }).await.unwrap();
    stores.keep(&crate::tokens::token("a", "t1")).await.unwrap();

    let names = async |prefix: &str| -> Vec<String> {
        let entries = stores.entries(&run("a"), prefix).await.unwrap();
        assert!(entries.iter().all(|(name, value)| value["name"] == **name));
        entries.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names("pre-check#").await, ["pre-check#c1", "pre-check#c10", "pre-check#c2"]);
    assert_eq!(names("pre").await, ["pre-check#c1", "pre-check#c10", "pre-check#c2", "preview"]);
    assert_eq!(names("nothing").await, [""; 0]);
    // Neither the audit log nor a token is an entry.
    assert_eq!(names("a").await, ["audience"]);
    assert_eq!(names("t").await, [""; 0]);
    assert_eq!(names("").await.len(), 7);
}

async fn every_value_comes_back_as_it_was(stores: &Stores<'_>) {
    let held = lease(take(stores, "a", &["c1"], None).await);
    let mut deep = json!("down");
    for _ in 0..60 {
        deep = json!([deep]);
    }
    let values = [
        json!(null),
        json!(true),
        json!(""),
        json!([]),
        json!({}),
        json!({"": "", "empty": [{}, [], "", null]}),
        json!(1),
        json!(1.0),
        json!([0, -0.0, 0.1, 1e300, 5e-324, 0.1 + 0.2, 0.193_276_361_600_924_54]),
        json!([u64::MAX, i64::MIN, 9_007_199_254_740_993_u64]),
        json!("snow ☃ 雪 🦀 \u{0} \u{7f} \" \\ \n \u{2028}"),
        json!({"日本": {"z": 1, "a": {"ключ": ["é", "e\u{301}"]}}}),
        json!({"S": "looks like an attribute", "N": "1", "M": {"L": []}}),
        deep,
    ];
    for (index, value) in values.iter().enumerate() {
        let name = format!("v{index:02}");
        stores.put(&held, &name, None, value).await.unwrap();
        let read = stores.entry(&run("a"), &name).await.unwrap().unwrap();
        assert_eq!(read, *value, "{name}");
        // What was read is what is expected.
        stores.put(&held, &name, Some(&read), value).await.unwrap();
    }
    let all: Vec<Value> =
        stores.entries(&run("a"), "v").await.unwrap().into_iter().map(|(_, value)| value).collect();
    assert_eq!(all, values);
}

async fn entries_of_more_than_one_megabyte_are_read_to_the_end(stores: &Stores<'_>) {
    let held = lease(take(stores, "a", &["c1"], None).await);
    for number in 0..5 {
        let name = format!("big#{number}");
        stores.put(&held, &name, None, &json!("x".repeat(380_000))).await.unwrap();
    }
    assert_eq!(stores.entries(&run("a"), "big#").await.unwrap().len(), 5);
}

async fn runs_do_not_see_each_other(stores: &Stores<'_>) {
    let a = lease(take(stores, "a", &["c1"], None).await);
    stores.put(&a, "plan", None, &json!("a")).await.unwrap();
    let b = lease(take(stores, "b", &["c1"], Some("arn:a")).await);
    assert_eq!(stores.entry(&run("b"), "plan").await.unwrap(), None);
    assert!(stores.entries(&run("b"), "").await.unwrap().is_empty());
    stores.put(&b, "plan", None, &json!("b")).await.unwrap();
    assert_eq!(stores.entry(&run("a"), "plan").await.unwrap(), Some(json!("a")));
}
