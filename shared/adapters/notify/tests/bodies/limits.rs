//! Slack's limits: a message beyond one of them is refused whole, and an alarm is lost.

use guard_domain::notification::{Fact, Link, Next, Notification};
use serde_json::Value;

use crate::told::{Out, all, status};

/// Longer than anything may be, with markup in every place.
fn monstrous() -> Notification {
    let (_, mut told) = all().remove(0);
    let long = "<!channel> & more ".repeat(2_000);
    told.title.clone_from(&long);
    told.sentence.clone_from(&long);
    told.facts = (0..37).map(|_| Fact { name: "fact", value: long.clone() }).collect();
    told.findings = (0..200).map(|n| format!("{n} {long}")).collect();
    told.links = vec![Link { title: "page", url: "https://x.example/?a=1&b=<2>|3 4".to_owned() }];
    told.next = (0..20).map(|_| Next { words: "Do.", command: Some(long.clone()) }).collect();
    told
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if name == "text" => found.push(text.to_owned()),
                    _ => texts(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn a_monstrous_notification_fits_a_message() {
    let out = Out::new(|| status(200, "ok"));
    let body = out.body(&out.slack, &monstrous()).await;
    let blocks = body["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50, "{} blocks", blocks.len());
    let length = |text: &Value| text["text"].as_str().unwrap().chars().count();
    assert!(length(&blocks[0]["text"]) <= 150);
    assert!(body["text"].as_str().unwrap().chars().count() <= 3_000);
    for block in blocks {
        match block["fields"].as_array() {
            Some(fields) => {
                assert!(fields.len() <= 10);
                assert!(fields.iter().all(|field| length(field) <= 2_000));
            }
            None => assert!((1..=3_000).contains(&length(&block["text"])), "{}", length(&block["text"])),
        }
    }
}

#[tokio::test]
async fn nothing_in_a_text_is_markup_or_a_mention() {
    let out = Out::new(|| status(200, "ok"));
    let mut told = monstrous();
    told.links.clear();
    let body = out.body(&out.slack, &told).await;
    let mut found = Vec::new();
    texts(&body, &mut found);
    // The heading is plain text, which Slack does not read as markup.
    let heading = body["blocks"][0]["text"]["text"].as_str().unwrap();
    for text in found.iter().filter(|text| *text != heading) {
        assert!(!text.contains(['<', '>']), "{text}");
        for (at, _) in text.match_indices('&') {
            let entity = ["&amp;", "&lt;", "&gt;"].iter().any(|entity| text[at..].starts_with(entity));
            assert!(entity, "{}", &text[at..]);
        }
    }
    let body = out.body(&out.slack, &monstrous()).await.to_string();
    assert!(body.contains("<https://x.example/?a=1&amp;b=%3C2%3E%7C3%204|page>"), "an address stays whole");
}
