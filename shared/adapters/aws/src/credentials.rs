//! Roles of member accounts, assumed once and kept until shortly before they end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use guard_domain::ClusterRecord;
use guard_tasks::TaskError;
use jiff::{SignedDuration, Timestamp};

use crate::sdk::Sdk;
use crate::{Endpoints, error};

/// One hour: the most that AWS allows when a role assumes a role, as GUARD's own role does.
/// No session tags: each makes the cluster's token longer, of which API servers take 4,096 bytes, and a member role would
/// have to allow `sts:TagSession`. The session's name tells the cluster.
const SESSION_SECONDS: i32 = 3600;

/// Credentials that end sooner than this are not started with: a look at a cluster takes minutes, not seconds.
const REFRESH_BEFORE: SignedDuration = SignedDuration::from_mins(5);

/// The longest session name AWS takes.
const SESSION_NAME_MAX: usize = 64;

/// Sessions by role and cluster: the session's name tells the member account's trail which cluster it was for.
pub(crate) struct AssumedRoles {
    base: SharedCredentialsProvider,
    pub(crate) external_id: Option<String>,
    kept: Mutex<HashMap<Key, Session>>,
}

type Key = (String, String, String);

struct Session {
    credentials: Credentials,
    expires_at: Timestamp,
}

impl AssumedRoles {
    pub(crate) fn new(base: SharedCredentialsProvider) -> Self {
        Self { base, external_id: None, kept: Mutex::default() }
    }

    pub(crate) async fn credentials(
        &self,
        sdk: &Sdk,
        endpoints: &Endpoints,
        row: &ClusterRecord,
        now: Timestamp,
    ) -> Result<Credentials, TaskError> {
        if let Some(session) = self.lock().get(&key(row))
            && now.duration_until(session.expires_at) > REFRESH_BEFORE
        {
            return Ok(session.credentials.clone());
        }
        let session = self.assume(sdk, endpoints, row).await?;
        let credentials = session.credentials.clone();
        self.lock().insert(key(row), session);
        Ok(credentials)
    }

    /// Drops what is kept for this row.
    pub(crate) fn forget(&self, row: &ClusterRecord) {
        self.lock().remove(&key(row));
    }

    async fn assume(
        &self,
        sdk: &Sdk,
        endpoints: &Endpoints,
        row: &ClusterRecord,
    ) -> Result<Session, TaskError> {
        let config = sdk.sts(&row.region, endpoints.sts.as_ref(), self.base.clone());
        let label = format!("STS POST / AssumeRole {} in {}", row.aws_role_arn, row.region);
        let answer = aws_sdk_sts::Client::from_conf(config)
            .assume_role()
            .role_arn(&row.aws_role_arn)
            .role_session_name(session_name(row.cluster_id.as_str()))
            .duration_seconds(SESSION_SECONDS)
            .set_external_id(self.external_id.clone())
            .send()
            .await
            .map_err(|error| error::classify(&label, &error))?;
        let given = answer
            .credentials
            .ok_or_else(|| TaskError::internal("the answer holds no credentials").context(&label))?;
        let expires_at = Timestamp::from_second(given.expiration().secs())
            .map_err(|error| TaskError::internal(format!("expiration: {error}")).context(&label))?;
        let credentials = Credentials::new(
            given.access_key_id(),
            given.secret_access_key(),
            Some(given.session_token().to_owned()),
            Some(SystemTime::from(expires_at)),
            "guard-assumed-role",
        );
        Ok(Session { credentials, expires_at })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Session>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(row: &ClusterRecord) -> Key {
    (row.aws_role_arn.clone(), row.region.clone(), row.cluster_id.as_str().to_owned())
}

/// `guard-<cluster>`: a cluster's name has only letters, digits, `-` and `_`, all allowed in session names.
fn session_name(cluster: &str) -> String {
    format!("guard-{cluster}").chars().take(SESSION_NAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_fit() {
        assert_eq!(session_name("eks-1"), "guard-eks-1");
        assert_eq!(session_name(&"x".repeat(100)).len(), 64);
    }
}
