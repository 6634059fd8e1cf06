//! What a rule finds in a set: outcomes counted by source and kind of metric.

use std::collections::BTreeMap;

use guard_domain::judge::SoakOutcome;
use serde::Serialize;

use crate::index::{Label, Pair};
use crate::rule::{Rule, Windows, judge, worse};
use crate::{Files, SetError};

/// Which pairs a row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Pairs without a change: a fail is a false rollback.
    NoChange,
    /// Labelled regressions: a fail is a detection.
    Regression,
    /// Pairs without a change whose soak was multiplied: a fail is a detection.
    Injected,
}

/// Outcomes of some pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Pairs.
    pub pairs: usize,
    /// That failed.
    pub fail: usize,
    /// That passed.
    pub pass: usize,
    /// That were too close to call.
    pub marginal: usize,
    /// That were hidden by something from outside.
    pub external: usize,
    /// That had too little data.
    pub insufficient: usize,
}

impl Counts {
    fn add(&mut self, outcome: SoakOutcome) {
        self.pairs += 1;
        *match outcome {
            SoakOutcome::Fail => &mut self.fail,
            SoakOutcome::Pass => &mut self.pass,
            SoakOutcome::Marginal => &mut self.marginal,
            SoakOutcome::External => &mut self.external,
            SoakOutcome::Insufficient => &mut self.insufficient,
        } += 1;
    }

    /// Share of pairs that failed, 0 to 1; of none, none.
    pub fn fail_rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of pairs")]
        if self.pairs == 0 { 0.0 } else { self.fail as f64 / self.pairs as f64 }
    }
}

/// One pair and what was said of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Said {
    /// Its name.
    pub pair_id: String,
    /// How it was counted.
    pub part: Part,
    /// The verdict.
    #[serde(rename = "verdict")]
    pub outcome: SoakOutcome,
    /// How strongly it speaks against the change; GUARD's judge alone says so.
    pub strength: Option<f64>,
    /// Why.
    pub reasons: Vec<String>,
}

/// One row: some pairs of one source and kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Which pairs.
    pub part: Part,
    /// Where the series were published; `all` for the sum.
    pub source: String,
    /// What they measure; `all` for the sum.
    pub metric_kind: String,
    /// How they were judged.
    #[serde(flatten)]
    pub counts: Counts,
    /// Share that failed: false rollbacks in `no_change`, detections elsewhere.
    pub fail_rate: f64,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tally {
    /// Sums first, then by source and kind.
    pub rows: Vec<Row>,
    /// Every pair.
    pub pairs: Vec<Said>,
}

/// Judges every pair, and those that are injectable once more with a soak that is worse by a factor.
pub fn tally(pairs: &[Pair], files: &mut Files, rule: Rule, inject: Option<f64>) -> Result<Tally, SetError> {
    let mut counted: BTreeMap<(Part, String, String), Counts> = BTreeMap::new();
    let mut all = Vec::new();
    for pair in pairs {
        let windows = Windows::read(files, pair)?;
        let part = if pair.label == Label::NoChange { Part::NoChange } else { Part::Regression };
        let mut asked = vec![(part, judge(pair, &windows, rule))];
        if let Some(factor) = inject.filter(|_| pair.injectable && pair.label == Label::NoChange) {
            let windows = Windows { soak: worse(&windows.soak, pair.bad, factor), ..windows };
            asked.push((Part::Injected, judge(pair, &windows, rule)));
        }
        for (part, judged) in asked {
            let everything = ("all".to_owned(), "all".to_owned());
            let own = (pair.source.clone(), pair.kind_name.clone());
            for (source, kind) in [everything, own] {
                counted.entry((part, source, kind)).or_default().add(judged.outcome);
            }
            all.push(Said {
                pair_id: pair.id.clone(),
                part,
                outcome: judged.outcome,
                strength: judged.found.map(|found| found.strength),
                reasons: judged.reasons,
            });
        }
    }
    let mut rows: Vec<Row> = counted
        .into_iter()
        .map(|((part, source, metric_kind), counts)| {
            let fail_rate = counts.fail_rate();
            Row { part, source, metric_kind, counts, fail_rate }
        })
        .collect();
    rows.sort_by_key(|row| (row.part, row.source != "all"));
    Ok(Tally { rows, pairs: all })
}
