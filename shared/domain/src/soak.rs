//! Is each cluster of a batch as well with the new version as it was before?
//!
//! The judge of [`crate::judge`] says what one metric shows. Here is what a soak is judged by, what of it is tolerable, and
//! how metrics, clusters, and clusters that were not upgraded come together to a verdict for each cluster. Silence is never
//! a pass.

mod batch;
mod cluster;
mod early;
mod errors;
mod metric;
mod prospect;
mod together;

pub use crate::judge::{SoakOutcome, SoakVerdict};
pub use batch::{Moment, Soaked, judge};
pub use metric::{EARLY_DAYS, HISTORY_DAYS, MetricHistory, STEP, SoakMetric, next_point};
pub use prospect::{Prospect, prospect};

#[cfg(test)]
mod tests;
