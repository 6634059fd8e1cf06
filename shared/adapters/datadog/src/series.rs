//! Time series, by cluster.

use std::collections::BTreeMap;

use guard_tasks::{ErrorName, TaskError};
use jiff::Timestamp;
use serde::Deserialize;

use crate::client::Client;

const PATH: &str = "/api/v1/query";
const LABEL: &str = "Datadog GET /api/v1/query";

/// Answer of `/api/v1/query`. Errors come with status 200.
#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: Option<String>,
    /// Absent only beside an error: without it there is no telling "no data" from "no answer".
    series: Option<Vec<Series>>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    scope: String,
    #[serde(default)]
    tag_set: Vec<String>,
    /// Seconds of a point.
    #[serde(default)]
    interval: f64,
    #[serde(default)]
    pointlist: Vec<(f64, Option<f64>)>,
}

/// Values of each cluster in the order of time, by tag value. A gap is no value; a cluster with gaps only is absent.
pub(crate) type ByCluster = BTreeMap<String, Vec<f64>>;

/// Points of each cluster as second and value, by tag value.
pub(crate) type PointsByCluster = BTreeMap<String, Vec<(i64, f64)>>;

/// The values of [`points`].
pub(crate) async fn read(
    client: &Client,
    query: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<ByCluster, TaskError> {
    let points = points(client, query, from, to, None).await?;
    let values = |points: Vec<(i64, f64)>| points.into_iter().map(|(_, value)| value).collect();
    Ok(points.into_iter().map(|(cluster, points)| (cluster, values(points))).collect())
}

/// The answer to one query over `from <= t < to`: a point at `to` belongs to the next window. Points that are coarser than
/// `step` seconds are refused: Datadog makes them so, and tells only in the answer, where it finds too many were asked for.
pub(crate) async fn points(
    client: &Client,
    query: &str,
    from: Timestamp,
    to: Timestamp,
    step: Option<i64>,
) -> Result<PointsByCluster, TaskError> {
    let (start, end) = (from.as_second(), to.as_second());
    let (from_text, to_text) = (start.to_string(), end.to_string());
    let parameters = [("from", from_text.as_str()), ("to", to_text.as_str()), ("query", query)];
    let answer: Answer = client.get(PATH, &parameters).await?;
    let series = match (answer.status.as_str(), answer.series) {
        ("ok", Some(series)) => series,
        ("error", _) => return Err(refused(&answer.error.unwrap_or_default()).context(LABEL)),
        (other, _) => {
            let text = format!("answered 200 with status `{}` and no series", guard_http::clip(other));
            return Err(TaskError::internal(text).context(LABEL));
        }
    };
    let mut found = PointsByCluster::new();
    for series in series {
        let cluster = cluster_of(&series)
            .ok_or_else(|| TaskError::internal("a series without kube_cluster_name").context(LABEL))?;
        // Seconds of a step are far below 2^52.
        #[expect(clippy::cast_precision_loss, reason = "seconds of a step fit a float's 52 bits")]
        if let Some(step) = step.filter(|step| series.interval > *step as f64) {
            let text = format!(
                "`{cluster}` was answered in points of {} seconds, {step} were asked for: ask for less time at once",
                series.interval
            );
            return Err(TaskError::internal(text).context(LABEL));
        }
        let inside = series.pointlist.iter().filter(|(milliseconds, _)| {
            let second = milliseconds / 1000.0;
            // Both are far below 2^52, where every whole second is exact.
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a float's 52 bits")]
            let (start, end) = (start as f64, end as f64);
            second >= start && second < end
        });
        #[expect(clippy::cast_possible_truncation, reason = "inside of the asked seconds")]
        let measured: Vec<(i64, f64)> = inside
            .filter_map(|(milliseconds, value)| Some(((milliseconds / 1000.0) as i64, (*value)?)))
            .filter(|(_, value)| value.is_finite())
            .collect();
        if !measured.is_empty() {
            found.entry(cluster).or_default().extend(measured);
        }
    }
    Ok(found)
}

/// `status: error` with HTTP 200: a query that Datadog cannot parse, or a back end that failed. Only the text tells.
fn refused(text: &str) -> TaskError {
    let lower = text.to_lowercase();
    let name = if lower.contains("rate limit") {
        ErrorName::Throttled
    } else if ["timeout", "timed out", "unavailable", "try again"].iter().any(|sign| lower.contains(sign)) {
        ErrorName::Transient
    } else {
        ErrorName::Rejected
    };
    TaskError::new(name, format!("answered 200 with status `error`: {}", guard_http::clip(text)))
}

fn cluster_of(series: &Series) -> Option<String> {
    series
        .tag_set
        .iter()
        .map(String::as_str)
        .chain(series.scope.split(','))
        .find_map(|tag| tag.trim().strip_prefix("kube_cluster_name:"))
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_inside_a_success_are_named_by_their_text() {
        let table = [
            ("Rate limit of 300 requests exceeded", ErrorName::Throttled),
            ("Query timed out, please try again", ErrorName::Transient),
            ("Error parsing query: unable to parse", ErrorName::Rejected),
            ("", ErrorName::Rejected),
        ];
        for (text, name) in table {
            assert_eq!(refused(text).name, name, "{text}");
        }
    }

    #[test]
    fn the_cluster_is_in_the_tags_or_in_the_scope() {
        let series = |scope: &str, tags: &[&str]| Series {
            scope: scope.to_owned(),
            tag_set: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            interval: 60.0,
            pointlist: Vec::new(),
        };
        assert_eq!(cluster_of(&series("", &["kube_cluster_name:A"])).as_deref(), Some("a"));
        let scope = "reporter:destination,kube_cluster_name:b";
        assert_eq!(cluster_of(&series(scope, &[])).as_deref(), Some("b"));
        assert_eq!(cluster_of(&series("*", &[])), None);
    }
}
