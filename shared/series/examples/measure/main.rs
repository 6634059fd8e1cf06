//! `make judge`: how often the judge is wrong, measured on a set of labelled series; tables as docs/judge.md has them.
//!
//! Thresholds are chosen on other series than those they are applied to: each file, and each PetShop service with all its
//! metrics, is left out once.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints tables")]

mod batches;
mod dense;
mod early;
mod folds;
mod share;
mod shocks;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use guard_series::{Files, Part, Rule, SetError, read, tally};

use crate::share::short;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: measure FOLDER (of INDEX.csv and the files that it names)");
        return ExitCode::from(2);
    };
    match run(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &Path) -> Result<(), SetError> {
    let pairs = read(&folder.join("INDEX.csv"))?;
    let mut files = Files::of(folder);
    let cases = dense::cases(&pairs, &mut files, Some(dense::all))?;
    let official = cases.iter().filter(|case| case.is_official).count();
    println!(
        "{} pseudo-changes, {official} official pairs, {} groups\n",
        cases.len() - official,
        folds::groups(&cases).len()
    );

    println!("## Thresholds chosen on other series\n");
    folds::header();
    for rule in dense::RULES {
        for target in [0.5, 0.3] {
            folds::print_left_out(&cases, rule, target);
        }
    }
    println!("\n## Operating curves, one threshold for all\n");
    for rule in dense::RULES {
        folds::curve(&cases, rule);
    }
    println!("\n## The pairs of the index, as `guard judge --index` counts them\n");
    println!(
        "| rule | source | kind | part | pairs | FAIL | PASS | MARGINAL | INSUFFICIENT | FAIL rate |\n|---|---|---|---|---|---|---|---|---|---|"
    );
    for (name, rule) in
        [("guard", Rule::Guard), ("percent:10", Rule::Percent(10.0)), ("mann-whitney", Rule::MannWhitney)]
    {
        for factor in [1.2, 1.5] {
            for row in tally(&pairs, &mut files, rule, Some(factor))?.rows {
                let part = match row.part {
                    Part::NoChange => "no change".to_owned(),
                    Part::Regression => "regression".to_owned(),
                    Part::Injected => format!("x{factor}"),
                };
                // The first two do not depend on the factor.
                if factor > 1.3 && row.part != Part::Injected {
                    continue;
                }
                let c = &row.counts;
                println!(
                    "| {name} | {} | {} | {part} | {} | {} | {} | {} | {} | {:.2} % |",
                    short(&row.source),
                    row.metric_kind,
                    c.pairs,
                    c.fail,
                    c.pass,
                    c.marginal,
                    c.insufficient,
                    row.fail_rate * 100.0
                );
            }
        }
    }
    println!("\n## The early end\n");
    early::print(&cases);
    println!("\n## Simulated batches\n");
    batches::print(&cases);
    println!("\n## Controls\n");
    shocks::print(&cases);
    Ok(())
}
