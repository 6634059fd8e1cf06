//! The three queries.

use guard_tasks::TaskError;

/// One point a minute, in seconds.
pub(crate) const ROLLUP_SECONDS: i64 = 60;

/// Which of a cluster's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    Requests,
    Errors,
    LatencyP95,
}

/// The query for these clusters. Only the destination's side is asked: the source reports every request once more.
pub(crate) fn text(metric: Metric, clusters: &[String]) -> String {
    let code = if metric == Metric::Errors { &["response_code:5*"][..] } else { &[] };
    let filter = filter(&[&["reporter:destination"], code].concat(), clusters);
    let by = "by {kube_cluster_name}";
    match metric {
        Metric::Requests | Metric::Errors => {
            format!("sum:istio.mesh.request.count{{{filter}}} {by}.as_count().rollup(sum, {ROLLUP_SECONDS})")
        }
        Metric::LatencyP95 => {
            format!("p95:istio.mesh.request.duration.milliseconds{{{filter}}} {by}.rollup({ROLLUP_SECONDS})")
        }
    }
}

/// Tags, and these clusters.
pub(crate) fn filter(tags: &[&str], clusters: &[String]) -> String {
    let mut filters: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    filters.push(cluster_filter(clusters));
    // Datadog refuses a filter that mixes commas with words, and `IN` is a word.
    filters.join(if clusters.len() == 1 { "," } else { " AND " })
}

fn cluster_filter(clusters: &[String]) -> String {
    match clusters {
        [only] => format!("kube_cluster_name:{only}"),
        many => format!("kube_cluster_name IN ({})", many.join(",")),
    }
}

/// A tag value as Datadog keeps it: in lower case. One that would change the query's meaning is refused.
pub(crate) fn tag(raw: &str) -> Result<String, TaskError> {
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if raw.is_empty() || !raw.chars().all(is_allowed) {
        return Err(TaskError::rejected(format!(
            "datadog_tags.cluster `{}` is not a tag value: letters, digits, `-`, `_`, `.` and `/` are",
            guard_http::clip(raw)
        )));
    }
    Ok(raw.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queries_read_as_datadog_documents_them() {
        let (one, two) = (["a".to_owned()], ["a".to_owned(), "b".to_owned()]);
        let table = [
            (
                Metric::Requests,
                &one[..],
                "sum:istio.mesh.request.count{reporter:destination,kube_cluster_name:a} by {kube_cluster_name}.as_count().rollup(sum, 60)",
            ),
            (
                Metric::Errors,
                &one[..],
                "sum:istio.mesh.request.count{reporter:destination,response_code:5*,kube_cluster_name:a} by {kube_cluster_name}.as_count().rollup(sum, 60)",
            ),
            (
                Metric::Errors,
                &two[..],
                "sum:istio.mesh.request.count{reporter:destination AND response_code:5* AND kube_cluster_name IN (a,b)} by {kube_cluster_name}.as_count().rollup(sum, 60)",
            ),
            (
                Metric::LatencyP95,
                &two[..],
                "p95:istio.mesh.request.duration.milliseconds{reporter:destination AND kube_cluster_name IN (a,b)} by {kube_cluster_name}.rollup(60)",
            ),
        ];
        for (metric, clusters, expected) in table {
            assert_eq!(text(metric, clusters), expected);
        }
    }

    #[test]
    fn a_tag_cannot_change_the_query() {
        assert_eq!(tag("EKS-Prod_1").unwrap(), "eks-prod_1");
        for bad in ["", "a,b", "a} by {x", "a)", "a b", "*"] {
            assert!(tag(bad).is_err(), "{bad}");
        }
    }
}
