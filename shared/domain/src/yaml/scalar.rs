//! Scalars: what they are as data, and how a new value is written in the old one's style.

use serde_json::{Number, Value};

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes.
    Plain,
    /// `'...'`
    Single,
    /// `"..."`
    Double,
    /// `|` or `>`.
    Block,
}

/// A scalar as data. Quoted ones are text. Plain ones are what Flux makes of them: it reads YAML as Go programs do,
/// which still know the truth words of YAML 1.1.
pub(crate) fn data(value: &str, style: Style) -> Value {
    if style != Style::Plain {
        return Value::from(value);
    }
    match value {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            return Value::Bool(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    number(value).map_or_else(|| Value::from(value), Value::Number)
}

/// Decimal numbers. Others (octal, hexadecimal, `_`, infinity) are left as text: nothing here writes them.
fn number(value: &str) -> Option<Number> {
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || digits == "." {
        return None;
    }
    if let Ok(whole) = value.trim_start_matches('+').parse::<i64>() {
        return Some(whole.into());
    }
    let is_float =
        digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if is_float { value.parse::<f64>().ok().and_then(Number::from_f64) } else { None }
}

/// The word for a value's type.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// The text of a new value in a style. `None` where the style cannot carry it.
pub(crate) fn written(value: &Value, style: Style) -> Option<String> {
    match (value, style) {
        (_, Style::Block) | (Value::Null | Value::Array(_) | Value::Object(_), _) => None,
        (Value::String(text), Style::Plain) if is_plain(text) => Some(text.clone()),
        (Value::String(text), Style::Single) if !text.chars().any(char::is_control) => {
            Some(format!("'{}'", text.replace('\'', "''")))
        }
        // The escapes of JSON are escapes of YAML too.
        (Value::String(text), _) => Some(Value::from(text.as_str()).to_string()),
        (Value::Bool(_) | Value::Number(_), Style::Plain) => Some(value.to_string()),
        (Value::Bool(_) | Value::Number(_), _) => None,
    }
}

/// True for text that is the same text without quotes, wherever it stands.
fn is_plain(text: &str) -> bool {
    let mut characters = text.chars();
    let starts = characters.next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '/');
    let is_tame = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:+@=~^*<>% ".contains(c));
    starts
        && is_tame
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && data(text, Style::Plain).is_string()
        // Numbers that other readers know, dates, and base 60.
        && !text.chars().all(|c| c.is_ascii_hexdigit() || "xo_:-+.TZ ".contains(c))
        || is_version(text)
}

/// `1.30.5`: three numbers are text for every reader.
fn is_version(text: &str) -> bool {
    let mut parts = text.splitn(3, '.');
    let is_number =
        |part: Option<&str>| part.is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    is_number(parts.next())
        && is_number(parts.next())
        && parts.next().is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_digit())
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_are_what_flux_makes_of_them() {
        for (text, value) in [
            ("1.30.5", json!("1.30.5")),
            ("1.30", json!(1.3)),
            ("100.0", json!(100.0)),
            ("5", json!(5)),
            ("-5", json!(-5)),
            ("yes", json!(true)),
            ("off", json!(false)),
            ("~", json!(null)),
            ("", json!(null)),
            ("500m", json!("500m")),
            ("-", json!("-")),
            (".", json!(".")),
            ("1-2", json!("1-2")),
        ] {
            assert_eq!(data(text, Style::Plain), value, "{text}");
        }
        assert_eq!(data("5", Style::Double), json!("5"));
        assert_eq!(data("", Style::Single), json!(""));
    }

    #[test]
    fn a_new_value_is_written_in_the_old_style() {
        for (value, style, text) in [
            (json!("1.30.5"), Style::Plain, Some("1.30.5")),
            (json!("1.31.0-rc.0"), Style::Plain, Some("1.31.0-rc.0")),
            (json!("1.30"), Style::Plain, Some("\"1.30\"")),
            (json!("yes"), Style::Plain, Some("\"yes\"")),
            (json!("a: b"), Style::Plain, Some("\"a: b\"")),
            (json!("# a"), Style::Plain, Some("\"# a\"")),
            (json!("2026-01-01"), Style::Plain, Some("\"2026-01-01\"")),
            (json!("1:30:00"), Style::Plain, Some("\"1:30:00\"")),
            (
                json!("https://blob.istio.io/istio-release/charts"),
                Style::Plain,
                Some("https://blob.istio.io/istio-release/charts"),
            ),
            (json!("it's"), Style::Single, Some("'it''s'")),
            (json!("a\nb"), Style::Single, Some("\"a\\nb\"")),
            (json!(5), Style::Plain, Some("5")),
            (json!(100.0), Style::Plain, Some("100.0")),
            (json!(true), Style::Plain, Some("true")),
            (json!(5), Style::Double, None),
            (json!("x"), Style::Block, None),
            (json!([]), Style::Plain, None),
        ] {
            assert_eq!(written(&value, style).as_deref(), text, "{value}");
        }
    }

    proptest! {
        #[test]
        fn text_without_quotes_is_the_same_text(text in "[ -~]{0,12}") {
            for style in [Style::Plain, Style::Single, Style::Double] {
                let line = format!("a: {}\nb: [{}, 1]\n", written(&json!(text), style).unwrap(), written(&json!(text), style).unwrap());
                let documents = crate::yaml::documents(&line).unwrap();
                for path in [&["a"][..], &["b"]] {
                    let mut node = documents[0].at(path).unwrap();
                    if let crate::yaml::Content::Seq(items) = &node.content {
                        node = &items[0];
                    }
                    prop_assert_eq!(node.data(), Some(json!(text)), "{}", line);
                }
            }
        }
    }
}
