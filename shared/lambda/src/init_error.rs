//! Why a function cannot start.

use std::fmt;

/// Everything that is wrong with the settings, at once: a person fixes them in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitError {
    problems: Vec<String>,
    is_outside_lambda: bool,
}

impl InitError {
    pub(crate) fn all(problems: Vec<String>) -> Self {
        Self { problems, is_outside_lambda: false }
    }

    pub(crate) fn outside_lambda(problems: Vec<String>) -> Self {
        Self { problems, is_outside_lambda: true }
    }

    /// What is wrong, one sentence each.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The variables that Lambda itself sets are not there: nobody could be answered.
    pub fn is_outside_lambda(&self) -> bool {
        self.is_outside_lambda
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("; "))
    }
}

impl std::error::Error for InitError {}
