//! Asking a person before something is done that cannot be undone by doing nothing.

use std::io::{self, BufRead as _, Write as _};

use console::Term;

use crate::failure::Failure;

/// Goes on only after a yes: given on the command line, or typed. Where nobody can type, it is refused.
pub(crate) fn confirmed(question: &str, is_given: bool) -> Result<(), Failure> {
    if is_given {
        return Ok(());
    }
    if !(console::user_attended() && Term::stderr().is_term()) {
        return Err(Failure::usage(format!("{question} Nobody is there to say yes")).next("add --yes"));
    }
    // Not a result: it belongs beside the answer, on the terminal.
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::refused("not confirmed; nothing was done"))
}
