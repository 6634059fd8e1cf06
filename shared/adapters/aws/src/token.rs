//! The bearer token of an EKS cluster: a presigned STS request that the API server sends on to learn who asks.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningParams, SigningSettings, sign as sign_request,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use guard_tasks::TaskError;
use secrecy::SecretString;

const PREFIX: &str = "k8s-aws-v1.";

/// Must be signed, and names the cluster, so that a token for one cluster is no use at another.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";

/// The server refuses longer ones without saying why.
const MAX_TOKEN_BYTES: usize = 4096;

/// What the official authenticator writes. The server takes a token for 15 minutes from its date, whatever this says.
const EXPIRES: Duration = Duration::from_mins(1);

/// Signs a token. It is good for 15 minutes and is made anew for every piece of work, so none is ever old.
pub(crate) fn sign(
    credentials: &Credentials,
    region: &str,
    cluster: &str,
    now: SystemTime,
) -> Result<SecretString, TaskError> {
    // Only the query names that SigV4 adds are allowed beside these two; the SDK's own `x-id` would be refused.
    let url = format!("https://{}/?Action=GetCallerIdentity&Version=2011-06-15", sts_host(region));
    let unsigned = |error: &dyn std::fmt::Display| TaskError::internal(format!("sign token: {error}"));

    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let identity = Identity::from(credentials.clone());
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(settings)
        .build()
        .map(SigningParams::from)
        .map_err(|error| unsigned(&error))?;
    let headers = std::iter::once((CLUSTER_HEADER, cluster));
    let signable = SignableRequest::new("GET", url.as_str(), headers, SignableBody::Bytes(&[]))
        .map_err(|error| unsigned(&error))?;
    let (instructions, _) = sign_request(signable, &params).map_err(|error| unsigned(&error))?.into_parts();
    let mut request = http::Request::get(&url).body(()).map_err(|error| unsigned(&error))?;
    instructions.apply_to_request_http1x(&mut request);

    let token = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(request.uri().to_string()));
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TaskError::rejected(format!(
            "the cluster's token has {} bytes and API servers take {MAX_TOKEN_BYTES}: the role session carries too \
             many session tags",
            token.len()
        )));
    }
    Ok(token.into())
}

/// The regional host; the global one would tie every cluster to us-east-1.
fn sts_host(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("sts.{region}.{suffix}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use guard_tasks::ErrorName;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn credentials(session_token: &str) -> Credentials {
        Credentials::new("AKIDEXAMPLE", "secret", Some(session_token.to_owned()), None, "test")
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_token_is_a_presigned_request_with_whitelisted_names_only() {
        let token = sign(&credentials("se/ss+ion="), "eu-west-1", "eks-1", at(1_795_000_000)).unwrap();
        let encoded = token.expose_secret().strip_prefix("k8s-aws-v1.").unwrap();
        assert!(!encoded.contains(['=', '+', '/']), "base64url without padding");
        let url: http::Uri =
            String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap().parse().unwrap();
        assert_eq!(url.host(), Some("sts.eu-west-1.amazonaws.com"));
        assert_eq!(url.path(), "/");
        let pairs: Vec<(&str, &str)> =
            url.query().unwrap().split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        let query: BTreeMap<&str, &str> = pairs.iter().copied().collect();
        assert_eq!(query.len(), pairs.len(), "no name twice");
        assert_eq!(
            query.keys().copied().collect::<Vec<_>>(),
            [
                "Action",
                "Version",
                "X-Amz-Algorithm",
                "X-Amz-Credential",
                "X-Amz-Date",
                "X-Amz-Expires",
                "X-Amz-Security-Token",
                "X-Amz-Signature",
                "X-Amz-SignedHeaders"
            ]
        );
        assert_eq!(query["Action"], "GetCallerIdentity");
        assert_eq!(query["X-Amz-Expires"], "60");
        assert_eq!(query["X-Amz-SignedHeaders"], "host%3Bx-k8s-aws-id");
        assert_eq!(query["X-Amz-Security-Token"], "se%2Fss%2Bion%3D");
        assert_eq!(query["X-Amz-Date"], "20261118T110640Z");
    }

    #[test]
    fn another_cluster_or_time_gives_another_token() {
        let token = |cluster, second| {
            sign(&credentials("s"), "eu-west-1", cluster, at(second)).unwrap().expose_secret().to_owned()
        };
        assert_eq!(token("a", 1), token("a", 1));
        assert_ne!(token("a", 1), token("b", 1));
        assert_ne!(token("a", 1), token("a", 2));
    }

    #[test]
    fn a_token_that_no_server_takes_is_not_made() {
        let error = sign(&credentials(&"x".repeat(3000)), "eu-west-1", "eks-1", at(1)).unwrap_err();
        assert_eq!(error.name, ErrorName::Rejected);
        assert!(error.chain().contains("session tags") && !error.chain().contains("xxx"), "{error}");
    }

    #[test]
    fn china_has_its_own_hosts() {
        assert_eq!(sts_host("cn-north-1"), "sts.cn-north-1.amazonaws.com.cn");
    }
}
