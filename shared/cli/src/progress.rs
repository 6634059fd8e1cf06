//! Live progress on standard error: on a terminal one line for the batch and one for each cluster, elsewhere a plain
//! line for each step of the batch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use console::Term;
use guard_asl::{Transition, TransitionKind};
use indicatif::{MultiProgress, ProgressBar};
use jiff::Timestamp;

use crate::print;

/// Clusters shown at the same time; a terminal is not higher.
const LINES: usize = 12;

/// Where the run stands. Clones share it.
#[derive(Clone)]
pub(crate) struct Progress {
    start: Timestamp,
    screen: Option<Screen>,
}

#[derive(Clone)]
struct Screen {
    all: MultiProgress,
    head: ProgressBar,
    /// A line for each child execution that runs.
    children: Arc<Mutex<BTreeMap<String, ProgressBar>>>,
}

impl Progress {
    pub(crate) fn begin(start: Timestamp) -> Self {
        let screen = Term::stderr().is_term().then(|| {
            let all = MultiProgress::new();
            let head = all.add(print::bar("{spinner:.cyan} {msg}"));
            Screen { all, head, children: Arc::default() }
        });
        Self { start, screen }
    }

    /// Takes in one transition.
    pub(crate) fn saw(&self, transition: &Transition) {
        match &self.screen {
            Some(screen) => screen.show(transition, &self.clock(transition.at)),
            None => self.tell(transition),
        }
    }

    /// A plain line for what the machines that people start do; their children would fill pages.
    fn tell(&self, transition: &Transition) {
        let clock = self.clock(transition.at);
        let machine = &transition.machine;
        match (&transition.kind, &transition.state) {
            (TransitionKind::Started, _) if machine == "cluster-converge" => {
                print::progress(&format!("{clock}  {machine:<16}  {} begins", transition.execution));
            }
            (TransitionKind::Ended, _) if machine == "cluster-converge" => {
                print::progress(&format!(
                    "{clock}  {machine:<16}  {} {}",
                    transition.execution,
                    transition.status.as_str().to_lowercase()
                ));
            }
            (TransitionKind::Entered, Some(state))
                if machine != "cluster-converge" && transition.item.is_none() =>
            {
                print::progress(&format!("{clock}  {machine:<16}  {state}"));
            }
            (TransitionKind::Retried { error, next }, Some(state)) => {
                print::progress(&format!("{clock}  {machine:<16}  {state}: {error}, again at {next}"));
            }
            (TransitionKind::Failed { error, cause }, Some(state)) => {
                print::progress(&format!("{clock}  {machine:<16}  {state}: {error}: {cause}"));
            }
            _ => {}
        }
    }

    /// Virtual time since the start, as `+1h22m05s`.
    fn clock(&self, at: Timestamp) -> String {
        let seconds = at.duration_since(self.start).as_secs();
        format!("+{}h{:02}m{:02}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// Clears the screen's lines.
    pub(crate) fn end(&self) {
        if let Some(screen) = &self.screen {
            screen.head.finish_and_clear();
            // What is left on a terminal is only for looking at; nothing depends on it.
            let _ = screen.all.clear();
        }
    }
}

impl Screen {
    fn show(&self, transition: &Transition, clock: &str) {
        let state = transition.state.as_deref().unwrap_or_default();
        if transition.machine != "cluster-converge" {
            if transition.kind == TransitionKind::Entered {
                self.head.set_message(format!("{clock}  {}  {state}", transition.machine));
                self.head.tick();
            }
            return;
        }
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        if transition.kind == TransitionKind::Ended {
            if let Some(bar) = children.remove(&transition.execution) {
                bar.finish_and_clear();
            }
            return;
        }
        if children.len() >= LINES && !children.contains_key(&transition.execution) {
            return;
        }
        let bar = children
            .entry(transition.execution.clone())
            .or_insert_with(|| self.all.add(print::bar("  {msg}")));
        bar.set_message(format!("{:<40} {state}", transition.execution));
        bar.tick();
    }
}
