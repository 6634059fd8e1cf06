//! Reference paths: the part of JSONPath that names exactly one place.

use serde_json::Value;
use std::fmt;

/// What a path starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// `$`: the data at hand.
    Input,
    /// `$$`: the context object.
    Context,
}

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep {
    /// `.name` or `['name']`.
    Field(String),
    /// `[3]`, counted from zero.
    Index(usize),
}

/// A reference path: `$`, `$.a.b`, `$['a']`, `$.a[0]`, `$$.Execution.Id`.
///
/// Wildcards, slices, filters, descents and functions are refused: they select many places or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// What it starts from.
    pub root: Root,
    /// The way down.
    pub steps: Vec<PathStep>,
    text: String,
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Path {
    /// Reads a path; the error is a sentence that says which part is outside of the subset.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (root, mut rest) = if let Some(rest) = text.strip_prefix("$$") {
            (Root::Context, rest)
        } else if let Some(rest) = text.strip_prefix('$') {
            (Root::Input, rest)
        } else if text.starts_with("States.") {
            return Err(format!("intrinsic functions are outside of the subset: {text:?}"));
        } else {
            return Err(format!("a path starts with $ or $$: {text:?}"));
        };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = Self::step(rest)
                .ok_or_else(|| format!("only reference paths are in the subset, not {rest:?} in {text:?}"))?;
            steps.push(step);
            rest = after;
        }
        Ok(Self { root, steps, text: text.to_owned() })
    }

    /// `$`.
    pub(crate) fn whole() -> Self {
        Self { root: Root::Input, steps: Vec::new(), text: "$".to_owned() }
    }

    fn step(rest: &str) -> Option<(PathStep, &str)> {
        if let Some(rest) = rest.strip_prefix('.') {
            let is_name = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
            let end = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            return (!name.is_empty()).then(|| (PathStep::Field(name.to_owned()), after));
        }
        let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
        if let Some(name) = inside.strip_prefix('\'').and_then(|inside| inside.strip_suffix('\'')) {
            let is_plain = !name.is_empty() && !name.contains(['\'', '\\', '[']);
            return is_plain.then(|| (PathStep::Field(name.to_owned()), after));
        }
        let is_index = !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_digit());
        let index = if is_index { inside.parse().ok()? } else { return None };
        Some((PathStep::Index(index), after))
    }

    /// The place it names, if it is there.
    pub fn select<'v>(&self, input: &'v Value, context: &'v Value) -> Option<&'v Value> {
        let start = match self.root {
            Root::Input => input,
            Root::Context => context,
        };
        self.steps.iter().try_fold(start, |value, step| match step {
            PathStep::Field(name) => value.as_object()?.get(name),
            PathStep::Index(index) => value.as_array()?.get(*index),
        })
    }

    /// Whether it reads `$$.Task.Token` (or all of `$$.Task`).
    pub fn is_task_token(&self) -> bool {
        self.root == Root::Context
            && matches!(self.steps.first(), Some(PathStep::Field(name)) if name == "Task")
    }
}

/// Puts `result` at the fields `way` of `input`, as `ResultPath` does: missing objects are made, an existing
/// value is replaced. `None` when the way leads through something that is no object
/// (`States.ResultPathMatchFailure`).
pub(crate) fn place(mut input: Value, way: &[String], result: Value) -> Option<Value> {
    let mut here = &mut input;
    for name in way {
        here = here
            .as_object_mut()?
            .entry(name.as_str())
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    *here = result;
    Some(input)
}

#[cfg(test)]
mod tests {
    use super::{Path, place};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn reference_paths_select_one_place() {
        let input = json!({"a": {"b": [10, {"c d": 3}]}, "x-y": null});
        let context = json!({"Execution": {"Id": "arn"}});
        let cases = [
            ("$", Some(input.clone())),
            ("$.a.b[0]", Some(json!(10))),
            ("$['a'].b[1]['c d']", Some(json!(3))),
            ("$.x-y", Some(Value::Null)),
            ("$.a.b[2]", None),
            ("$.a.b.c", None),
            ("$.missing", None),
            ("$$.Execution.Id", Some(json!("arn"))),
        ];
        for (text, expected) in cases {
            let path = Path::parse(text).expect("is in the subset");
            assert_eq!(path.select(&input, &context).cloned(), expected, "{text}");
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for text in [
            "",
            "a",
            "$a",
            "$.",
            "$..a",
            "$.*",
            "$[*]",
            "$.a[?(@.b)]",
            "$.a[-1]",
            "$.a[0:2]",
            "$.a[0,1]",
            "$.a[",
            "$.a[]",
            "$.a.length()",
            "$['']",
            "$['a','b']",
            "$.a[+1]",
            "States.Format('{}', $.a)",
        ] {
            assert!(Path::parse(text).is_err(), "{text:?} must be refused");
        }
    }

    #[test]
    fn placing_makes_objects_and_refuses_scalars_on_the_way() {
        let way = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(place(json!({"a": 1}), &way(&["b", "c"]), json!(2)), Some(json!({"a": 1, "b": {"c": 2}})));
        assert_eq!(place(json!({"a": 1}), &way(&["a"]), json!(2)), Some(json!({"a": 2})));
        assert_eq!(place(json!({"a": 1}), &[], json!(2)), Some(json!(2)));
        assert_eq!(place(json!({"a": 1}), &way(&["a", "b"]), json!(2)), None);
        assert_eq!(place(json!([1]), &way(&["a"]), json!(2)), None);
    }

    proptest! {
        #[test]
        fn what_is_placed_is_selected(names in prop::collection::vec("[a-z]{1,4}", 1..5), number: i32) {
            let placed = place(json!({}), &names, json!(number)).expect("an empty object takes any way");
            let path = Path::parse(&format!("$.{}", names.join("."))).expect("is in the subset");
            prop_assert_eq!(path.select(&placed, &Value::Null), Some(&json!(number)));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,20}") {
            let _ = Path::parse(&format!("${text}"));
        }
    }
}
