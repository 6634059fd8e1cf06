//! Documents made from the command line itself: docs/cli.md, the man page, shell completions.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use crate::args::Arguments;
use crate::exit::Exit;
use crate::failure::Failure;

/// Columns of the help in docs/cli.md, whatever the terminal that makes it.
const COLUMNS: usize = 100;

/// The page docs/cli.md: every command with its help, and the exit codes.
pub fn markdown() -> String {
    let mut page = format!(
        "# The command line\n\n\
         Made from the program's own help by `make generate`.\n\n\
         ## Exit codes\n\n```text\n{}\n```\n",
        Exit::HELP
    );
    let mut command = whole().term_width(COLUMNS);
    // Names each command by its whole path, and gives it the options that belong to all.
    command.build();
    section(&mut page, &mut command, 2);
    page
}

fn section(page: &mut String, command: &mut Command, depth: usize) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let marks = "#".repeat(depth);
    // Writing into a string does not fail.
    let _ = writeln!(page, "\n{marks} {name}\n\n```text\n{}\n```", lines.join("\n").trim_end());
    for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
        section(page, inner, depth + 1);
    }
}

/// The script that completes `guard` in a shell.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut whole(), "guard", &mut script);
    script
}

/// The man page: `guard man | man -l -`.
pub(crate) fn man() -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(whole())
        .render(&mut page)
        .map_err(|error| Failure::error(format!("cannot write the man page: {error}")))?;
    Ok(page)
}

fn whole() -> Command {
    Arguments::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_every_command() {
        let page = markdown();
        for part in ["## guard\n", "### guard run\n", "#### guard registry import\n", "4  rolled back"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(page.lines().all(|line| line.chars().count() <= 160), "a line that no page holds");
    }
}
