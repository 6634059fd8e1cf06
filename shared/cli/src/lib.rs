//! The `guard` command: it drives a deployed GUARD, and simulates one.
//!
//! A command asks AWS through the same adapters as the functions, decides nothing that a function decides, and ends with
//! one of seven exit codes. `guard simulate` touches nothing outside of its process.

mod args;
mod check;
mod confirm;
mod credentials;
mod decision;
mod deployment;
mod diff;
mod exit;
mod failure;
mod follow;
mod judge;
mod list;
mod manual;
mod monitor;
mod print;
mod progress;
mod registry;
mod rollback;
mod run;
mod runs;
mod simulate;
mod status;
mod surroundings;
mod validate;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Arguments, Command, Target};
use crate::deployment::Deployment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::surroundings::Surroundings;

pub use manual::markdown;

/// Runs the command line and says how it ended, as docs/cli.md has it.
pub async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(&arguments).await {
        Ok(exit) => exit.into(),
        Err(failure) => {
            print::failure(&failure);
            failure.exit.into()
        }
    }
}

async fn dispatch(arguments: &Arguments) -> Result<Exit, Failure> {
    let target = &arguments.target;
    match &arguments.command {
        Command::Run(options) => run::run(&open(target)?, options).await,
        Command::Monitor(options) => monitor::run(&open(target)?, options).await,
        Command::Rollback(options) => rollback::run(&open(target)?, options).await,
        Command::Approve(options) => decision::run(&open(target)?, "approve", options).await,
        Command::Reject(options) => decision::run(&open(target)?, "reject", options).await,
        Command::List(options) => list::run(&open(target)?, options).await,
        Command::Status(options) => status::run(&open(target)?, options).await,
        Command::Validate(options) => validate::run(target, options).await,
        Command::Registry(command) => registry::run(&open(target)?, command).await,
        Command::Completions { shell } => {
            print::bytes(&manual::completions(*shell));
            Ok(Exit::Done)
        }
        Command::Man => {
            print::bytes(&manual::man()?);
            Ok(Exit::Done)
        }
        Command::Check(options) => check::run(options).await,
        Command::Diff(options) => diff::run(options),
        Command::Judge(options) => judge::run(target, options).await,
        Command::Simulate(options) => simulate::run(options).await,
    }
}

fn open(target: &Target) -> Result<Deployment, Failure> {
    Deployment::open(target, Surroundings::read())
}
