//! JSON Schemas as types.

use super::value::{DEPTH, Field, Number, Object, Type};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use thiserror::Error;

/// A schema outside of the subset that is understood: nothing of it is passed over in silence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("schema: {0}")]
pub struct SchemaError(String);

/// Keywords that say nothing of a value's shape. What they ask for beyond it is left to the task itself.
const PASSED_OVER: [&str; 20] = [
    "$schema",
    "$defs",
    "$id",
    "title",
    "description",
    "default",
    "deprecated",
    "examples",
    "readOnly",
    "writeOnly",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
];

impl Type {
    /// The type that a JSON Schema describes. A field that the schema does not list is not there, unless
    /// `additionalProperties` allows it: a schema made from a type lists every field of that type.
    ///
    /// ```
    /// use guard_asl::Type;
    /// use serde_json::json;
    ///
    /// let word = Type::of_schema(&json!({"enum": ["pass", "fail"]}))?;
    /// assert!(word.admits(&json!("pass")) && !word.admits(&json!("halt")));
    /// # Ok::<(), guard_asl::SchemaError>(())
    /// ```
    pub fn of_schema(schema: &Value) -> Result<Self, SchemaError> {
        Reader { root: schema }.read(schema, DEPTH)
    }
}

struct Reader<'s> {
    root: &'s Value,
}

impl Reader<'_> {
    fn read(&self, schema: &Value, depth: usize) -> Result<Type, SchemaError> {
        let fields = match schema {
            Value::Bool(true) => return Ok(Type::anything()),
            Value::Bool(false) => return Ok(Type::nothing()),
            Value::Object(fields) => fields,
            other => return Err(SchemaError(format!("{other} is no schema"))),
        };
        // A type that holds itself has no end of its own.
        let Some(depth) = depth.checked_sub(1) else { return Ok(Type::anything()) };
        let shape: Vec<&str> =
            fields.keys().map(String::as_str).filter(|key| !PASSED_OVER.contains(key)).collect();
        let first = |key: &str| fields.get(key).unwrap_or(&Value::Null);
        match shape.as_slice() {
            [] => Ok(Type::anything()),
            ["$ref"] => self.read(self.target(first("$ref"))?, depth),
            ["oneOf"] => self.read_each(first("oneOf"), depth),
            ["anyOf"] => self.read_each(first("anyOf"), depth),
            ["allOf"] => match first("allOf").as_array().map(Vec::as_slice) {
                Some([only]) => self.read(only, depth),
                _ => Err(SchemaError("allOf of more than one schema is not understood".to_owned())),
            },
            keys if keys.contains(&"const") => Ok(Type::of(first("const"))),
            keys if keys.contains(&"enum") => {
                let constants = first("enum").as_array().ok_or_else(|| no_array("enum"))?;
                Ok(constants.iter().map(Type::of).fold(Type::nothing(), |all, one| all.join(&one)))
            }
            keys if keys.contains(&"type") => self.read_kinds(fields, keys, depth),
            keys => Err(SchemaError(format!("{} is not understood", keys.join(" with ")))),
        }
    }

    fn target(&self, reference: &Value) -> Result<&Value, SchemaError> {
        let unknown = || SchemaError(format!("$ref {reference} leads nowhere"));
        let way = reference.as_str().and_then(|text| text.strip_prefix('#')).ok_or_else(unknown)?;
        self.root.pointer(way).ok_or_else(unknown)
    }

    fn read_each(&self, schemas: &Value, depth: usize) -> Result<Type, SchemaError> {
        let schemas = schemas.as_array().ok_or_else(|| no_array("oneOf"))?;
        schemas.iter().try_fold(Type::nothing(), |all, schema| Ok(all.join(&self.read(schema, depth)?)))
    }

    fn read_kinds(
        &self,
        fields: &Map<String, Value>,
        keys: &[&str],
        depth: usize,
    ) -> Result<Type, SchemaError> {
        let known = ["type", "properties", "required", "additionalProperties", "items"];
        if let Some(unknown) = keys.iter().find(|key| !known.contains(key)) {
            return Err(SchemaError(format!("{unknown} beside type is not understood")));
        }
        let kinds = match fields.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().collect(),
            Some(kind) => vec![kind],
            None => Vec::new(),
        };
        kinds.into_iter().try_fold(Type::nothing(), |all, kind| {
            let kind = match kind.as_str().unwrap_or_default() {
                "null" => Type::null(),
                "boolean" => Type::boolean(),
                "string" => Type::string(),
                "number" => Type::number(),
                "integer" => {
                    let least = fields.get("minimum").and_then(Value::as_f64);
                    let number =
                        if least.is_some_and(|least| least >= 0.0) { Number::Natural } else { Number::Whole };
                    Type { number: Some(number), ..Type::default() }
                }
                "array" => {
                    let items = fields.get("items").map(|items| self.read(items, depth)).transpose()?;
                    Type::array(items.unwrap_or_else(Type::anything))
                }
                "object" => Type::from_object(self.read_object(fields, depth)?),
                other => return Err(SchemaError(format!("type {other:?} is not understood"))),
            };
            Ok(all.join(&kind))
        })
    }

    fn read_object(&self, fields: &Map<String, Value>, depth: usize) -> Result<Object, SchemaError> {
        let is_required = |name: &str| {
            let names = fields.get("required").and_then(Value::as_array);
            names.is_some_and(|names| names.iter().any(|required| required == name))
        };
        let mut known = BTreeMap::new();
        if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
            for (name, schema) in properties {
                let of = self.read(schema, depth)?;
                known.insert(name.clone(), Field::new(of, is_required(name)));
            }
        }
        let others = match fields.get("additionalProperties") {
            None | Some(Value::Bool(false)) => None,
            Some(schema) => Some(Box::new(self.read(schema, depth)?)),
        };
        Ok(Object { fields: known, others })
    }
}

fn no_array(key: &str) -> SchemaError {
    SchemaError(format!("{key} must be an array"))
}
