//! `guard run`: start an upgrade.

use guard_aws::Start;
use guard_domain::notification;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::args::RunOptions;
use crate::deployment::{Deployment, Machine};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{follow, print};

/// The longest name of an execution. Source: the API reference of StartExecution.
const NAME_CHARACTERS: usize = 80;

pub(crate) async fn run(deployment: &Deployment, options: &RunOptions) -> Result<Exit, Failure> {
    options.follow.fits(options.wait)?;
    let machine = if options.all_batches { Machine::Rollout } else { Machine::BatchUpgrade };
    let name = name(options, deployment.clock.now());
    let arn = start(deployment, machine, &name, &input(options)).await?;
    if options.wait { follow::to_the_end(deployment, &arn, &options.follow).await } else { Ok(Exit::Done) }
}

/// Starts an execution and says where it is.
pub(crate) async fn start(
    deployment: &Deployment,
    machine: Machine,
    name: &str,
    input: &Value,
) -> Result<String, Failure> {
    let machine = deployment.machine(machine).await?;
    let started = deployment.ask(|| deployment.machines.start(&machine.arn, name, input)).await?;
    let arn = match started {
        Start::Began { execution_arn } => execution_arn,
        Start::NameTaken => {
            let arn = machine.execution(name);
            // The answer to the first attempt may have been lost: what runs under this name is this very wish.
            let there = deployment.ask(|| deployment.machines.execution(&arn)).await?;
            if there.is_none_or(|there| there.input != *input) {
                return Err(Failure::error(format!("another execution is named {name}"))
                    .next("run the same command again: a second later the name is another"));
            }
            arn
        }
    };
    print::out(&format!("started    {name}"));
    print::out(&format!("execution  {arn}"));
    if let Some(page) = notification::execution_page(&arn) {
        print::out(&format!("console    {page}"));
    }
    print::out(&format!("follow     guard monitor{} --execution {arn}", deployment.same_target()));
    Ok(arn)
}

fn input(options: &RunOptions) -> Value {
    let mut fields = Map::new();
    let mut say = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    if let Some(batch) = &options.batch {
        say("batch_id", json!(batch));
    }
    say("target_version", json!(options.target_version));
    if options.dry_run {
        say("dry_run", json!(true));
    }
    if let Some(run) = &options.resume {
        say("resume", json!(run));
    }
    if let Some(minutes) = options.soak_minutes {
        say("soak_minutes", json!(minutes));
    }
    if let Some(reason) = &options.reason {
        say("reason", json!(reason));
    }
    if let Some(id) = &options.request_id {
        say("request_id", json!(id));
    }
    if !options.overrides.is_empty() {
        let overrides: Map<String, Value> =
            options.overrides.iter().map(|(code, reason)| (code.clone(), json!(reason))).collect();
        say("overrides", Value::Object(overrides));
    }
    Value::Object(fields)
}

/// A name that tells, in every list: `prod-wave-1-1.30.5-20261128T030000Z`.
fn name(options: &RunOptions, now: Timestamp) -> String {
    let subject = options.batch.as_ref().map_or("all-batches", guard_domain::BatchId::as_str);
    let dry = if options.dry_run { "-dry" } else { "" };
    timed_name(subject, &format!("{}{dry}", options.target_version), now)
}

/// `<subject>-<what>-<time>`; a long subject is cut, the rest is not.
pub(crate) fn timed_name(subject: &str, what: &str, now: Timestamp) -> String {
    let end = format!("-{what}-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    // A version's build part may hold a plus sign, which names of executions may, and ids of runs may not.
    let end: String = end.chars().map(|c| if c == '+' { '_' } else { c }).collect();
    let most = NAME_CHARACTERS.saturating_sub(end.chars().count());
    let start: String = subject.chars().take(most).collect();
    format!("{start}{end}")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use guard_domain::RunId;

    use super::*;
    use crate::args::{Arguments, Command};

    fn options(arguments: &[&str]) -> RunOptions {
        let all = ["guard", "run"].iter().chain(arguments);
        match Arguments::try_parse_from(all).unwrap().command {
            Command::Run(options) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_tells_and_is_the_id_of_a_run() {
        let now: Timestamp = "2026-11-28T03:00:00Z".parse().unwrap();
        let long = "b".repeat(60);
        for (arguments, expected) in [
            (
                vec!["--batch", "prod-wave-1", "--target-version", "1.30.5"],
                "prod-wave-1-1.30.5-20261128T030000Z",
            ),
            (
                vec!["--batch", "t", "--target-version", "1.30.5", "--dry-run"],
                "t-1.30.5-dry-20261128T030000Z",
            ),
            (vec!["--all-batches", "--target-version", "1.30.5"], "all-batches-1.30.5-20261128T030000Z"),
        ] {
            let name = name(&options(&arguments), now);
            assert_eq!(name, expected);
            RunId::parse(&name).unwrap();
        }
        let name = name(&options(&["--batch", &long, "--target-version", "1.30.5"]), now);
        assert_eq!(name.len(), NAME_CHARACTERS);
        RunId::parse(&name).unwrap();
    }

    #[test]
    fn the_input_holds_what_was_said_and_nothing_else() {
        let plain = options(&["--batch", "test", "--target-version", "1.30.5"]);
        assert_eq!(input(&plain), json!({"batch_id": "test", "target_version": "1.30.5"}));
        let all = options(&[
            "--batch",
            "test",
            "--target-version",
            "1.30.5",
            "--dry-run",
            "--soak-minutes",
            "30",
            "--reason",
            "why",
            "--request-id",
            "r-1",
            "--override",
            "FREEZE_WINDOW=agreed",
        ]);
        assert_eq!(
            input(&all),
            json!({
                "batch_id": "test", "target_version": "1.30.5", "dry_run": true, "soak_minutes": 30, "reason": "why",
                "request_id": "r-1", "overrides": {"FREEZE_WINDOW": "agreed"}
            })
        );
        let resumed = options(&["--batch", "test", "--target-version", "1.30.5", "--resume", "run-1"]);
        assert_eq!(
            input(&resumed),
            json!({"batch_id": "test", "target_version": "1.30.5", "resume": "run-1"})
        );
        let rollout = options(&["--all-batches", "--target-version", "1.30.5"]);
        assert_eq!(input(&rollout), json!({"target_version": "1.30.5"}));
    }

    #[test]
    fn wrong_usage_is_told_by_the_parser() {
        for arguments in [
            &["--target-version", "1.30.5"][..],
            &["--batch", "a b", "--target-version", "1.30.5"],
            &["--batch", "a", "--target-version", "1.30.5", "--resume", "run-1", "--dry-run"],
            &["--batch", "a", "--target-version", "1.30.5", "--resume", "no run"],
            &["--batch", "a", "--all-batches", "--target-version", "1.30.5"],
            &["--all-batches", "--dry-run", "--target-version", "1.30.5"],
            &["--batch", "a", "--target-version", "1.30.5", "--soak-minutes", "0"],
            &["--batch", "a", "--target-version", "1.30.5", "--override", "FREEZE_WINDOW"],
        ] {
            let error = Arguments::try_parse_from(["guard", "run"].iter().chain(arguments)).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{arguments:?}");
        }
    }
}
