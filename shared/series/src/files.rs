//! The files of a set: wide ones, a column a series, and long ones, with rows of several issues.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use guard_domain::judge::Series;

use crate::index::seconds;
use crate::{Pair, SetError};

/// Points of one series: Unix seconds and value; NaN where none stands.
pub type Points = Vec<(i64, f64)>;

/// One file, by issue (empty in a wide file) and column.
#[derive(Debug)]
struct File {
    series: HashMap<(String, String), Points>,
}

/// Files that were read once.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    read: HashMap<String, Rc<File>>,
}

impl Files {
    /// Of this folder.
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), read: HashMap::new() }
    }

    /// The history of a pair, from `history_start` on.
    pub fn history(&mut self, pair: &Pair) -> Result<Series, SetError> {
        self.series(pair, &pair.baseline_file.clone(), "", pair.history_start)
    }

    /// What follows its change.
    pub fn soak(&mut self, pair: &Pair) -> Result<Series, SetError> {
        self.series(pair, &pair.soak_file.clone(), &pair.issue.clone(), i64::MIN)
    }

    /// The shortest way from one point of a column to another, seconds.
    pub fn step(&mut self, name: &str, column: &str) -> Result<i64, SetError> {
        let file = self.file(name)?;
        let points =
            file.series.get(&(String::new(), column.to_owned())).ok_or_else(|| SetError::Column {
                pair: name.to_owned(),
                path: self.folder.join(name),
                column: column.to_owned(),
                issue: String::new(),
            })?;
        let mut times: Vec<i64> = points.iter().map(|(at, _)| *at).collect();
        times.sort_unstable();
        let shortest = times.windows(2).filter_map(|two| two[1].checked_sub(two[0])).filter(|d| *d > 0).min();
        shortest.ok_or_else(|| SetError::File {
            path: self.folder.join(name),
            cause: "there are no two points of different times: give the step".to_owned(),
        })
    }

    /// Times of the points that a column `label` of the pair's file marks with 1; none without such a column.
    pub fn labelled(&mut self, pair: &Pair) -> Result<Vec<i64>, SetError> {
        let file = self.file(&pair.baseline_file)?;
        let labels = file.series.get(&(String::new(), "label".to_owned()));
        let marked = labels.into_iter().flatten().filter(|(_, label)| (*label - 1.0).abs() < 0.5);
        Ok(marked.map(|(at, _)| *at).collect())
    }

    fn file(&mut self, name: &str) -> Result<Rc<File>, SetError> {
        if let Some(file) = self.read.get(name) {
            return Ok(Rc::clone(file));
        }
        let file = Rc::new(read(&self.folder.join(name))?);
        self.read.insert(name.to_owned(), Rc::clone(&file));
        Ok(file)
    }

    fn series(&mut self, pair: &Pair, name: &str, issue: &str, from: i64) -> Result<Series, SetError> {
        let path = self.folder.join(name);
        let file = self.file(name)?;
        let points =
            file.series.get(&(issue.to_owned(), pair.column.clone())).ok_or_else(|| SetError::Column {
                pair: pair.id.clone(),
                path: path.clone(),
                column: pair.column.clone(),
                issue: issue.to_owned(),
            })?;
        let points: Points = points.iter().copied().filter(|(at, _)| *at >= from).collect();
        Series::from_points(pair.step, &points).map_err(|source| SetError::Series {
            pair: pair.id.clone(),
            path,
            source,
        })
    }
}

fn read(path: &Path) -> Result<File, SetError> {
    let broken = |cause: String| SetError::File { path: path.to_owned(), cause };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|error| broken(error.to_string()))?;
    let header = reader.headers().map_err(|error| broken(error.to_string()))?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let Some(ts) = place("ts") else { return Err(broken("there is no column `ts`".into())) };
    let long = place("issue").zip(place("column")).zip(place("value"));
    let mut series: HashMap<(String, String), Points> = HashMap::new();
    let mut columns: Vec<Points> = vec![Points::new(); header.len()];
    for (record, row) in reader.records().zip(2u64..) {
        let record = record.map_err(|error| broken(error.to_string()))?;
        let text = |n: usize| record.get(n).unwrap_or_default();
        let at = seconds(text(ts))
            .ok_or_else(|| broken(format!("row {row}: ts is `{}`: expected Unix seconds", text(ts))))?;
        let value = |n: usize| match text(n) {
            "" | "nan" | "NaN" | "null" | "None" => Ok(f64::NAN),
            other => other.parse::<f64>().map_err(|_| broken(format!("row {row}: `{other}` is no number"))),
        };
        if let Some(((issue, column), n)) = long {
            let key = (text(issue).to_owned(), text(column).to_owned());
            series.entry(key).or_default().push((at, value(n)?));
        } else {
            for (n, points) in columns.iter_mut().enumerate().filter(|(n, _)| *n != ts) {
                points.push((at, value(n)?));
            }
        }
    }
    if long.is_none() {
        let named = header.iter().zip(columns).enumerate().filter(|(n, _)| *n != ts);
        series.extend(named.map(|(_, (name, points))| ((String::new(), name.to_owned()), points)));
    }
    Ok(File { series })
}
