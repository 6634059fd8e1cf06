//! AWS: STS gives credentials, EKS describes clusters, and the API servers check tokens.

pub(crate) mod eks;
pub(crate) mod sts;
pub(crate) mod token;

use jiff::Timestamp;

use crate::call::Call;
use crate::state::State;

/// What STS remembers of credentials it gave out.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) role_arn: String,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
}

/// The access key id in a signed request's Authorization header.
fn access_key(call: &Call) -> Option<&str> {
    let header = call.header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let credential = header.split(',').find_map(|part| part.trim().strip_prefix("Credential="))?;
    credential.split('/').next().filter(|key| !key.is_empty())
}

impl State {
    /// The live session of an access key id.
    pub(crate) fn session(&self, access_key: &str) -> Option<&Session> {
        self.sessions.get(access_key).filter(|session| session.expires > self.now)
    }
}
