//! YAML as JSON. CloudFormation's short forms become the long ones: `!Ref x` is `{"Ref": "x"}`.

use granit_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value, json};

enum Open {
    Map(Map<String, Value>, Option<String>, Option<String>),
    Seq(Vec<Value>, Option<String>),
}

/// Every document of a text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let value = match event.unwrap().0 {
            Event::Scalar(text, style, _, tag) => {
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                long_form(
                    tag.as_ref().map(|tag| tag.suffix()),
                    if is_plain { plain(&text) } else { json!(text) },
                )
            }
            Event::MappingStart(_, _, tag) => {
                open.push(Open::Map(Map::new(), None, tag.map(|tag| name(&tag))));
                continue;
            }
            Event::SequenceStart(_, _, tag) => {
                open.push(Open::Seq(Vec::new(), tag.map(|tag| name(&tag))));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => match open.pop().unwrap() {
                Open::Map(entries, _, tag) => long_form(tag.as_deref(), Value::Object(entries)),
                Open::Seq(items, tag) => long_form(tag.as_deref(), Value::Array(items)),
            },
            Event::Alias(_) => fail("an alias: CloudFormation takes none"),
            _ => continue,
        };
        match open.last_mut() {
            None => documents.push(value),
            Some(Open::Seq(items, _)) => items.push(value),
            Some(Open::Map(entries, key, _)) => match key.take() {
                None => *key = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
                Some(name) => {
                    assert!(!entries.contains_key(&name), "the key {name} stands there twice");
                    entries.insert(name, value);
                }
            },
        }
    }
    documents
}

fn name(tag: &Tag) -> String {
    tag.suffix().to_owned()
}

fn long_form(tag: Option<&str>, value: Value) -> Value {
    match tag {
        None => value,
        Some(name @ ("Ref" | "Condition")) => json!({name: value}),
        Some("GetAtt") => {
            let (resource, attribute) = value.as_str().unwrap().split_once('.').unwrap();
            json!({"Fn::GetAtt": [resource, attribute]})
        }
        Some(name) => json!({format!("Fn::{name}"): value}),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "true" => json!(true),
        "false" => json!(false),
        "" | "~" | "null" => Value::Null,
        _ => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
    }
}

fn fail(message: &str) -> ! {
    #[expect(clippy::panic, reason = "the test's own failure")]
    {
        panic!("{message}")
    }
}
