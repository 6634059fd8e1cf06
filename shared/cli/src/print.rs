//! What people read: results on standard output, everything else on standard error. Colours only on a terminal.
//!
//! A reader that goes away (`guard list | head`) is no error, and nothing panics for it.

pub(crate) mod story;

use std::io::{self, Write as _};

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Cell, Color, ContentArrangement, Table};
use console::style;
use guard_domain::{ClusterRecord, ClusterStatus, Finding, Severity};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// A line of the result.
macro_rules! say {
    ($($part:tt)*) => { $crate::print::out(&format!($($part)*)) };
}
pub(crate) use say;

/// A line of the result.
pub(crate) fn out(text: &str) {
    // See the head of this file.
    let _ = writeln!(io::stdout(), "{text}");
}

/// A whole document, as it is.
pub(crate) fn bytes(document: &[u8]) {
    let _ = io::stdout().write_all(document);
}

/// A line about what goes on, for standard error.
pub(crate) fn progress(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A command's failure.
pub(crate) fn failure(failure: &Failure) {
    progress(&format!("{} {}", style("error:").for_stderr().red().bold(), failure.text));
    if let Some(next) = &failure.next {
        note(next);
    }
}

/// What to do next, or why there is nothing.
pub(crate) fn note(text: &str) {
    progress(&format!("{} {text}", style("note:").for_stderr().cyan().bold()));
}

/// Something that a person must not overlook.
pub(crate) fn warning(text: &str) {
    progress(&format!("{} {text}", style("warning:").for_stderr().yellow().bold()));
}

/// What a check found.
pub(crate) fn finding(finding: &Finding) {
    match finding.severity {
        Severity::Warning => warning(&finding.to_string()),
        Severity::Unknown | Severity::Blocking => {
            progress(&format!("{} {finding}", style("refused:").for_stderr().red().bold()));
        }
    }
}

/// A unified diff, byte for byte but for colours.
pub(crate) fn diff(diff: &str) {
    let mut coloured = String::with_capacity(diff.len());
    for line in diff.split_inclusive('\n') {
        let paint = match line.as_bytes() {
            [b'+', ..] => style(line).green(),
            [b'-', ..] => style(line).red(),
            [b'@', ..] => style(line).cyan(),
            _ => style(line),
        };
        coloured += &paint.to_string();
    }
    bytes(coloured.as_bytes());
}

/// How a run ended.
pub(crate) fn verdict(text: &str, is_good: bool) {
    let text = style(text).bold();
    out(&if is_good { text.green() } else { text.red() }.to_string());
}

pub(crate) fn heading(text: &str) {
    say!("\n{}", style(text).bold().underlined());
}

/// One JSON document and nothing else.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::error(format!("cannot write the result as JSON: {error}")))?;
    out(&text);
    Ok(())
}

/// One YAML document and nothing else.
pub(crate) fn yaml(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_saphyr::to_string(value)
        .map_err(|error| Failure::error(format!("cannot write the result as YAML: {error}")))?;
    out(text.trim_end());
    Ok(())
}

/// An empty table.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.to_vec());
    table
}

/// Clusters as the registry has them.
pub(crate) fn clusters(rows: &[&ClusterRecord]) {
    let mut lines = table(&["cluster", "batch", "environment", "version", "target", "status", "since"]);
    for row in rows {
        lines.add_row([
            Cell::new(&row.cluster_id),
            Cell::new(&row.batch_id),
            Cell::new(&row.environment),
            Cell::new(&row.current_istio_version),
            Cell::new(row.target_istio_version.as_ref().map(ToString::to_string).unwrap_or_default()),
            coloured(row.status, colour(row.status)),
            Cell::new(row.last_updated.strftime("%Y-%m-%d %H:%MZ")),
        ]);
    }
    out(&lines.to_string());
}

/// A cell in a colour, where colours are wanted: the table itself knows terminals, but not `NO_COLOR`.
pub(crate) fn coloured(text: impl ToString, colour: Color) -> Cell {
    let cell = Cell::new(text);
    if console::colors_enabled() { cell.fg(colour) } else { cell }
}

fn colour(status: ClusterStatus) -> Color {
    match status {
        ClusterStatus::Healthy => Color::Green,
        ClusterStatus::RollbackRequired | ClusterStatus::PreCheckFailed => Color::Red,
        ClusterStatus::Pending => Color::Reset,
        ClusterStatus::PreCheckRunning
        | ClusterStatus::PreCheckPassed
        | ClusterStatus::MrCreated
        | ClusterStatus::Upgrading
        | ClusterStatus::PostCheckRunning
        | ClusterStatus::FailedUpgradeRolledBack => Color::Yellow,
    }
}

/// One line of live progress.
pub(crate) fn bar(template: &str) -> ProgressBar {
    // The templates are constants; a broken one would only show a plain spinner.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}
