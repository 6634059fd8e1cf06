//! The one file that GUARD writes: a kubeconfig with a token in it, for as long as one call takes.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use guard_http::cluster_access::ApiServer;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tempfile::TempDir;

use crate::process::Unanswered;

/// A folder that only we may enter, with a name that nobody can guess; it goes when it is dropped.
pub(crate) fn folder(scratch: &Path) -> Result<TempDir, Unanswered> {
    tempfile::Builder::new()
        .prefix("guard-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(scratch)
        .map_err(|error| Unanswered::because(format!("no folder in {}: {error}", scratch.display())))
}

/// A folder with a kubeconfig.
pub(crate) struct Private {
    folder: TempDir,
    token: SecretString,
}

impl Private {
    /// One cluster, one user, one context of this name.
    pub(crate) fn new(scratch: &Path, context: &str, server: &ApiServer) -> Result<Self, Unanswered> {
        let private = Self { folder: folder(scratch)?, token: server.token.clone() };
        // JSON is YAML.
        let document = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context, "cluster": {
                "server": server.endpoint,
                "certificate-authority-data": BASE64_STANDARD.encode(server.ca_pem.as_bytes()),
            }}],
            "users": [{"name": "guard", "user": {"token": private.token.expose_secret()}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": "guard"}}],
            "current-context": context,
        });
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(private.kubeconfig());
        file.and_then(|mut file| file.write_all(document.to_string().as_bytes()))
            .map_err(|error| Unanswered::because(format!("no kubeconfig can be written: {error}")))?;
        Ok(private)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder's name has only ASCII letters, but where it lies may have others.
    pub(crate) fn kubeconfig(&self) -> String {
        self.path().join("kubeconfig").to_string_lossy().into_owned()
    }

    /// What istioctl says is told to people. It does not say its token, and would not be the first program that does.
    pub(crate) fn without_token(&self, error: Unanswered) -> Unanswered {
        match error {
            Unanswered::Missing => Unanswered::Missing,
            Unanswered::Because(why) => {
                Unanswered::Because(why.replace(self.token.expose_secret(), "(token)"))
            }
        }
    }
}
