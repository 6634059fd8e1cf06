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
    #[serde(default)]
    pointlist: Vec<(f64, Option<f64>)>,
}

/// Values of each cluster in the order of time, by tag value. A gap is no value; a cluster with gaps only is absent.
pub(crate) type ByCluster = BTreeMap<String, Vec<f64>>;

/// The answer to one query over `from <= t < to`: a point at `to` belongs to the next window.
pub(crate) async fn read(
    client: &Client,
    query: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<ByCluster, TaskError> {
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
    let mut values = ByCluster::new();
    for series in series {
        let cluster = cluster_of(&series)
            .ok_or_else(|| TaskError::internal("a series without kube_cluster_name").context(LABEL))?;
        let inside = series.pointlist.iter().filter(|(milliseconds, _)| {
            let second = milliseconds / 1000.0;
            // Both are far below 2^52, where every whole second is exact.
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a float's 52 bits")]
            let (start, end) = (start as f64, end as f64);
            second >= start && second < end
        });
        let measured: Vec<f64> =
            inside.filter_map(|(_, value)| *value).filter(|value| value.is_finite()).collect();
        if !measured.is_empty() {
            values.entry(cluster).or_default().extend(measured);
        }
    }
    Ok(values)
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
            pointlist: Vec::new(),
        };
        assert_eq!(cluster_of(&series("", &["kube_cluster_name:A"])).as_deref(), Some("a"));
        let scope = "reporter:destination,kube_cluster_name:b";
        assert_eq!(cluster_of(&series(scope, &[])).as_deref(), Some("b"));
        assert_eq!(cluster_of(&series("*", &[])), None);
    }
}
