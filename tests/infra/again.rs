//! A pipeline that is tried again with the same request follows the execution that the first try started: a job must not
//! turn green because nothing was done.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::stack::root;

const FIRST: &str = "arn:aws:states:eu-west-1:123456789012:execution:guard-batch-upgrade:first";
const SECOND: &str = "arn:aws:states:eu-west-1:123456789012:execution:guard-batch-upgrade:second";

/// Follows the second execution, which says this, with a program `aws` whose first execution was rolled back.
fn follow(test: &str, output: &str) -> Output {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fake-aws-again-{test}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("output"), output).unwrap();
    let program = format!(
        r#"#!/bin/sh
case "$*" in
    *"{FIRST} --query status "*) echo FAILED ;;
    *"{FIRST} --query error "*) echo RolledBack ;;
    *"{FIRST} --query cause "*) echo the cause ;;
    *"{SECOND} --query status "*) echo SUCCEEDED ;;
    *"{SECOND} --query output "*) cat '{}/output' ;;
    *) exit 9 ;;
esac
"#,
        folder.display()
    );
    fs::write(folder.join("aws"), program).unwrap();
    fs::set_permissions(folder.join("aws"), fs::Permissions::from_mode(0o755)).unwrap();
    Command::new(root().join("examples/watch-execution.sh"))
        .arg(SECOND)
        .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
        .env("INTERVAL", "0")
        .output()
        .unwrap()
}

#[test]
fn a_second_start_of_a_request_ends_as_its_first() {
    for (test, colon) in [("compact", ":"), ("spaced", ": ")] {
        let said = format!(
            r#"{{"outcome"{colon}"AlreadyStarted","first_execution"{colon}"{FIRST}","summary"{colon}"before"}}"#
        );
        let output = follow(test, &said);
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "RolledBack: the cause\n");
    }
}

#[test]
fn a_first_execution_that_cannot_be_read_is_no_success() {
    let loops = format!(r#"{{"outcome":"AlreadyStarted","first_execution":"{SECOND}"}}"#);
    for (test, said) in [("nobody", r#"{"outcome":"AlreadyStarted"}"#), ("loops", &loops)] {
        assert_eq!(follow(test, said).status.code(), Some(6), "{test}");
    }
}
