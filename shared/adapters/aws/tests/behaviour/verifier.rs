//! A cluster's token as the other side sees it: the rules of aws-iam-authenticator (pkg/token/token.go, `Verify`), and the
//! signature as STS computes it (AWS Signature Version 4).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use guard_http::cluster_access::ClusterAccess as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use crate::world::{World, answer, cluster, row};

/// `maxTokenLenBytes`.
const MAX_TOKEN_BYTES: usize = 4096;

/// `presignedURLExpiration`: from X-Amz-Date on, whatever X-Amz-Expires says.
const LIFE: SignedDuration = SignedDuration::from_mins(15);

/// `parameterWhitelist`.
const WHITELIST: [&str; 9] = [
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

/// What the world's STS gave with the role.
const SECRET: &str = "hush-role";
const SESSION: &str = "hush-session";

/// `Verify` of a cluster of this name at this time, with the STS of its region behind it.
fn verify(token: &str, cluster: &str, now: Timestamp) -> Result<(), String> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err("token is too large".into());
    }
    let encoded = token.strip_prefix("k8s-aws-v1.").ok_or("token is missing expected prefix")?;
    let url = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|error| error.to_string())?;
    let url = String::from_utf8(url).map_err(|error| error.to_string())?;
    let rest = url.strip_prefix("https://").ok_or("unexpected scheme")?;
    let (host, query) = rest.split_once("/?").ok_or("unexpected path in pre-signed URL")?;
    if host != "sts.eu-west-1.amazonaws.com" {
        return Err(format!("unexpected hostname {host} in pre-signed URL"));
    }
    let pairs: Vec<(&str, &str)> =
        query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    let mut seen: Vec<String> = Vec::new();
    for (name, _) in &pairs {
        let name = name.to_lowercase();
        if !WHITELIST.contains(&name.as_str()) {
            return Err(format!("non-whitelisted query parameter {name}"));
        }
        if seen.contains(&name) {
            return Err(format!("query parameter with multiple values not supported: {name}"));
        }
        seen.push(name);
    }
    let value = |wanted: &str| {
        let found = pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let found = found.ok_or_else(|| format!("{wanted} is missing"))?;
        Ok::<_, String>(percent_decode_str(found.1).decode_utf8_lossy().into_owned())
    };
    if value("Action")? != "GetCallerIdentity" {
        return Err("unexpected action parameter in pre-signed URL".into());
    }
    let signed_headers = value("X-Amz-SignedHeaders")?;
    if !signed_headers.split(';').any(|name| name == "x-k8s-aws-id") {
        return Err("client did not sign the x-k8s-aws-id header in the pre-signed URL".into());
    }
    let expires: i64 = value("X-Amz-Expires")?.parse().map_err(|_| "invalid X-Amz-Expires parameter")?;
    if !(0..=900).contains(&expires) {
        return Err(format!("invalid X-Amz-Expires parameter: {expires}"));
    }
    let date = value("X-Amz-Date")?;
    let signed = DateTime::strptime("%Y%m%dT%H%M%SZ", &date).map_err(|error| error.to_string())?;
    let signed = signed.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?.timestamp();
    if now > signed + LIFE {
        return Err("X-Amz-Date parameter is expired".into());
    }
    // From here on it is STS that judges: the server sends the URL on, with the header that names itself.
    let credential = value("X-Amz-Credential")?;
    let parts: Vec<&str> = credential.split('/').collect();
    let ["ASIAROLE", day, region, "sts", "aws4_request"] = parts[..] else {
        return Err(format!("credential {credential}"));
    };
    if !date.starts_with(day) || region != "eu-west-1" || value("X-Amz-Security-Token")? != SESSION {
        return Err("scope or session of somebody else".into());
    }
    let mut canonical: Vec<String> = pairs
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("X-Amz-Signature"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    canonical.sort();
    let request = format!(
        "GET\n/\n{}\nhost:{host}\nx-k8s-aws-id:{cluster}\n\n{signed_headers}\n{}",
        canonical.join("&"),
        hex(&Sha256::digest(b""))
    );
    let scope = format!("{day}/{region}/sts/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request.as_bytes())));
    let key = [day, region, "sts", "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| mac(&key, part));
    if hex(&mac(&key, &text)) == value("X-Amz-Signature")? {
        Ok(())
    } else {
        Err("SignatureDoesNotMatch".into())
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

async fn token(world: &World) -> String {
    let server = world.aws.access(&row()).await.unwrap().api_server.unwrap();
    server.token.expose_secret().to_owned()
}

fn active() -> World {
    World::new(|| Ok(answer(200, None, &cluster("ACTIVE"))))
}

#[tokio::test]
async fn the_clusters_own_server_takes_the_token_for_a_quarter_of_an_hour() {
    let world = active();
    let token = token(&world).await;
    let now = guard_tasks::Clock::now(&*world.clock);
    assert_eq!(verify(&token, "eks-1", now), Ok(()));
    assert_eq!(verify(&token, "eks-1", now + SignedDuration::from_mins(14)), Ok(()));
    let late = now + SignedDuration::from_mins(15) + SignedDuration::from_secs(1);
    assert_eq!(verify(&token, "eks-1", late), Err("X-Amz-Date parameter is expired".into()));
}

/// The name of the cluster is a signed header: what one cluster was shown opens no other.
#[tokio::test]
async fn another_clusters_server_does_not_take_it() {
    let world = active();
    let token = token(&world).await;
    let now = guard_tasks::Clock::now(&*world.clock);
    assert_eq!(verify(&token, "eks-2", now), Err("SignatureDoesNotMatch".into()));
}

/// A warm function lives for hours: whatever it opens, it opens with a token that has its whole life before it, signed with
/// a session that has not ended.
#[tokio::test]
async fn a_warm_function_never_shows_an_old_token() {
    let world = active();
    for _ in 0..20 {
        let token = token(&world).await;
        let now = guard_tasks::Clock::now(&*world.clock);
        assert_eq!(verify(&token, "eks-1", now + SignedDuration::from_mins(14)), Ok(()));
        world.clock.advance(SignedDuration::from_mins(7));
    }
    // 133 minutes: three sessions of an hour, each given up five minutes early.
    assert_eq!(world.asked(guard_http::System::Sts).len(), 3);
}

/// The verifier above refuses what the authenticator refuses; otherwise its consent would mean nothing.
#[tokio::test]
async fn what_is_changed_on_the_way_is_refused() {
    let world = active();
    let token = token(&world).await;
    let now = guard_tasks::Clock::now(&*world.clock);
    let url = BASE64_URL_SAFE_NO_PAD.decode(token.trim_start_matches("k8s-aws-v1.")).unwrap();
    let url = String::from_utf8(url).unwrap();
    let again = |url: &str| format!("k8s-aws-v1.{}", BASE64_URL_SAFE_NO_PAD.encode(url));
    assert_eq!(verify(&again(&url), "eks-1", now), Ok(()));
    for (changed, why) in [
        (format!("{url}&x-id=GetCallerIdentity"), "non-whitelisted"),
        (format!("{url}&X-Amz-Expires=60"), "multiple values"),
        (url.replace("sts.eu-west-1.", "sts."), "unexpected hostname"),
        (url.replace("/?", "/path?"), "unexpected path"),
        (url.replace("https:", "http:"), "unexpected scheme"),
        (url.replace("%3Bx-k8s-aws-id", ""), "did not sign"),
        (url.replace("X-Amz-Expires=60", "X-Amz-Expires=901"), "invalid X-Amz-Expires"),
        (url.replace("X-Amz-Expires=60", "X-Amz-Expires=900"), "SignatureDoesNotMatch"),
        (url.replace("GetCallerIdentity", "AssumeRole"), "unexpected action"),
        (format!("{url}{}", "0".repeat(4096)), "too large"),
    ] {
        let refused = verify(&again(&changed), "eks-1", now).unwrap_err();
        assert!(refused.contains(why), "{why}: {refused}");
    }
    assert!(verify(token.trim_start_matches("k8s-aws-v1."), "eks-1", now).is_err());
}
