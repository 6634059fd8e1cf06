//! The check of an EKS bearer token, as the cluster's authenticator does it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::sts::{self, Keys};
use crate::call;
use crate::cluster::Cluster;
use crate::state::State;

const PREFIX: &str = "k8s-aws-v1.";
/// A token longer than this is refused unread.
const MAX_LENGTH: usize = 4096;
/// A token lives this long from its own date, whatever it says of its expiry.
const LIFE: i64 = 15 * 60;
/// Clocks may differ by this much.
const SKEW: i64 = 5 * 60;
const ALLOWED: [&str; 9] = [
    "action",
    "version",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// A token as `aws eks get-token` prints it for somebody with the cluster's role. The signature is none: see [`check`].
pub(crate) fn make(state: &mut State, cluster_id: &str) -> Option<String> {
    let role = state.clusters.get(cluster_id)?.spec.role_arn.clone();
    let Keys { access_key, token, .. } = sts::open_session(state, &role, "a-person");
    let (region, day) = (&state.spec.region, state.now.strftime("%Y%m%d"));
    let url = format!(
        "https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential={access_key}%2F{day}%2F{region}%2Fsts%2Faws4_request&X-Amz-Date={}&X-Amz-Expires=60\
         &X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Security-Token={token}&X-Amz-Signature={}",
        state.now.strftime("%Y%m%dT%H%M%SZ"),
        "0".repeat(64)
    );
    Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url)))
}

/// The role ARN behind a token. `Err` says what is wrong, for the log; a client learns only "Unauthorized".
///
/// Signatures are not recomputed: the access key and its session token must be ones that STS gave out.
pub(crate) fn check(state: &State, cluster: &Cluster, token: &str) -> Result<String, &'static str> {
    if token.len() > MAX_LENGTH {
        return Err("token is too large");
    }
    let encoded = token.strip_prefix(PREFIX).ok_or("token is missing expected prefix")?;
    let url = call::base64url_read(encoded)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or("not base64url")?;
    let rest = url.strip_prefix("https://").ok_or("unexpected scheme")?;
    let (host, query) = rest.split_once("/?").ok_or("unexpected path")?;
    if host != format!("sts.{}.amazonaws.com", state.spec.region) {
        return Err("unexpected hostname");
    }
    let pairs = call::form(query);
    let mut seen: Vec<String> = Vec::new();
    for (name, _) in &pairs {
        let name = name.to_lowercase();
        if !ALLOWED.contains(&name.as_str()) {
            return Err("non-whitelisted query parameter");
        }
        if seen.contains(&name) {
            return Err("query parameter with multiple values not supported");
        }
        seen.push(name);
    }
    let get = |wanted: &str| {
        let found = pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str()).ok_or("query parameter missing")
    };
    if get("Action")? != "GetCallerIdentity" {
        return Err("unexpected action parameter");
    }
    if get("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" || get("X-Amz-Signature")?.len() != 64 {
        return Err("not signed");
    }
    if get("X-Amz-SignedHeaders")? != "host;x-k8s-aws-id" {
        return Err("client did not sign the x-k8s-aws-id header");
    }
    let expires: i64 = get("X-Amz-Expires")?.parse().map_err(|_| "invalid X-Amz-Expires")?;
    if !(0..=900).contains(&expires) {
        return Err("invalid X-Amz-Expires");
    }
    let signed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", get("X-Amz-Date")?)
        .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC))
        .map_err(|_| "error parsing X-Amz-Date")?;
    let age = state.now.as_second() - signed.timestamp().as_second();
    if !(-SKEW..=LIFE).contains(&age) {
        return Err("X-Amz-Date parameter is expired");
    }
    let key = get("X-Amz-Credential")?.split('/').next().unwrap_or_default();
    let session = state.session(key).ok_or("unknown access key")?;
    if get("X-Amz-Security-Token")? != session.token {
        return Err("security token does not belong to the access key");
    }
    if session.role_arn == cluster.spec.role_arn {
        Ok(session.role_arn.clone())
    } else {
        Err("no access entry for the role")
    }
}
