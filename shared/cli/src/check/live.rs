//! The checks while they are asked, on standard error: on a terminal one line each, elsewhere a line for what was read.

use std::sync::{Mutex, PoisonError};

use console::{Term, style};
use guard_domain::ClusterFacts;
use guard_domain::checks::{ALL, Source};
use indicatif::{MultiProgress, ProgressBar};

use super::report::Outcome;
use super::{Judge, is_readable};
use crate::print;

pub(super) struct Live {
    seen: Mutex<Vec<Source>>,
    screen: Option<Screen>,
}

struct Screen {
    all: MultiProgress,
    /// One a check, in their order.
    bars: Vec<ProgressBar>,
}

impl Live {
    /// `NO_COLOR` asks for plain lines, and so does everything that is no terminal.
    pub(super) fn begin() -> Self {
        let is_live = Term::stderr().is_term() && console::colors_enabled_stderr();
        let screen = is_live.then(|| {
            let all = MultiProgress::new();
            let asked = ALL.iter().filter(|check| check.needs_beside_the_cluster().is_none());
            let bars = asked.map(|check| {
                let bar = all.add(print::bar("{wide_msg}"));
                bar.set_message(format!("{} {}", style("·").for_stderr().dim(), check.asks));
                bar
            });
            Screen { bars: bars.collect(), all }
        });
        Self { seen: Mutex::default(), screen }
    }

    /// Something was read.
    pub(super) fn saw(&self, judge: &Judge, facts: &ClusterFacts, read: &[Source]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(read);
        let Some(screen) = &self.screen else {
            let what: Vec<&str> = read.iter().map(|source| source.what()).collect();
            print::progress(&format!("looked at {}", what.join(", ")));
            return;
        };
        let asked = ALL.iter().filter(|check| check.needs_beside_the_cluster().is_none());
        for (check, bar) in asked.zip(&screen.bars).filter(|(check, _)| is_readable(check, &seen)) {
            let mark = match judge.answer(check, facts) {
                Outcome::Answered(found) if found.is_empty() => style("✓").for_stderr().green(),
                Outcome::Answered(_) => style("✗").for_stderr().red(),
                Outcome::Open(_) | Outcome::NotAsked(_) => style("?").for_stderr().yellow(),
            };
            bar.set_message(format!("{mark} {}", check.asks));
            bar.tick();
        }
    }

    /// Takes the lines away: the result follows.
    pub(super) fn end(self) {
        if let Some(screen) = self.screen {
            screen.bars.iter().for_each(ProgressBar::finish_and_clear);
            // What is left on a terminal is only for looking at; nothing depends on it.
            let _ = screen.all.clear();
        }
    }
}
