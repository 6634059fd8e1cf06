//! A Datadog that answers what a test wants, and remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use guard_datadog::Datadog;
use guard_domain::ClusterRecord;
use guard_http::{Call, TransportError};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

pub(crate) type Answer = Result<http::Response<Bytes>, TransportError>;

/// What a call asked for, decoded.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) call: Call,
}

impl Asked {
    fn of(call: Call) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let query = call.request.uri().query().unwrap_or_default();
        Self {
            path: call.request.uri().path().to_owned(),
            query: query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
            call,
        }
    }

    /// The metrics query.
    pub(crate) fn metric(&self) -> &str {
        self.query.get("query").map_or("", String::as_str)
    }
}

pub(crate) struct World {
    pub(crate) datadog: Datadog,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl World {
    pub(crate) fn new(answer: impl Fn(&Asked) -> http::Response<Bytes> + Send + Sync + 'static) -> Self {
        Self::with(move |asked| Ok(answer(asked)))
    }

    /// A Datadog that may also stay silent.
    pub(crate) fn with(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        let transport = move |call: Call| {
            let asked = Asked::of(call);
            record.lock().unwrap().push(asked.clone());
            answer(&asked)
        };
        let datadog =
            Datadog::new(Arc::new(transport), "datadoghq.eu", "hush-api".into(), "hush-application".into());
        Self { datadog, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) fn ok(body: &Value) -> http::Response<Bytes> {
    status(200, &[], &body.to_string())
}

pub(crate) fn status(code: u16, headers: &[(&str, &str)], body: &str) -> http::Response<Bytes> {
    let response = headers.iter().fold(http::Response::builder().status(code), |response, (name, value)| {
        response.header(*name, *value)
    });
    response.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

/// One cluster's series.
pub(crate) fn series(cluster: &str, points: &[(i64, Option<f64>)]) -> Value {
    let points: Vec<Value> = points.iter().map(|(second, value)| json!([second * 1000, value])).collect();
    json!({
        "metric": "m", "scope": format!("kube_cluster_name:{cluster},reporter:destination"), "interval": 60,
        "tag_set": [format!("kube_cluster_name:{cluster}")], "pointlist": points, "unit": null, "new_field": {}
    })
}

pub(crate) fn all(series: &[Value]) -> http::Response<Bytes> {
    ok(&json!({"status": "ok", "res_type": "time_series", "series": series}))
}

pub(crate) fn row(id: &str) -> ClusterRecord {
    serde_json::from_value(json!({
        "cluster_id": id, "batch_id": "test", "environment": "test", "region": "eu-west-1",
        "gitlab_repo": "g/p", "flux_config_path": "clusters/eks-1", "aws_role_arn": "arn",
        "current_istio_version": "1.29.3", "datadog_tags": {"cluster": id, "env": "test"},
        "owner_team": "t", "owner_handle": "h", "last_updated": "2026-11-01T00:00:00Z"
    }))
    .unwrap()
}
