//! Labelled series: sets of window pairs as CSV, the rivals of the judge, and what each finds in a set.
//!
//! A set is a folder with an index, `INDEX.csv`; see [`Pair`] for its columns. Files are wide (`ts` and a column a series)
//! or long (`ts,issue,column,value`). Times are Unix seconds, gaps are empty fields.

mod error;
mod files;
mod index;
mod rivals;
mod rule;
mod tally;

pub use error::SetError;
pub use files::{Files, Points};
pub use index::{Label, Pair, read};
pub use rule::{
    Judged, NoRule, Rule, Windows, judge, judge_with, mann_whitney_of, metric_of, percent_of, worse,
};
pub use tally::{Counts, Part, Row, Said, Tally, tally};
