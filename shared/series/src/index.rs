//! INDEX.csv: one row a pair of windows, before and after a change.

use std::collections::HashMap;
use std::path::Path;

use guard_domain::judge::{BadDirection, MetricKind, Times};

use crate::SetError;

/// What is known of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// Nothing was changed: a FAIL is a false rollback.
    NoChange,
    /// Something broke: a PASS is a miss.
    Regression,
}

/// One row. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Its name.
    pub id: String,
    /// What is known of it.
    pub label: Label,
    /// Which part of the set it belongs to.
    pub split: String,
    /// Column of both files.
    pub column: String,
    /// As the index calls it.
    pub kind_name: String,
    /// Where the series was published.
    pub source: String,
    /// What it measures.
    pub kind: MetricKind,
    /// Which direction is bad.
    pub bad: BadDirection,
    /// A share in percent rather than from 0 to 1.
    pub is_percent: bool,
    /// Seconds from one point to the next.
    pub step: i64,
    /// File of the history and the baseline, from the folder of the set.
    pub baseline_file: String,
    /// File of the soak.
    pub soak_file: String,
    /// Which rows of the soak's file; empty for all.
    pub issue: String,
    /// From when on the history counts.
    pub history_start: i64,
    /// Where the baseline begins.
    pub baseline_start: i64,
    /// Change, settled and end of the soak. The change is where the baseline ends.
    pub times: Times,
    /// Multiplying the soak is a kind of regression that could be.
    pub injectable: bool,
}

impl Pair {
    /// The record is of another time than the soak: levels just before the change are not to be had.
    pub fn is_of_another_time(&self) -> bool {
        self.baseline_file != self.soak_file || !self.issue.is_empty()
    }
}

/// Reads an index.
pub fn read(path: &Path) -> Result<Vec<Pair>, SetError> {
    let broken = |error: csv::Error| SetError::File { path: path.to_owned(), cause: error.to_string() };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(broken)?;
    let header = reader.headers().map_err(broken)?.clone();
    let columns: HashMap<&str, usize> = header.iter().zip(0..).collect();
    let needed = [
        "pair_id",
        "set",
        "metric_kind",
        "column",
        "step_s",
        "bad_direction",
        "history_start",
        "change_ts",
        "soak_end",
    ];
    for column in needed {
        if !columns.contains_key(column) {
            return Err(SetError::IndexColumn { path: path.to_owned(), column });
        }
    }
    if !columns.contains_key("file") && !columns.contains_key("baseline_file") {
        return Err(SetError::IndexColumn { path: path.to_owned(), column: "file" });
    }
    reader
        .records()
        .map(|record| pair(&Row { record: &record.map_err(broken)?, columns: &columns }))
        .collect()
}

struct Row<'a> {
    record: &'a csv::StringRecord,
    columns: &'a HashMap<&'a str, usize>,
}

impl Row<'_> {
    fn text(&self, column: &str) -> &str {
        self.columns.get(column).and_then(|n| self.record.get(*n)).unwrap_or_default()
    }

    /// The first of these columns that says something.
    fn first(&self, columns: &[&str]) -> &str {
        columns.iter().map(|column| self.text(column)).find(|text| !text.is_empty()).unwrap_or_default()
    }

    fn wrong(&self, column: &'static str, wanted: &'static str) -> SetError {
        let value = self.text(column).to_owned();
        SetError::Value { pair: self.text("pair_id").to_owned(), column, value, wanted }
    }

    fn seconds(&self, column: &'static str) -> Result<Option<i64>, SetError> {
        match self.text(column) {
            "" => Ok(None),
            text => seconds(text).map(Some).ok_or_else(|| self.wrong(column, "expected Unix seconds")),
        }
    }

    fn needed(&self, column: &'static str) -> Result<i64, SetError> {
        self.seconds(column)?.ok_or_else(|| self.wrong(column, "expected Unix seconds"))
    }
}

/// A whole number, or a number with a fraction that is dropped.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| {
        let value: f64 = text.parse().ok()?;
        #[expect(clippy::cast_possible_truncation, reason = "checked to be a time")]
        (value.abs() < 1e12).then(|| value.floor() as i64)
    })
}

fn pair(row: &Row<'_>) -> Result<Pair, SetError> {
    let label = match row.text("set") {
        "no_change" => Label::NoChange,
        "regression" => Label::Regression,
        _ => return Err(row.wrong("set", "expected no_change or regression")),
    };
    let bad = match row.text("bad_direction") {
        "up" => BadDirection::Up,
        "down" => BadDirection::Down,
        "both" | "" => BadDirection::Both,
        _ => return Err(row.wrong("bad_direction", "expected up, down or both")),
    };
    let change = row.needed("change_ts")?;
    let baseline_file = row.first(&["baseline_file", "file"]).to_owned();
    let soak_file = row.first(&["soak_file", "file", "baseline_file"]).to_owned();
    let issue = row.text("issue").to_owned();
    let is_of_another_time = baseline_file != soak_file || !issue.is_empty();
    // Where both are of one time, the change ends the baseline at the latest.
    let baseline_end = row.seconds("baseline_end")?.unwrap_or(change);
    let end = if is_of_another_time { baseline_end } else { baseline_end.min(change) };
    let step = row.needed("step_s")?;
    if step <= 0 {
        return Err(row.wrong("step_s", "expected a number of seconds"));
    }
    let until = row.needed("soak_end")?;
    if until <= change {
        return Err(row.wrong("soak_end", "expected a time after change_ts"));
    }
    let history_start = row.needed("history_start")?;
    Ok(Pair {
        id: row.text("pair_id").to_owned(),
        label,
        split: row.text("split").to_owned(),
        column: row.text("column").to_owned(),
        kind_name: row.text("metric_kind").to_owned(),
        source: row.text("source").to_owned(),
        kind: kind(row.text("metric_kind"), row.text("unit")),
        bad,
        is_percent: row.text("unit") == "percent",
        step,
        baseline_file,
        soak_file,
        issue,
        history_start,
        baseline_start: row.seconds("baseline_start")?.unwrap_or(history_start),
        times: Times { change: end, settled: row.seconds("settled_ts")?.unwrap_or(change), until },
        injectable: row.text("injectable") == "yes",
    })
}

/// What a name of an index measures. Of what it does not know, and of z-values, the series itself tells.
fn kind(name: &str, unit: &str) -> MetricKind {
    match name {
        _ if unit.starts_with("z-") => MetricKind::Other,
        "latency" | "duration" => MetricKind::Latency,
        "success_rate" | "error_rate" | "availability" => MetricKind::ErrorRate,
        "throughput" | "requests" => MetricKind::Throughput,
        "saturation" | "resource" | "cpu" | "memory" => MetricKind::Resource,
        _ => MetricKind::Other,
    }
}
