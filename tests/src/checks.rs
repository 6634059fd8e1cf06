//! `docs/checks.md`: every check of the pre-check, from the checks themselves.

use std::fmt::Write as _;

use guard_domain::Severity;
use guard_domain::checks::{ALL, Source};

const INTRODUCTION: &str = "# Checks

Made from the checks themselves, by `make generate`. What a pre-check asks of a cluster before anything is changed. All \
questions are asked, whatever the others find, so that one run shows everything. The findings are in the run record under \
`pre-check#<cluster>`.

A finding **blocks** the batch, **warns** in the merge request, or leaves a question **open**, which stops the batch as well \
and is never a pass. A check that cannot read what it needs has no answer: the table at the end says which codes tell that.

Beside these: `FREEZE_WINDOW` before anything is read, the codes of `istioctl analyze` and `ANALYZER_UNKNOWN` \
([deploy.md](deploy.md)), `FILES_UNREAD` and what the edit of the Flux files refuses.
";

const SOURCES: &str = "
## What could not be read

What may pass by itself (a time-out, a 429, a 5xx) is asked again by the state machine first.

| code | what could not be read | without it there is no answer to |
|---|---|---|
";

fn weight(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocking => "blocks",
        Severity::Unknown => "open",
        Severity::Warning => "warns",
    }
}

/// The whole page.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for check in ALL {
        _ = write!(page, "\n## {}\n\n{}\n\n", check.asks, check.because);
        let reads: Vec<&str> = check.reads.iter().map(|source| source.what()).collect();
        _ = write!(page, "It reads {}.\n\n| code | weight | when |\n|---|---|---|\n", reads.join("; "));
        for code in check.codes {
            _ = writeln!(page, "| `{}` | {} | {} |", code.code, weight(code.severity), code.when);
        }
    }
    page.push_str(SOURCES);
    for source in Source::ALL {
        let checks = ALL.iter().filter(|check| check.reads.contains(&source));
        let codes: Vec<String> = checks.map(|check| format!("`{}`", check.codes[0].code)).collect();
        _ = writeln!(page, "| `{}` | {} | {} |", source.code(), source.what(), codes.join(", "));
    }
    page
}
