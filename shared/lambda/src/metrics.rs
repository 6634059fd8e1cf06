//! Metrics: lines of CloudWatch's embedded metric format on standard output, between the log's.
//!
//! A task knows of none: what is counted follows from its name, what it was asked and what it answered. docs/logging.md
//! lists them.

mod measure;

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use guard_tasks::Clock as _;
use serde_json::{Map, Value, json};

pub(crate) use measure::{Asked, measure};

use crate::SystemClock;

/// Where all of them are found.
pub(crate) const NAMESPACE: &str = "GUARD";

/// The first dimension of each: it keeps two installations in one account apart, as it does in the metrics of Lambda.
const FUNCTION: &str = "FunctionName";

/// The unit of a value, as CloudWatch spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Count,
    None,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Milliseconds => "Milliseconds",
            Self::Count => "Count",
            Self::None => "None",
        }
    }
}

/// One value, by dimensions of few values each: every combination is a metric that is paid for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measurement {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) value: u64,
    pub(crate) dimensions: Vec<(&'static str, String)>,
}

impl Measurement {
    pub(crate) fn count(name: &'static str, value: u64, dimensions: &[(&'static str, &str)]) -> Self {
        let dimensions = dimensions.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { name, unit: Unit::Count, value, dimensions }
    }

    /// The line. `beside` can be searched for in the log and is no dimension.
    fn line(&self, function_name: &str, at_ms: i64, beside: &Map<String, Value>) -> Value {
        let own = self.dimensions.iter().map(|(name, value)| (*name, value.as_str()));
        let dimensions: Vec<(&str, &str)> = [(FUNCTION, function_name)].into_iter().chain(own).collect();
        let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
        let metric = json!({"Name": self.name, "Unit": self.unit.as_str()});
        let directive = json!({"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": [metric]});
        let mut line = beside.clone();
        line.insert("_aws".to_owned(), json!({"Timestamp": at_ms, "CloudWatchMetrics": [directive]}));
        for (name, value) in dimensions {
            line.insert(name.to_owned(), Value::from(value));
        }
        line.insert(self.name.to_owned(), Value::from(self.value));
        Value::Object(line)
    }
}

/// Writes measurements.
#[derive(Clone)]
pub(crate) struct Metrics {
    function_name: String,
    write: Arc<dyn Fn(&Value) + Send + Sync>,
}

impl Metrics {
    /// On standard output, whatever the log's level is.
    pub(crate) fn on_stdout(function_name: &str) -> Self {
        // A line that cannot be written has nobody to tell.
        Self::to(function_name, |line| _ = writeln!(std::io::stdout().lock(), "{line}"))
    }

    pub(crate) fn to(function_name: &str, write: impl Fn(&Value) + Send + Sync + 'static) -> Self {
        // A dimension must not be empty: without settings the function's name is not known.
        let name = if function_name.is_empty() { "unknown" } else { function_name };
        Self { function_name: name.to_owned(), write: Arc::new(write) }
    }

    pub(crate) fn write(&self, measurements: &[Measurement], beside: &Map<String, Value>) {
        let at_ms = SystemClock.now().as_millisecond();
        for measurement in measurements {
            (self.write)(&measurement.line(&self.function_name, at_ms, beside));
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules of the embedded metric format's specification that CloudWatch checks silently: a line that breaks one
    /// is kept as a log line and counted nowhere.
    fn broken_rules(line: &Value) -> Vec<String> {
        const UNITS: [&str; 27] = [
            "Seconds",
            "Microseconds",
            "Milliseconds",
            "Bytes",
            "Kilobytes",
            "Megabytes",
            "Gigabytes",
            "Terabytes",
            "Bits",
            "Kilobits",
            "Megabits",
            "Gigabits",
            "Terabits",
            "Percent",
            "Count",
            "Bytes/Second",
            "Kilobytes/Second",
            "Megabytes/Second",
            "Gigabytes/Second",
            "Terabytes/Second",
            "Bits/Second",
            "Kilobits/Second",
            "Megabits/Second",
            "Gigabits/Second",
            "Terabits/Second",
            "Count/Second",
            "None",
        ];
        let mut broken = Vec::new();
        let mut rule = |holds: bool, words: &str| {
            if !holds {
                broken.push(words.to_owned());
            }
        };
        let text = |value: &Value, longest: usize| {
            value.as_str().is_some_and(|text| (1..=longest).contains(&text.chars().count()))
        };
        rule(line["_aws"]["Timestamp"].as_i64().is_some_and(|at| at > 0), "Timestamp is milliseconds");
        let empty = Vec::new();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap_or(&empty);
        rule(!directives.is_empty(), "CloudWatchMetrics is a list");
        for directive in directives {
            rule(text(&directive["Namespace"], 255), "Namespace is a text");
            let sets = list(&directive["Dimensions"]);
            rule(!sets.is_empty(), "Dimensions is a list of lists");
            for set in sets {
                rule(list(&set).len() <= 30, "at most 30 dimensions");
                for name in list(&set) {
                    rule(text(&name, 250), "a dimension has a name");
                    let value = &line[name.as_str().unwrap_or_default()];
                    rule(text(value, 1024), "a dimension is a text beside _aws");
                }
            }
            let metrics = list(&directive["Metrics"]);
            rule((1..=100).contains(&metrics.len()), "1 to 100 metrics");
            for metric in metrics {
                rule(text(&metric["Name"], 1024), "a metric has a name");
                rule(metric["Unit"].as_str().is_some_and(|unit| UNITS.contains(&unit)), "a known unit");
                let value = &line[metric["Name"].as_str().unwrap_or_default()];
                rule(value.is_number(), "a metric is a number beside _aws");
            }
        }
        broken
    }

    #[test]
    fn a_line_keeps_the_formats_rules() {
        let beside = Map::from_iter([("execution.name".to_owned(), json!("run-1"))]);
        for dimensions in
            [&[][..], &[("Outcome", "healthy")][..], &[("Gate", "soak"), ("Verdict", "fail")][..]]
        {
            let measurement = Measurement::count("Verdicts", 3, dimensions);
            let line = measurement.line("guard-decide", 1_790_000_000_000, &beside);
            assert_eq!(broken_rules(&line), Vec::<String>::new(), "{line}");
            assert_eq!((&line["Verdicts"], &line["execution.name"]), (&json!(3), &json!("run-1")));
            assert_eq!(line["FunctionName"], "guard-decide");
            assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0][0], "FunctionName");
        }
    }

    #[test]
    fn the_rules_notice_what_breaks_them() {
        let good =
            Measurement::count("Verdicts", 3, &[("Gate", "soak")]).line("guard-decide", 1, &Map::new());
        let breaks = |pointer: &str, value: Value| {
            let mut line = good.clone();
            *line.pointer_mut(pointer).unwrap() = value;
            broken_rules(&line).join("; ")
        };
        for (pointer, value, words) in [
            ("/_aws/Timestamp", json!("now"), "Timestamp"),
            ("/_aws/CloudWatchMetrics/0/Namespace", json!(""), "Namespace"),
            ("/_aws/CloudWatchMetrics/0/Dimensions", json!([]), "list of lists"),
            ("/_aws/CloudWatchMetrics/0/Metrics/0/Unit", json!("Minutes"), "known unit"),
            ("/Gate", json!(7), "dimension is a text"),
            ("/Verdicts", json!("3"), "metric is a number"),
        ] {
            let broken = breaks(pointer, value);
            assert!(broken.contains(words), "{pointer}: {broken}");
        }
    }
}
