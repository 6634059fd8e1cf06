//! The query language, as far as GUARD speaks it.

use serde_json::{Value, json};

use super::errors;
use super::series::{self, Metric};
use crate::call::{self, Answer, Call};
use crate::cluster::Cluster;
use crate::state::State;

/// Datadog answers with no more points than this for each series, and makes them coarser where more were asked for.
const MOST_POINTS: i64 = 1_500;

/// How values of clusters or minutes come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregator {
    Sum,
    Average,
    Max,
    Min,
    /// p50, p95, p99.
    Percentile(u8),
}

/// One parsed query.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) aggregator: Aggregator,
    pub(crate) metric: String,
    /// Each tag with the values allowed; the flag is a negation.
    pub(crate) filters: Vec<(String, Vec<String>, bool)>,
    pub(crate) group_by: Option<String>,
    pub(crate) as_count: bool,
    /// How minutes come together inside one interval.
    pub(crate) rollup: Option<Aggregator>,
    pub(crate) interval: i64,
    /// The text between the braces.
    scope: String,
}

fn aggregator(name: &str) -> Option<Aggregator> {
    Some(match name {
        "sum" => Aggregator::Sum,
        "avg" => Aggregator::Average,
        "max" => Aggregator::Max,
        "min" => Aggregator::Min,
        "p50" => Aggregator::Percentile(50),
        "p75" => Aggregator::Percentile(75),
        "p90" => Aggregator::Percentile(90),
        "p95" => Aggregator::Percentile(95),
        "p99" => Aggregator::Percentile(99),
        _ => return None,
    })
}

/// Reads `agg:metric{filters} by {tag}.as_count().rollup(sum, 60)`.
pub(crate) fn parse(text: &str) -> Option<Query> {
    let (name, rest) = text.trim().split_once(':')?;
    let aggregator = aggregator(name.trim())?;
    let (metric, rest) = rest.split_once('{')?;
    let (scope, rest) = rest.split_once('}')?;
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    if metric.is_empty() || !metric.chars().all(legal) {
        return None;
    }
    let mut query = Query {
        aggregator,
        metric: metric.to_owned(),
        filters: filters(scope)?,
        group_by: None,
        as_count: false,
        rollup: None,
        interval: 60,
        scope: scope.trim().to_owned(),
    };
    let mut rest = rest.trim();
    if let Some(after) = rest.strip_prefix("by") {
        let (tag, after) = after.trim_start().strip_prefix('{')?.split_once('}')?;
        query.group_by = Some(tag.trim().to_owned());
        rest = after.trim();
    }
    while let Some(after) = rest.strip_prefix('.') {
        let (function, after) = after.split_once('(')?;
        let (arguments, after) = after.split_once(')')?;
        match function {
            "as_count" => query.as_count = true,
            "as_rate" => query.as_count = false,
            "rollup" => {
                for argument in arguments.split(',').map(str::trim) {
                    match argument.parse::<i64>() {
                        Ok(seconds) if seconds >= 1 => query.interval = seconds.max(60),
                        Ok(_) => return None,
                        Err(_) => query.rollup = Some(self::aggregator(argument)?),
                    }
                }
            }
            _ => return None,
        }
        rest = after.trim();
    }
    rest.is_empty().then_some(query)
}

/// Splits at commas and at `AND`, but not inside parentheses.
fn filters(scope: &str) -> Option<Vec<(String, Vec<String>, bool)>> {
    let mut parts = vec![String::new()];
    let mut depth = 0_i32;
    for word in scope.replace(" AND ", ",").replace(" and ", ",").chars() {
        match word {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if word == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(word);
        }
    }
    if depth != 0 {
        return None;
    }
    let mut found = Vec::new();
    for part in parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty() && *part != "*") {
        let (part, negated) = part.strip_prefix(['!', '-']).map_or((part, false), |rest| (rest, true));
        if let Some((tag, values)) = part.split_once(" IN ").or_else(|| part.split_once(" in ")) {
            let (tag, not) = tag.trim().strip_suffix(" NOT").map_or((tag.trim(), false), |tag| (tag, true));
            let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
            found.push((
                tag.to_owned(),
                values.split(',').map(|v| v.trim().to_owned()).collect(),
                negated || not,
            ));
        } else {
            let (tag, value) = part.split_once(':')?;
            found.push((tag.trim().to_owned(), vec![value.trim().to_owned()], negated));
        }
    }
    Some(found)
}

impl Query {
    /// Whether the filters on a tag let this value through.
    pub(crate) fn allows(&self, tag: &str, value: &str) -> bool {
        self.filters.iter().filter(|(name, _, _)| name == tag).all(|(_, wanted, negated)| {
            let hit = wanted.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => value.starts_with(start),
                None => pattern == value,
            });
            hit != *negated
        })
    }

    /// Whether a filter names this tag.
    pub(crate) fn names(&self, tag: &str) -> bool {
        self.filters.iter().any(|(name, _, _)| name == tag)
    }

    fn selects(&self, cluster: &Cluster) -> bool {
        const KNOWN: [&str; 8] = [
            "kube_container_name",
            "kube_cluster_name",
            "cluster_name",
            "env",
            "reporter",
            "response_code",
            "kube_namespace",
            "service",
        ];
        // A tag no metric carries selects nothing, as in Datadog.
        self.filters.iter().all(|(tag, _, negated)| *negated || KNOWN.contains(&tag.as_str()))
            && self.allows("kube_cluster_name", &cluster.spec.datadog_cluster_tag)
            && self.allows("cluster_name", &cluster.spec.datadog_cluster_tag)
            && self.allows("env", &cluster.spec.environment)
            && cluster.reports(&self.metric)
    }
}

pub(super) fn answer(state: &State, call: &Call) -> Answer {
    let (Some(from), Some(to)) = (call.number("from"), call.number("to")) else {
        return errors(400, "Missing required params 'from' and 'to'");
    };
    let Some(text) = call.get("query") else { return errors(400, "Missing required param 'query'") };
    if from >= to || from < 0 {
        return errors(400, "'from' must be before 'to'");
    }
    let mut all = Vec::new();
    for text in split(text) {
        let Some(mut query) = parse(&text) else {
            return errors(400, &format!("Rule 'scope_expr' didn't match at '{text}'."));
        };
        let finest = to
            .saturating_sub(from)
            .div_euclid(MOST_POINTS)
            .div_euclid(60)
            .saturating_add(1)
            .saturating_mul(60);
        if to.saturating_sub(from) / query.interval > MOST_POINTS {
            query.interval = finest;
        }
        all.extend(run(state, &query, &text, from, to));
    }
    call::json(
        200,
        &json!({
            "status": "ok",
            "res_type": "time_series",
            "resp_version": 1,
            "query": text,
            "from_date": from.saturating_mul(1000),
            "to_date": to.saturating_mul(1000),
            "series": all,
            "values": [],
            "times": [],
            "message": "",
            "group_by": [],
        }),
    )
}

/// Several queries in one, apart by commas outside of braces and parentheses.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_i32;
    for letter in text.chars() {
        match letter {
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            _ => {}
        }
        if letter == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(letter);
        }
    }
    parts
}

fn run(state: &State, query: &Query, text: &str, from: i64, to: i64) -> Vec<Value> {
    let Some(metric) = Metric::of(query) else { return Vec::new() };
    let selected: Vec<&Cluster> = state.clusters.values().filter(|cluster| query.selects(cluster)).collect();
    let mut groups: Vec<(Option<String>, Vec<&Cluster>)> = Vec::new();
    match query.group_by.as_deref() {
        None => groups.push((None, selected)),
        Some(tag) => {
            for cluster in selected {
                let value = match tag {
                    "kube_cluster_name" | "cluster_name" => cluster.spec.datadog_cluster_tag.as_str(),
                    "env" => cluster.spec.environment.as_str(),
                    _ => "N/A",
                };
                let name = format!("{tag}:{value}");
                match groups.iter_mut().find(|(known, _)| known.as_deref() == Some(&name)) {
                    Some((_, members)) => members.push(cluster),
                    None => groups.push((Some(name), vec![cluster])),
                }
            }
        }
    }
    let whole = |name: Option<String>, members: Vec<&Cluster>| {
        let points = series::points(state, query, &metric, &members, from, to);
        // A series without any value does not exist.
        points.iter().any(|point| !point[1].is_null()).then(|| {
            json!({
                "metric": query.metric,
                "display_name": query.metric,
                "expression": text.trim(),
                "scope": name.as_deref().unwrap_or(&query.scope),
                "tag_set": name.as_slice(),
                "interval": query.interval,
                "length": points.len(),
                "start": from.saturating_mul(1000),
                "end": to.saturating_mul(1000).saturating_sub(1),
                "aggr": format!("{:?}", query.aggregator).to_lowercase(),
                "unit": [null, null],
                "query_index": 0,
                "attributes": {},
                "pointlist": points,
            })
        })
    };
    groups.into_iter().filter_map(|(name, members)| whole(name, members)).collect()
}
