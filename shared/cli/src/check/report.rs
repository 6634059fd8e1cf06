//! What `guard check` found, for people and for programs.

use console::style;
use guard_domain::{Finding, IstioVersion, Severity, Verdict};
use serde::Serialize;

use crate::print::say;

/// What one check came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    Answered(Vec<Finding>),
    /// It could not find out, and why.
    Open(String),
    /// What it needs beside the cluster.
    NotAsked(&'static str),
}

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    asks: &'static str,
    /// Its first code, by which docs/checks.md knows it.
    code: &'static str,
    answer: Word,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Finding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Pass,
    Warns,
    Blocks,
    Unknown,
    NotAsked,
}

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    context: String,
    server: String,
    /// The version that runs; `null` where no pod of istiod tells it.
    from: Option<IstioVersion>,
    target: IstioVersion,
    pub(super) verdict: Verdict,
    checks: Vec<Line>,
}

impl Line {
    pub(super) fn new(asks: &'static str, code: &'static str, outcome: Outcome) -> Self {
        let of = |answer, why, findings| Self { asks, code, answer, why, findings };
        match outcome {
            Outcome::NotAsked(what) => of(Word::NotAsked, Some(format!("it needs {what}")), Vec::new()),
            Outcome::Open(why) => of(Word::Unknown, Some(why), Vec::new()),
            Outcome::Answered(found) => {
                let word = match found.iter().map(|finding| finding.severity).max() {
                    None => Word::Pass,
                    Some(Severity::Warning) => Word::Warns,
                    Some(Severity::Unknown) => Word::Unknown,
                    Some(Severity::Blocking) => Word::Blocks,
                };
                of(word, None, found)
            }
        }
    }

    fn print(&self) {
        let word = match self.answer {
            Word::Pass => style("ok      ").green(),
            Word::Warns => style("warns   ").yellow(),
            Word::Blocks => style("blocks  ").red().bold(),
            Word::Unknown => style("unknown ").yellow().bold(),
            Word::NotAsked => style("not asked").dim(),
        };
        let why = self.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        say!("{word}  {}{why}", self.asks);
        for finding in &self.findings {
            say!("            {} {}: {}", finding.code, finding.subject, finding.message);
            say!("            {}", style(&finding.remedy).dim());
        }
    }
}

impl Report {
    pub(super) fn new(
        context: &str,
        server: &str,
        from: Option<&IstioVersion>,
        target: &IstioVersion,
        checks: Vec<Line>,
    ) -> Self {
        let has = |word: Word| checks.iter().any(|line| line.answer == word);
        // As everywhere: a definite no goes before an open question, and that before a pass.
        let verdict = if has(Word::Blocks) {
            Verdict::Fail
        } else if has(Word::Unknown) {
            Verdict::Unknown
        } else {
            Verdict::Pass
        };
        let (context, server) = (context.to_owned(), server.to_owned());
        Self { context, server, from: from.cloned(), target: target.clone(), verdict, checks }
    }

    pub(super) fn print(&self) {
        let (not_asked, asked): (Vec<&Line>, Vec<&Line>) =
            self.checks.iter().partition(|line| line.answer == Word::NotAsked);
        for line in asked {
            line.print();
        }
        say!("");
        for line in not_asked {
            line.print();
        }
        let from = self.from.as_ref().map_or_else(|| "an unknown version".to_owned(), ToString::to_string);
        let count = |word: Word| self.checks.iter().filter(|line| line.answer == word).count();
        let words = match self.verdict {
            Verdict::Pass => "nothing stands in the way".to_owned(),
            Verdict::Fail => format!("{} checks block", count(Word::Blocks)),
            Verdict::Unknown => format!("{} checks could not find out", count(Word::Unknown)),
        };
        say!("");
        crate::print::verdict(
            &format!("{}: Istio {from} to {}: {words}", self.context, self.target),
            self.verdict == Verdict::Pass,
        );
    }
}
