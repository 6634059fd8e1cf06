//! Exit codes: the same for every command.

use std::process::ExitCode;

use guard_aws::{Execution, ExecutionState};
use guard_tasks::ErrorName;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done, or nothing to do.
    Done,
    /// An error.
    Error,
    /// The command line is wrong; clap says so itself for most of it.
    Usage,
    /// A gate failed, or GUARD refused.
    Refused,
    /// Rolled back.
    RolledBack,
    /// A person has to come.
    WaitsForPerson,
    /// Could not find out.
    Unknown,
}

impl Exit {
    /// The table of the help and of docs/cli.md.
    pub(crate) const HELP: &str = "\
Exit codes, the same for every command:
  0  done, or nothing to do
  1  an error, or the run was stopped
  2  wrong usage
  3  refused: a gate failed, the request was closed or expired, the input cannot be followed
  4  rolled back: the failed clusters are at the old version again
  5  waiting for a person: to merge, to answer, or to repair a rollback that failed
  6  could not find out: no answer from AWS, GitLab, Datadog or a cluster; the run halted";

    fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::RolledBack => 4,
            Self::WaitsForPerson => 5,
            Self::Unknown => 6,
        }
    }

    /// The code of an execution that has ended.
    pub(crate) fn of(execution: &Execution) -> Self {
        match execution.state {
            ExecutionState::Succeeded => Self::Done,
            ExecutionState::Failed => Self::of_error(execution.error.as_deref().unwrap_or_default()),
            ExecutionState::Aborted => Self::Error,
            ExecutionState::Running
            | ExecutionState::TimedOut
            | ExecutionState::PendingRedrive
            | ExecutionState::Unknown => Self::Unknown,
        }
    }

    /// The code of a machine's error name.
    fn of_error(name: &str) -> Self {
        match name {
            "GateFailed" | "Rejected" | "MergeRequestClosed" | "MergeRequestExpired" => Self::Refused,
            "RolledBack" => Self::RolledBack,
            "RollbackFailed" => Self::WaitsForPerson,
            "Halted" | "States.Timeout" => Self::Unknown,
            _ => Self::Error,
        }
    }

    /// The code of a call that found no answer.
    pub(crate) fn of_call(name: ErrorName) -> Self {
        match name {
            ErrorName::Transient | ErrorName::Throttled => Self::Unknown,
            ErrorName::Conflict | ErrorName::Denied | ErrorName::Rejected | ErrorName::Internal => {
                Self::Error
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Exit as E;

    #[test]
    fn the_help_names_every_code() {
        let all = [E::Done, E::Error, E::Usage, E::Refused, E::RolledBack, E::WaitsForPerson, E::Unknown];
        let numbers: Vec<String> = Exit::HELP
            .lines()
            .skip(1)
            .map(|line| line.trim_start().chars().take_while(char::is_ascii_digit).collect())
            .collect();
        assert_eq!(numbers, all.map(|exit| exit.number().to_string()));
    }

    /// Every Fail state of the machines has its code on purpose.
    #[test]
    fn every_end_of_a_machine_has_its_code() {
        let machines = guard_simulation::machines().unwrap();
        let mut names = std::collections::BTreeSet::new();
        for machine in machines {
            let text = format!("{machine:?}");
            for rest in text.split("Fail { error: Some(").skip(1) {
                names.extend(rest.split('"').nth(1).map(str::to_owned));
            }
        }
        for (name, exit) in [
            ("GateFailed", E::Refused),
            ("Rejected", E::Refused),
            ("MergeRequestClosed", E::Refused),
            ("MergeRequestExpired", E::Refused),
            ("RolledBack", E::RolledBack),
            ("RollbackFailed", E::WaitsForPerson),
            ("Halted", E::Unknown),
        ] {
            assert_eq!(Exit::of_error(name), exit);
            names.remove(name);
        }
        assert!(names.is_empty(), "no code for {names:?}");
        assert_eq!(Exit::of_error("States.Runtime"), E::Error);
    }
}
