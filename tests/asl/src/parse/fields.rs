//! A JSON object whose fields are taken one by one; what is left at the end is refused.

use crate::error::ParseError;
use crate::path::Path;
use crate::template::Template;
use serde_json::{Map, Value};

/// Where in the definition we are.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) machine: String,
    pub(super) state: Option<String>,
}

impl Place {
    pub(super) fn refuse(&self, field: &str, reason: impl Into<String>) -> ParseError {
        ParseError {
            machine: self.machine.clone(),
            state: self.state.clone(),
            field: field.to_owned(),
            reason: reason.into(),
        }
    }
}

pub(super) struct Fields {
    pub(super) place: Place,
    /// Way down to this object inside the state, with its closing dot: `Choices[0].`.
    pub(super) prefix: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Opens an object; `way` is its own place inside the state, empty for the state itself.
    pub(super) fn of(place: &Place, way: &str, value: Value) -> Result<Self, ParseError> {
        let Value::Object(map) = value else {
            return Err(place.refuse(if way.is_empty() { "definition" } else { way }, "must be an object"));
        };
        let prefix = if way.is_empty() { String::new() } else { format!("{way}.") };
        Ok(Self { place: place.clone(), prefix, map })
    }

    pub(super) fn refuse(&self, field: &str, reason: impl Into<String>) -> ParseError {
        self.place.refuse(&format!("{}{field}", self.prefix), reason)
    }

    /// Way down to a field of this object.
    pub(super) fn way(&self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    pub(super) fn take(&mut self, field: &str) -> Option<Value> {
        self.map.shift_remove(field)
    }

    pub(super) fn required(&mut self, field: &str) -> Result<Value, ParseError> {
        self.take(field).ok_or_else(|| self.refuse(field, "is missing"))
    }

    pub(super) fn text(&mut self, field: &str) -> Result<Option<String>, ParseError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.refuse(field, "must be a string")),
        }
    }

    pub(super) fn required_text(&mut self, field: &str) -> Result<String, ParseError> {
        self.text(field)?.ok_or_else(|| self.refuse(field, "is missing"))
    }

    /// A whole number within the service's bound of 99,999,999.
    pub(super) fn whole(&mut self, field: &str) -> Result<Option<u64>, ParseError> {
        match self.take(field) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) if number <= 99_999_999 => Ok(Some(number)),
                _ => Err(self.refuse(field, "must be a whole number from 0 to 99999999")),
            },
        }
    }

    pub(super) fn path(&mut self, field: &str) -> Result<Option<Path>, ParseError> {
        self.text(field)?.map(|text| self.read_path(field, &text)).transpose()
    }

    /// A path outside of `Parameters`, so without the task token.
    pub(super) fn read_path(&self, field: &str, text: &str) -> Result<Path, ParseError> {
        let path = Path::parse(text).map_err(|why| self.refuse(field, why))?;
        if path.is_task_token() {
            return Err(self.refuse(field, "$$.Task.Token is for Parameters of waitForTaskToken only"));
        }
        Ok(path)
    }

    pub(super) fn template(&mut self, field: &str) -> Result<Option<Template>, ParseError> {
        let Some(value) = self.take(field) else { return Ok(None) };
        if !value.is_object() {
            return Err(self.refuse(field, "must be an object"));
        }
        let template =
            Template::parse(&value).map_err(|(way, why)| self.refuse(&format!("{field}{way}"), why))?;
        Ok(Some(template))
    }

    /// A template that may not read the task token.
    pub(super) fn tokenless_template(&mut self, field: &str) -> Result<Option<Template>, ParseError> {
        let template = self.template(field)?;
        if template.iter().flat_map(Template::paths).any(Path::is_task_token) {
            return Err(self.refuse(field, "$$.Task.Token is for Parameters of waitForTaskToken only"));
        }
        Ok(template)
    }

    pub(super) fn array(&mut self, field: &str) -> Result<Option<Vec<Value>>, ParseError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(self.refuse(field, "must be an array")),
        }
    }

    /// The names that are left.
    pub(super) fn names(&self) -> Vec<String> {
        self.map.keys().cloned().collect()
    }

    /// Refuses the first field that nobody took.
    pub(super) fn finish(self) -> Result<(), ParseError> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(field) => Err(self.refuse(field, "is outside of the subset that the interpreter runs here")),
        }
    }
}
