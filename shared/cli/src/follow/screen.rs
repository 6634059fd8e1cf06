//! Live progress: on a terminal a few lines on standard error that are drawn over; elsewhere what happens is the result,
//! a plain line each on standard output.

use console::{Term, style};
use guard_domain::Phase;
use indicatif::{MultiProgress, ProgressBar};
use jiff::Timestamp;

use super::trail::Line;
use super::watch::{ClusterStand, Look, WaitsFor};
use crate::print;

/// Clusters shown at the same time; a terminal is not higher.
const CLUSTERS: usize = 12;

/// Where what happens is shown.
pub(crate) struct Screen {
    live: Option<Live>,
    waits_told: Option<WaitsFor>,
}

struct Live {
    all: MultiProgress,
    head: ProgressBar,
    clusters: Vec<ProgressBar>,
}

impl Screen {
    /// `NO_COLOR` asks for plain lines, and so does everything that is no terminal.
    pub(crate) fn begin() -> Self {
        // A result that goes to a file or another program is not drawn over.
        let is_live =
            Term::stdout().is_term() && Term::stderr().is_term() && console::colors_enabled_stderr();
        let live = is_live.then(|| {
            let all = MultiProgress::new();
            let head = all.add(print::bar("{spinner:.cyan} {wide_msg}"));
            Live { all, head, clusters: Vec::new() }
        });
        Self { live, waits_told: None }
    }

    pub(crate) fn show(&mut self, look: &Look, now: Timestamp) {
        for line in &look.lines {
            self.line(&told(line));
        }
        if look.waits_for != self.waits_told {
            if let Some(waits) = &look.waits_for {
                self.line(&format!("{}  {}", clock(now), style(waiting(waits, look)).yellow()));
            }
            self.waits_told.clone_from(&look.waits_for);
        }
        if let Some(live) = &mut self.live {
            live.draw(look, now);
        }
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: &str) {
        match &self.live {
            // What is drawn is only for looking at; nothing depends on it.
            Some(live) => drop(live.all.println(text)),
            None => print::out(text),
        }
    }

    /// Clears what was drawn.
    pub(crate) fn end(self) {
        if let Some(live) = self.live {
            live.head.finish_and_clear();
            live.clusters.iter().for_each(ProgressBar::finish_and_clear);
            drop(live.all.clear());
        }
    }
}

impl Live {
    fn draw(&mut self, look: &Look, now: Timestamp) {
        self.head.set_message(headline(look, now));
        self.head.tick();
        let lines: Vec<String> = look
            .clusters
            .iter()
            .filter(|(_, stand)| is_open(stand))
            .map(|(id, stand)| cluster(id.as_str(), stand))
            .collect();
        let shown = lines.len().min(CLUSTERS);
        while self.clusters.len() < shown {
            self.clusters.push(self.all.add(print::bar("  {wide_msg}")));
        }
        for bar in self.clusters.drain(shown..) {
            bar.finish_and_clear();
        }
        for (bar, line) in self.clusters.iter().zip(&lines) {
            bar.set_message(line.clone());
            bar.tick();
        }
    }
}

/// A cluster that is of interest while the run goes on.
fn is_open(stand: &ClusterStand) -> bool {
    stand.state.is_some() || !matches!(stand.phase, Phase::Planned | Phase::Checked | Phase::RolledBack)
}

fn cluster(id: &str, stand: &ClusterStand) -> String {
    let soak = stand.soak.as_ref().map(|(outcome, reasons)| {
        format!("  soak {}: {}", super::soak_word(*outcome), reasons.first().map_or("", String::as_str))
    });
    let state = stand.state.as_deref().unwrap_or(super::phase_word(stand.phase));
    format!("{id:<32} {state}{}", soak.unwrap_or_default())
}

/// Where the run is, on one line.
pub(crate) fn headline(look: &Look, now: Timestamp) -> String {
    let batch = look.batch.as_ref().map(|batch| format!("{batch}  ")).unwrap_or_default();
    let state = look.state.as_ref().map_or_else(
        || look.root.state.as_str().to_owned(),
        |(machine, state, since)| format!("{} {state} for {}", machine.as_str(), length(*since, now)),
    );
    let soak = soak(look, now).map(|soak| format!("  {soak}")).unwrap_or_default();
    format!("{batch}{state}{soak}")
}

/// The countdown, while it soaks.
pub(crate) fn soak(look: &Look, now: Timestamp) -> Option<String> {
    let state = look.state.as_ref().map(|(_, state, _)| state.as_str());
    let soak = look.soak.as_ref().filter(|_| matches!(state, Some("Soak" | "JudgeSoak")))?;
    let extended = match soak.extensions {
        0 => String::new(),
        1 => ", extended once".to_owned(),
        times => format!(", extended {times} times"),
    };
    let left = if now < soak.until {
        format!("soak ends in {}", length(now, soak.until))
    } else {
        "soak is over, the judge looks once more".to_owned()
    };
    Some(format!("{left}{extended}"))
}

/// What a person has to do.
pub(crate) fn waiting(waits: &WaitsFor, look: &Look) -> String {
    let batch = look.batch.as_ref().map_or("BATCH", guard_domain::BatchId::as_str);
    match waits {
        WaitsFor::Merge(url) => format!("waiting for a person to merge {url}"),
        WaitsFor::Answer(reasons) => format!(
            "waiting for a person to decide: {}\n          guard approve --batch {batch} --reason '...'   or   guard reject --batch {batch} --reason '...'",
            reasons.join("; ")
        ),
    }
}

fn told(line: &Line) -> String {
    format!("{}  {:<18}  {}", clock(line.at), line.who, line.text)
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%SZ").to_string()
}

/// `1h 05m`, `12m`, `40s`: what a person reads of a length of time.
pub(crate) fn length(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m"),
        (hours, minutes) => format!("{hours}h {minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_at_a_glance() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(length(at(0), at(40)), "40s");
        assert_eq!(length(at(0), at(12 * 60 + 59)), "12m");
        assert_eq!(length(at(0), at(3900)), "1h 05m");
        assert_eq!(length(at(9), at(0)), "0s");
    }
}
