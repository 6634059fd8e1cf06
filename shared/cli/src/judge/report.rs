//! What `guard judge` found, for people and for programs.

use comfy_table::{Cell, CellAlignment};
use console::{StyledObject, style};
use guard_domain::judge::{FAIL_AT, SoakOutcome};
use guard_series::{Judged, Part, Row, Tally};
use serde::Serialize;

use crate::failure::Failure;
use crate::print::{self, say};

/// One verdict as a document.
#[derive(Debug, Serialize)]
struct Verdict<'a> {
    #[serde(rename = "verdict")]
    outcome: SoakOutcome,
    /// How strongly the soak speaks against the change, and from where on it fails; `null` where nobody says so.
    strength: Option<f64>,
    fail_at: Option<f64>,
    /// The change of the mean in the longest look in its usual deviations; positive is worse.
    z: Option<f64>,
    /// The same as a share of the value, or as a difference where there is no ratio; positive is worse.
    change: Option<f64>,
    reasons: &'a [String],
}

pub(super) fn one(judged: &Judged, as_json: bool) -> Result<(), Failure> {
    let found = judged.found.as_ref();
    if as_json {
        return print::json(&Verdict {
            outcome: judged.outcome,
            strength: found.map(|found| found.strength),
            fail_at: found.map(|_| FAIL_AT),
            z: found.and_then(guard_domain::judge::MetricVerdict::z),
            change: found.and_then(guard_domain::judge::MetricVerdict::change),
            reasons: &judged.reasons,
        });
    }
    say!("{}", coloured(judged.outcome));
    for reason in &judged.reasons {
        say!("  {reason}");
    }
    Ok(())
}

pub(super) fn coloured(outcome: SoakOutcome) -> StyledObject<&'static str> {
    let word = style(outcome.name()).bold();
    match outcome {
        SoakOutcome::Pass => word.green(),
        SoakOutcome::Fail => word.red(),
        SoakOutcome::Marginal | SoakOutcome::External | SoakOutcome::Insufficient => word.yellow(),
    }
}

pub(super) fn set(tally: &Tally, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return print::json(tally);
    }
    let titles = [
        (Part::NoChange, "Nothing was changed: a FAIL is a false rollback"),
        (Part::Regression, "Labelled regressions: a FAIL is a detection"),
        (Part::Injected, "Injected regressions: a FAIL is a detection"),
    ];
    for (part, title) in titles {
        let rows: Vec<&Row> = tally.rows.iter().filter(|row| row.part == part).collect();
        if rows.is_empty() {
            continue;
        }
        print::heading(title);
        let columns = ["source", "kind", "pairs", "FAIL", "PASS", "MARGINAL", "INSUFFICIENT", "FAIL rate"];
        let mut table = print::table(&columns);
        for row in rows {
            let counts = &row.counts;
            let numbers = [counts.pairs, counts.fail, counts.pass, counts.marginal, counts.insufficient];
            let mut cells = vec![Cell::new(&row.source), Cell::new(&row.metric_kind)];
            cells.extend(numbers.map(|n| Cell::new(n).set_alignment(CellAlignment::Right)));
            let rate = Cell::new(format!("{:.2} %", row.fail_rate * 100.0));
            cells.push(rate.set_alignment(CellAlignment::Right));
            table.add_row(cells);
        }
        print::out(&table.to_string());
    }
    Ok(())
}
