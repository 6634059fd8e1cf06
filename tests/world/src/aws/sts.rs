//! STS: AssumeRole and GetCallerIdentity, in XML.

use super::{Session, access_key};
use crate::call::{self, Answer, Call};
use crate::chance;
use crate::state::{State, later, stamp};

/// How long credentials of a chained role live.
const LIFE: i64 = 3600;

fn xml(status: u16, body: String) -> Answer {
    call::with(
        call::body(status, "text/xml", body),
        "x-amzn-requestid",
        "6f2c0c2e-0000-4000-a000-000000000001",
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    xml(
        status,
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    \
             <Code>{code}</Code>\n    <Message>{}</Message>\n  </Error>\n  \
             <RequestId>6f2c0c2e-0000-4000-a000-000000000001</RequestId>\n</ErrorResponse>\n",
            escape(message)
        ),
    )
}

pub(crate) fn handle(state: &mut State, call: &Call) -> Answer {
    let form = call::form(&String::from_utf8_lossy(&call.body));
    let get = |name: &str| {
        let found = form.iter().chain(&call.query).find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    let Some(caller) = access_key(call) else {
        return error(403, "MissingAuthenticationToken", "Request is missing Authentication Token");
    };
    match get("Action") {
        Some("AssumeRole") => {
            let external = get("ExternalId");
            let (Some(role), Some(name)) = (get("RoleArn"), get("RoleSessionName")) else {
                return error(400, "ValidationError", "RoleArn and RoleSessionName must not be null");
            };
            assume_role(state, role, name, external)
        }
        Some("GetCallerIdentity") => identity(state, caller),
        _ => error(400, "InvalidAction", "Could not find operation for the given version"),
    }
}

fn assume_role(state: &mut State, role: &str, name: &str, external: Option<&str>) -> Answer {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&name.len()) || !name.chars().all(legal) {
        let message = "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint";
        return error(400, "ValidationError", message);
    }
    let trusting = |cluster: &crate::cluster::Cluster| {
        cluster.spec.role_arn == role
            && cluster.spec.external_id.as_deref().is_none_or(|wanted| external == Some(wanted))
    };
    if !state.clusters.values().any(trusting) {
        let message = format!(
            "User: arn:aws:sts::111111111111:assumed-role/guard/guard is not authorized to perform: sts:AssumeRole on resource: {role}"
        );
        return error(403, "AccessDenied", &message);
    }
    let expires = later(state.now, LIFE);
    let arn = assumed_arn(role, name);
    let Keys { access_key, secret, token } = open_session(state, role, name);
    xml(
        200,
        format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <AssumeRoleResult>\n    \
             <AssumedRoleUser>\n      <AssumedRoleId>AROAEXAMPLE:{name}</AssumedRoleId>\n      <Arn>{arn}</Arn>\n    \
             </AssumedRoleUser>\n    <Credentials>\n      <AccessKeyId>{access_key}</AccessKeyId>\n      \
             <SecretAccessKey>{secret}</SecretAccessKey>\n      <SessionToken>{token}</SessionToken>\n      \
             <Expiration>{}</Expiration>\n    </Credentials>\n  </AssumeRoleResult>\n  <ResponseMetadata>\n    \
             <RequestId>6f2c0c2e-0000-4000-a000-000000000001</RequestId>\n  </ResponseMetadata>\n</AssumeRoleResponse>\n",
            stamp(expires)
        ),
    )
}

/// What a session is given.
pub(super) struct Keys {
    pub(super) access_key: String,
    secret: String,
    pub(super) token: String,
}

/// A session of a role, for an hour.
pub(super) fn open_session(state: &mut State, role: &str, name: &str) -> Keys {
    let number = state.sessions.len().to_string();
    let names = [role, name, &number];
    let id = chance::hex(state.spec.seed, &names, 16).to_uppercase();
    let access_key = format!("ASIA{id}");
    let secret = chance::hex(state.spec.seed ^ 1, &names, 40);
    let token = format!("IQoJb3JpZ2luX2VjE{}", chance::hex(state.spec.seed ^ 2, &names, 320));
    let expires = later(state.now, LIFE);
    let session = Session { role_arn: role.to_owned(), name: name.to_owned(), token: token.clone(), expires };
    state.sessions.insert(access_key.clone(), session);
    Keys { access_key, secret, token }
}

fn assumed_arn(role: &str, session: &str) -> String {
    format!(
        "{}/{}",
        role.replacen(":iam:", ":sts:", 1).replacen(":role/", ":assumed-role/", 1),
        escape(session)
    )
}

fn identity(state: &State, caller: &str) -> Answer {
    let session = state.session(caller);
    if session.is_none() && caller.starts_with("ASIA") && state.sessions.contains_key(caller) {
        return error(403, "ExpiredToken", "The security token included in the request is expired");
    }
    let arn = session.map_or_else(
        || "arn:aws:sts::111111111111:assumed-role/guard/guard".to_owned(),
        |session| assumed_arn(&session.role_arn, &session.name),
    );
    let account = arn.split(':').nth(4).unwrap_or_default();
    xml(
        200,
        format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <GetCallerIdentityResult>\n    \
             <Arn>{arn}</Arn>\n    <UserId>AROAEXAMPLE:guard</UserId>\n    <Account>{account}</Account>\n  \
             </GetCallerIdentityResult>\n  <ResponseMetadata>\n    \
             <RequestId>6f2c0c2e-0000-4000-a000-000000000001</RequestId>\n  </ResponseMetadata>\n</GetCallerIdentityResponse>\n"
        ),
    )
}
