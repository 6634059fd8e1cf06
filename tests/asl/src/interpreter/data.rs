//! The data flow of a state: InputPath, Parameters, ResultSelector, ResultPath, OutputPath, in this order.

use crate::MAX_STATE_BYTES;
use crate::error::Failure;
use crate::machine::{Filter, Quantity, ResultPath, Text};
use crate::path::{Path, place};
use crate::template::Template;
use serde_json::{Map, Value};
use std::io;

/// What a state reads besides its input.
pub(super) struct Sources<'s> {
    pub(super) state: &'s str,
    pub(super) context: &'s Value,
}

impl Sources<'_> {
    /// A path that selects nothing loses the execution. The States Language names
    /// `States.ParameterPathFailure` for templates; the service itself answers `States.Runtime` there too,
    /// which nothing catches, so this is the stricter and the true one.
    fn missing(&self, field: &str, path: &Path) -> Failure {
        Failure::runtime(format!(
            "An error occurred while executing the state '{}'. The JSONPath '{path}' specified for the field \
             '{field}' could not be found in the input.",
            self.state
        ))
    }

    pub(super) fn select<'v>(
        &'v self,
        field: &str,
        path: &Path,
        data: &'v Value,
    ) -> Result<&'v Value, Failure> {
        path.select(data, self.context).ok_or_else(|| self.missing(field, path))
    }

    pub(super) fn filter(&self, field: &str, filter: &Filter, data: Value) -> Result<Value, Failure> {
        match filter {
            Filter::Nothing => Ok(Value::Object(Map::new())),
            // `$` is what nearly every state says: no copy then.
            Filter::Path(path) if *path == Path::whole() => Ok(data),
            Filter::Path(path) => self.select(field, path, &data).cloned(),
        }
    }

    pub(super) fn fill(&self, field: &str, template: &Template, data: &Value) -> Result<Value, Failure> {
        template.fill(data, self.context).map_err(|path| self.missing(field, path))
    }

    pub(super) fn quantity(&self, field: &str, quantity: &Quantity, data: &Value) -> Result<u64, Failure> {
        match quantity {
            Quantity::Fixed(number) => Ok(*number),
            Quantity::Path(path) => {
                let value = self.select(field, path, data)?;
                value.as_u64().filter(|number| *number <= 99_999_999).ok_or_else(|| {
                    Failure::runtime(format!(
                        "State '{}': {field} '{path}' is no whole number from 0 to 99999999: {value}",
                        self.state
                    ))
                })
            }
        }
    }

    pub(super) fn text(&self, field: &str, text: &Text, data: &Value) -> Result<String, Failure> {
        match text {
            Text::Fixed(text) => Ok(text.clone()),
            Text::Path(path) => {
                let value = self.select(field, path, data)?;
                value.as_str().map(str::to_owned).ok_or_else(|| {
                    Failure::runtime(format!(
                        "State '{}': {field} '{path}' is no string: {value}",
                        self.state
                    ))
                })
            }
        }
    }

    /// Puts a result in the raw input.
    pub(super) fn place(&self, way: &ResultPath, raw: Value, result: Value) -> Result<Value, Failure> {
        match way {
            ResultPath::Discard => Ok(raw),
            ResultPath::Fields(fields) => place(raw, fields, result).ok_or_else(|| {
                Failure::new(
                    "States.ResultPathMatchFailure",
                    format!(
                        "State '{}': $.{} leads through something that is no object",
                        self.state,
                        fields.join(".")
                    ),
                )
            }),
        }
    }

    /// Refuses data above the service's limit; gives its size.
    pub(super) fn weigh(&self, what: &str, data: &Value) -> Result<usize, Failure> {
        let size = size(data);
        if size <= MAX_STATE_BYTES {
            return Ok(size);
        }
        Err(Failure::new(
            "States.DataLimitExceeded",
            format!(
                "The state/task '{}' returned a result with a size exceeding the maximum number of bytes service \
                 limit: {what} of {size} bytes.",
                self.state
            ),
        ))
    }
}

/// Bytes of the data as compact JSON in UTF-8.
pub(super) fn size(data: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Neither the writer nor a JSON value can fail.
    let _ = serde_json::to_writer(&mut count, data);
    count.0
}
