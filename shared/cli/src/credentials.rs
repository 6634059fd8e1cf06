//! AWS credentials: from the environment, or from the AWS CLI, which knows profiles, single sign-on and machine roles.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use guard_aws::{Identity, OwnKeys, TimedKeys};
use guard_tasks::Clock;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;

use crate::failure::Failure;
use crate::surroundings::Surroundings;

/// The AWS CLI may refresh a session over the network.
const AWS_CLI_TIMEOUT: Duration = Duration::from_mins(1);

/// What `aws configure export-credentials --format process` prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    access_key_id: String,
    secret_access_key: SecretString,
    session_token: Option<SecretString>,
    expiration: Option<Timestamp>,
}

/// The keys of the environment unless a profile was named; otherwise what the AWS CLI finds, asked again before it ends.
pub(crate) fn provider(
    surroundings: &Surroundings,
    profile: Option<&str>,
    clock: Arc<dyn Clock>,
) -> Result<Identity, Failure> {
    if profile.is_none()
        && let Some(keys) = of_environment(surroundings)?
    {
        return Ok(OwnKeys::provider(Some(&keys)));
    }
    let profile = profile.map(str::to_owned);
    let first = exported(profile.as_deref()).map_err(|why| {
        Failure::error(format!("no AWS credentials: the environment holds none, and {why}")).next(
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with the AWS CLI version 2 and name its \
             profile: guard --profile NAME",
        )
    })?;
    Ok(OwnKeys::renewed(clock, first, move || exported(profile.as_deref())))
}

/// Half a key is a mistake, not a wish for another source.
fn of_environment(surroundings: &Surroundings) -> Result<Option<OwnKeys>, Failure> {
    let (id, secret) = (surroundings.get("AWS_ACCESS_KEY_ID"), surroundings.get("AWS_SECRET_ACCESS_KEY"));
    let (id, secret) = match (id, secret) {
        (Some(id), Some(secret)) => (id, secret),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(half("AWS_SECRET_ACCESS_KEY")),
        (None, Some(_)) => return Err(half("AWS_ACCESS_KEY_ID")),
    };
    Ok(Some(OwnKeys {
        access_key_id: id.clone(),
        secret_access_key: SecretString::from(secret.as_str()),
        session_token: surroundings.get("AWS_SESSION_TOKEN").map(|token| SecretString::from(token.as_str())),
    }))
}

fn half(missing: &str) -> Failure {
    Failure::error(format!("{missing} is not set, although its other half is")).next("set both, or neither")
}

fn exported(profile: Option<&str>) -> Result<TimedKeys, String> {
    let what = ["configure", "export-credentials", "--format", "process"];
    let printed = aws_cli(&what, profile)?;
    // A refusal of the decoder could quote what it read.
    let keys: Exported = serde_json::from_str(&printed).map_err(|_| {
        "`aws configure export-credentials` printed something else than credentials".to_owned()
    })?;
    Ok(TimedKeys {
        keys: OwnKeys {
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            session_token: keys.session_token,
        },
        expires_at: keys.expiration,
    })
}

/// The region that the AWS CLI would take.
pub(crate) fn configured_region(profile: Option<&str>) -> Option<String> {
    let region = aws_cli(&["configure", "get", "region"], profile).ok()?;
    Some(region.trim().to_owned()).filter(|region| !region.is_empty())
}

fn aws_cli(arguments: &[&str], profile: Option<&str>) -> Result<String, String> {
    let shown = format!("`aws {}`", arguments.join(" "));
    let mut command = Command::new("aws");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(profile) = profile {
        command.args(["--profile", profile]);
    }
    let child = command.spawn().map_err(|error| format!("{shown} cannot be run: {error}"))?;
    let (told, hears) = channel();
    std::thread::spawn(move || {
        // Nobody listens any more when it took too long.
        let _ = told.send(child.wait_with_output());
    });
    let output = match hears.recv_timeout(AWS_CLI_TIMEOUT) {
        Ok(output) => output.map_err(|error| format!("{shown}: {error}"))?,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            return Err(format!("{shown} did not answer within {} s", AWS_CLI_TIMEOUT.as_secs()));
        }
    };
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{shown} says: {}", guard_http::clip(&why)));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{shown} printed something that is not text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Surroundings {
        Surroundings::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn keys_of_the_environment_are_whole_or_none() {
        assert!(of_environment(&given(&[])).unwrap().is_none());
        let both = given(&[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "hush")]);
        assert_eq!(of_environment(&both).unwrap().unwrap().access_key_id, "a");
        for half in [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "hush")] {
            let failure = of_environment(&given(&[half])).unwrap_err();
            assert!(failure.text.contains("is not set") && !failure.text.contains("hush"), "{failure:?}");
        }
    }
}
