//! The form of a log line: flat, so that a query names `run_id` and not a path into nested spans.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Time, level, message and place, then the fields of the event, then those of its spans from the outside in.
pub(crate) struct LogLine;

impl<S, N> FormatEvent<S, N> for LogLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;

        let mut line = Line(Map::new());
        line.put("timestamp", timestamp);
        line.put("level", metadata.level().as_str());
        line.put("message", "");
        event.record(&mut line);
        if let (Some(file), Some(number)) = (metadata.file(), metadata.line()) {
            line.put("location", format!("{file}:{number}"));
        }
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            // The span's fields are JSON already: that is what `JsonFields` makes of them.
            let extensions = span.extensions();
            let fields =
                extensions.get::<FormattedFields<N>>().map_or("{}", |formatted| formatted.fields.as_str());
            for (name, value) in serde_json::from_str::<Map<String, Value>>(fields).unwrap_or_default() {
                line.put(&name, value);
            }
        }
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

struct Line(Map<String, Value>);

impl Line {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
}
