//! Credentials, region and endpoints, and what happens without them.

use crate::aws::{Aws, Ran};

#[test]
fn without_credentials_it_says_where_they_could_come_from() {
    let aws = Aws::start();
    let mut command = aws.command(&["list"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("PATH", "/nowhere");
    let ran = Ran::of(&command.output().unwrap());
    assert_eq!(ran.code, 1);
    ran.notes(&[
        "error: no AWS credentials",
        "aws configure export-credentials",
        "note: ",
        "guard --profile NAME",
    ]);
    assert!(aws.account().asked.is_empty());
}

#[test]
fn without_a_region_it_says_how_to_name_one() {
    let aws = Aws::start();
    let mut command = aws.command(&["list"]);
    command.env_remove("AWS_REGION").env("PATH", "/nowhere");
    let ran = Ran::of(&command.output().unwrap());
    assert_eq!(ran.code, 1);
    ran.notes(&["no AWS region", "guard --region REGION"]);
    let named = aws.command(&["list", "--region", "eu-west-1"]).env_remove("AWS_REGION").output().unwrap();
    assert_eq!(named.status.code(), Some(0));
}

/// The AWS CLI knows profiles and single sign-on; a script stands for it here.
#[cfg(unix)]
#[test]
fn the_aws_cli_is_asked_for_keys_and_region() {
    use std::os::unix::fs::PermissionsExt as _;

    let aws = Aws::start();
    let folder = std::env::temp_dir().join(format!("guard-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = folder.join("aws");
    let text = "#!/bin/sh\ncase \"$*\" in\n\
        'configure get region --profile mesh') echo eu-west-1 ;;\n\
        'configure export-credentials --format process --profile mesh')\n\
        echo '{\"Version\": 1, \"AccessKeyId\": \"123456789012\", \"SecretAccessKey\": \"hush-x\", \"Expiration\": \"2126-01-01T00:00:00+00:00\"}' ;;\n\
        *) echo \"what is $*\" >&2; exit 255 ;;\nesac\n";
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let with = |profile: &str| {
        let mut command = aws.command(&["list", "--profile", profile]);
        Ran::of(&command.env_remove("AWS_REGION").env("PATH", &folder).output().unwrap())
    };
    let ran = with("mesh");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let mut wrong = aws.command(&["list", "--profile", "moon"]);
    let wrong = Ran::of(&wrong.env("PATH", &folder).output().unwrap());
    assert_eq!(wrong.code, 1);
    wrong.notes(&["says: what is configure export-credentials --format process --profile moon"]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn no_answer_is_could_not_find_out() {
    let aws = Aws::start();
    // Nothing listens there: the port belongs to no server any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = aws.command(&["list"]);
    command.env("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{gone}"));
    let ran = Ran::of(&command.output().unwrap());
    assert_eq!(ran.code, 6);
    ran.notes(&["error: ", "could not connect", "note: run the same command again"]);

    let mut wrong = aws.command(&["list"]);
    let wrong = Ran::of(&wrong.env("AWS_ENDPOINT_URL", "localhost:4566").output().unwrap());
    assert_eq!(wrong.code, 1);
    wrong.notes(&["AWS_ENDPOINT_URL is `localhost:4566`, which is no http or https URL"]);
}

#[test]
fn every_command_tells_the_exit_codes_and_wrong_usage_is_2() {
    let aws = Aws::start();
    let help = aws.guard(&["--help"]);
    assert_eq!(help.code, 0);
    help.says(&["Exit codes, the same for every command", "4  rolled back", "AWS_ENDPOINT_URL"]);
    for arguments in [
        &["run"][..],
        &["run", "--batch", "test"],
        &["monitor", "--batch", "a", "--execution", "b"],
        &["list", "--format", "xml"],
        &["status", "--poll"],
        &["nonsense"],
    ] {
        assert_eq!(aws.guard(arguments).code, 2, "{arguments:?}");
    }
    assert!(aws.account().asked.is_empty());
}

#[test]
fn completions_and_the_man_page_need_no_account() {
    let aws = Aws::start();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = aws.guard(&["completions", shell]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.says(&["monitor"]);
    }
    let man = aws.guard(&["man"]);
    assert_eq!(man.code, 0);
    man.says(&[".TH guard 1", "Exit codes"]);
    assert!(aws.account().asked.is_empty());
}
