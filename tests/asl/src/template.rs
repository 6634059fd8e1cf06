//! Payload templates: `Parameters`, `ResultSelector` and `ItemSelector`.

use crate::path::Path;
use serde_json::{Map, Value};

/// JSON in which a field named `x.$` holds a path, and becomes a field `x` with what the path selects.
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    /// Text, a number, a boolean or null: itself.
    Literal(Value),
    /// What the path selects.
    Path(Path),
    /// Fields in their order, named without `.$`.
    Object(Vec<(String, Template)>),
    /// Elements; objects inside are templates too.
    Array(Vec<Template>),
}

impl Template {
    /// Reads a template; the error is the field's way down and a sentence.
    pub(crate) fn parse(value: &Value) -> Result<Self, (String, String)> {
        match value {
            Value::Object(fields) => Self::object(fields),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| Self::parse(item).map_err(|(way, why)| (format!("[{index}]{way}"), why)))
                .collect::<Result<_, _>>()
                .map(Self::Array),
            literal => Ok(Self::Literal(literal.clone())),
        }
    }

    fn object(fields: &Map<String, Value>) -> Result<Self, (String, String)> {
        let mut known: Vec<(String, Self)> = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            let way = || format!(".{key}");
            let (name, template) = if let Some(name) = key.strip_suffix(".$") {
                let text =
                    value.as_str().ok_or_else(|| (way(), "a field named .$ holds a path".to_owned()))?;
                (name, Self::Path(Path::parse(text).map_err(|why| (way(), why))?))
            } else {
                let template = Self::parse(value).map_err(|(rest, why)| (format!(".{key}{rest}"), why))?;
                (key.as_str(), template)
            };
            if known.iter().any(|(other, _)| other == name) {
                return Err((way(), format!("{name} is given twice")));
            }
            known.push((name.to_owned(), template));
        }
        Ok(Self::Object(known))
    }

    /// The JSON it stands for; the error is the path that selected nothing.
    pub(crate) fn fill(&self, input: &Value, context: &Value) -> Result<Value, &Path> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Path(path) => path.select(input, context).ok_or(path)?.clone(),
            Self::Object(fields) => {
                let mut filled = Map::new();
                for (name, template) in fields {
                    filled.insert(name.clone(), template.fill(input, context)?);
                }
                Value::Object(filled)
            }
            Self::Array(items) => {
                Value::Array(items.iter().map(|item| item.fill(input, context)).collect::<Result<_, _>>()?)
            }
        })
    }

    /// Every path in it, in reading order.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Path(path) => vec![path],
            Self::Object(fields) => fields.iter().flat_map(|(_, template)| template.paths()).collect(),
            Self::Array(items) => items.iter().flat_map(Self::paths).collect(),
        }
    }

    /// The field of an object template, by its name without `.$`.
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => {
                fields.iter().find(|(other, _)| other == name).map(|(_, template)| template)
            }
            Self::Literal(_) | Self::Path(_) | Self::Array(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Template;
    use serde_json::json;

    #[test]
    fn paths_are_filled_however_deep() {
        let template = Template::parse(&json!({
            "fixed": [1, {"deep.$": "$.a"}], "whole.$": "$", "id.$": "$$.Execution.Id", "text": "$.a"
        }))
        .expect("is in the subset");
        let filled =
            template.fill(&json!({"a": 7}), &json!({"Execution": {"Id": "arn"}})).expect("all there");
        assert_eq!(filled, json!({"fixed": [1, {"deep": 7}], "whole": {"a": 7}, "id": "arn", "text": "$.a"}));
    }

    #[test]
    fn a_path_that_selects_nothing_is_named() {
        let template = Template::parse(&json!({"x": {"y.$": "$.b"}})).expect("is in the subset");
        let missing = template.fill(&json!({"a": 7}), &json!({})).expect_err("b is not there");
        assert_eq!(missing.to_string(), "$.b");
    }

    #[test]
    fn intrinsic_functions_and_doubled_fields_are_refused_by_place() {
        let (way, why) = Template::parse(&json!({"x": [{"y.$": "States.UUID()"}]})).expect_err("intrinsic");
        assert_eq!(way, ".x[0].y.$");
        assert!(why.contains("intrinsic"), "{why}");
        assert!(Template::parse(&json!({"x": 1, "x.$": "$.a"})).is_err());
        assert!(Template::parse(&json!({"x.$": 1})).is_err());
    }
}
