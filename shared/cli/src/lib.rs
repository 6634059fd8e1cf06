//! The `guard` command.
//!
//! Today it simulates: the real state machines, tasks and adapters against a simulated world, in virtual time. The
//! commands that drive a deployed GUARD come with the deployment.

mod args;
mod print;
mod progress;
mod simulate;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};

/// Runs the command line and says how it ended: 0 done, 1 error, 2 usage.
pub async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match arguments.command {
        Command::Simulate(options) => simulate::run(&options).await,
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            print::error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
