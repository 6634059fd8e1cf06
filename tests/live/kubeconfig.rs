//! A cluster as a kubeconfig names it, for those who have no role to assume.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use guard_domain::ClusterRecord;
use guard_http::cluster_access::{ACTIVE, Access, ApiServer, ClusterAccess};
use guard_tasks::TaskError;
use serde_json::Value;

/// Address, authority and token of one context.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) endpoint: String,
    pub(crate) ca_pem: Arc<str>,
    pub(crate) token: String,
}

impl Context {
    /// Of the first file of the list. A user proves itself with a token or by a command that prints one; whoever needs a
    /// client certificate is told so.
    pub(crate) fn read(files: &str, name: &str) -> Result<Self, String> {
        let path = files.split(':').find(|path| !path.is_empty()).ok_or("KUBECONFIG names no file")?;
        let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        let document: Value = serde_saphyr::from_str(&text).map_err(|_| format!("{path}: not YAML"))?;
        Self::of(&document, name).map_err(|problem| format!("{path}: {problem}"))
    }

    fn of(document: &Value, name: &str) -> Result<Self, String> {
        let context = &named(document, "contexts", name)?["context"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let cluster = &named(document, "clusters", &text(&context["cluster"]))?["cluster"];
        let user = &named(document, "users", &text(&context["user"]))?["user"];
        let ca = match (&cluster["certificate-authority-data"], &cluster["certificate-authority"]) {
            (Value::String(data), _) => BASE64_STANDARD.decode(data).map_err(|error| error.to_string())?,
            (_, Value::String(path)) => std::fs::read(Path::new(path)).map_err(|error| error.to_string())?,
            _ => return Err(format!("context {name} names no certificate authority")),
        };
        let ca = String::from_utf8(ca).map_err(|_| "the certificate authority is no PEM".to_owned())?;
        let token = match (&user["token"], &user["exec"]) {
            (Value::String(token), _) => token.clone(),
            (_, exec @ Value::Object(_)) => printed(exec)?,
            _ => return Err(format!("the user of context {name} has neither a token nor a command for one")),
        };
        Ok(Self { endpoint: text(&cluster["server"]), ca_pem: ca.into(), token })
    }
}

fn named<'a>(document: &'a Value, list: &str, name: &str) -> Result<&'a Value, String> {
    let entries = document[list].as_array().into_iter().flatten();
    entries.into_iter().find(|entry| entry["name"] == name).ok_or_else(|| format!("{list} has no `{name}`"))
}

/// The token of an ExecCredential, as `aws eks get-token` prints it.
fn printed(exec: &Value) -> Result<String, String> {
    let program = exec["command"].as_str().unwrap_or_default();
    let words = exec["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let variables = exec["env"].as_array().into_iter().flatten();
    let variables = variables.filter_map(|pair| Some((pair["name"].as_str()?, pair["value"].as_str()?)));
    let output = Command::new(program)
        .args(words)
        .envs(variables)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    // What the command printed may hold the token: only its name is told.
    let credential: Value =
        serde_json::from_slice(&output.stdout).map_err(|_| format!("{program} printed no credential"))?;
    let token = credential.pointer("/status/token").and_then(Value::as_str);
    token.map(str::to_owned).ok_or_else(|| format!("{program} printed no token"))
}

#[async_trait]
impl ClusterAccess for Context {
    async fn access(&self, _: &ClusterRecord) -> Result<Access, TaskError> {
        let server = ApiServer {
            endpoint: self.endpoint.clone(),
            ca_pem: Arc::clone(&self.ca_pem),
            token: self.token.clone().into(),
        };
        Ok(Access {
            eks_status: ACTIVE.into(),
            kubernetes_version: String::new(),
            health_issues: Vec::new(),
            api_server: Some(server),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(user: &Value) -> Value {
        json!({
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {
                "server": "https://127.0.0.1:6443", "certificate-authority-data": BASE64_STANDARD.encode("PEM")
            }}],
            "users": [{"name": "u", "user": user}],
        })
    }

    #[test]
    fn a_token_is_given_or_printed() {
        let given = Context::of(&document(&json!({"token": "t"})), "c").unwrap();
        assert_eq!(
            (given.endpoint.as_str(), &*given.ca_pem, given.token.as_str()),
            ("https://127.0.0.1:6443", "PEM", "t")
        );
        let exec = json!({"exec": {
            "command": "sh", "args": ["-c", "printf '{\"status\": {\"token\": \"%s\"}}' \"$WORD\""],
            "env": [{"name": "WORD", "value": "printed"}]
        }});
        assert_eq!(Context::of(&document(&exec), "c").unwrap().token, "printed");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (user, name, problem) in [
            (json!({"token": "t"}), "x", "contexts has no `x`"),
            (json!({"client-certificate-data": "hush"}), "c", "neither a token nor a command"),
            (json!({"exec": {"command": "true"}}), "c", "true printed no credential"),
        ] {
            let told = Context::of(&document(&user), name).err().unwrap();
            assert!(told.contains(problem) && !told.contains("hush"), "{told}");
        }
    }
}
