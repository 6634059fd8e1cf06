//! Between DynamoDB's attributes and our values.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

/// One row.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The most that one item may hold, names included: 400 KB. Source: DynamoDB's service quotas.
pub(super) const ITEM_BYTES_MAX: usize = 400 * 1024;

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl ToString + Copy) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn map<const N: usize>(pairs: [(&str, AttributeValue); N]) -> AttributeValue {
    AttributeValue::M(item(pairs))
}

pub(super) fn item<const N: usize>(pairs: [(&str, AttributeValue); N]) -> Item {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A string attribute; `None` when it is not there or is something else.
pub(super) fn str_of<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// A whole number; `None` when it is not there or is something else.
pub(super) fn u64_of(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// A row as JSON. Sets become arrays; bytes, which no attribute of ours is, become null.
pub(super) fn to_json(item: &Item) -> Value {
    Value::Object(object(item))
}

fn object(item: &Item) -> Map<String, Value> {
    item.iter().map(|(name, value)| (name.clone(), json(value))).collect()
}

fn json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::N(digits) => json_number(digits),
        AttributeValue::Bool(truth) => Value::Bool(*truth),
        AttributeValue::M(item) => Value::Object(object(item)),
        AttributeValue::L(list) => list.iter().map(json).collect(),
        AttributeValue::Ss(set) => set.iter().map(String::as_str).collect(),
        AttributeValue::Ns(set) => set.iter().map(|digits| json_number(digits)).collect(),
        _ => Value::Null,
    }
}

/// JSON as an attribute.
pub(super) fn from_json(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(truth) => AttributeValue::Bool(*truth),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(list) => AttributeValue::L(list.iter().map(from_json).collect()),
        Value::Object(fields) => {
            AttributeValue::M(fields.iter().map(|(name, value)| (name.clone(), from_json(value))).collect())
        }
    }
}

/// DynamoDB keeps 38 digits; what JSON numbers cannot hold stays text.
fn json_number(digits: &str) -> Value {
    digits.parse().map_or_else(|_| Value::String(digits.to_owned()), Value::Number)
}

/// What DynamoDB counts of an item that holds strings and numbers: UTF-8 bytes of names and values; of a number at
/// most its digits and one more.
pub(super) fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len() + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_attribute_has_its_json() {
        let row = item([
            ("s", text("é")),
            ("i", number(-3)),
            ("f", number(0.5)),
            ("wide", AttributeValue::N("1".repeat(38))),
            ("b", AttributeValue::Bool(true)),
            ("none", AttributeValue::Null(true)),
            ("m", map([("l", AttributeValue::L(vec![number(1), text("")]))])),
            ("ss", AttributeValue::Ss(vec!["a".into()])),
            ("ns", AttributeValue::Ns(vec!["1".into()])),
        ]);
        let wide: Value = "1".repeat(38).parse().unwrap();
        let expected = json!({
            "s": "é", "i": -3, "f": 0.5, "wide": wide, "b": true, "none": null, "m": {"l": [1, ""]},
            "ss": ["a"], "ns": [1]
        });
        assert_eq!(to_json(&row), expected);
        let again = from_json(&expected);
        assert_eq!(json(&again), expected);
    }

    #[test]
    fn a_size_counts_bytes_of_names_and_values() {
        assert_eq!(size(&item([("name", text("é")), ("n", number(12))])), 4 + 2 + 1 + 3);
    }
}
