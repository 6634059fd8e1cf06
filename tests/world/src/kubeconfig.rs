//! The kubeconfig of a person who may enter a cluster.

use serde_json::{Value, json};

use crate::aws::{eks, token};
use crate::{World, call};

impl World {
    /// A token for a cluster, as `aws eks get-token` would print it: good for a quarter of an hour.
    pub fn token(&self, cluster_id: &str) -> Option<String> {
        token::make(&mut self.state(), cluster_id)
    }

    /// Where a cluster's API server is, in process.
    pub fn api_server(&self, cluster_id: &str) -> Option<String> {
        let state = self.state();
        let hex_id = &state.clusters.get(cluster_id)?.hex_id;
        Some(format!("https://{}", eks::host(hex_id, &state.spec.region)))
    }

    /// A kubeconfig for a cluster that is served at this address, for this user (`{"token": ...}`, `{"exec": ...}`). JSON is
    /// YAML.
    pub fn kubeconfig(&self, cluster_id: &str, server: &str, user: &Value) -> Value {
        let cluster = json!({ "server": server, "certificate-authority-data": call::base64_of(self.ca_pem().as_bytes()) });
        json!({
            "apiVersion": "v1", "kind": "Config", "preferences": {},
            "clusters": [{ "name": cluster_id, "cluster": cluster }],
            "users": [{ "name": "a-person", "user": user }],
            "contexts": [{ "name": cluster_id, "context": { "cluster": cluster_id, "user": "a-person" } }],
            "current-context": cluster_id,
        })
    }
}
