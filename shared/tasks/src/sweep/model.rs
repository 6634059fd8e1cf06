//! Every interleaving of two runs of one cluster, two sweeps, a person who merges, and StopExecution at any moment, on the
//! rules that `plan-batch`, `settle` and `sweep` follow: who may take a lock over, what a write asks for, in which order a
//! run is brought to its end. A state is small, so all of them are visited.
//!
//! Each rule has a switch: with any of them off a state is found that must not be, so none is there for nothing.

#![expect(clippy::wildcard_enum_match_arm, reason = "a model names what it changes")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use guard_domain::last_end::LastEnd;
use guard_domain::{ClusterId, ClusterStatus as S, Phase, Progress};

/// The rules that are modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    /// Nothing is swept or taken over while a function of a dead run may be at work.
    WaitForQuiet,
    /// A lock is taken over only from a run that came to its end in its record.
    TakeOverWhatIsSettled,
    /// A write asks for the newest fence.
    Fences,
    /// A request that is withdrawn is looked at once more.
    LookOnceMore,
    /// The locks are freed last.
    FreeLast,
}

/// All rules but these.
#[derive(Debug, Clone, Copy)]
struct Rules(&'static [Rule]);

impl Rules {
    fn has(self, rule: Rule) -> bool {
        !self.0.contains(&rule)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Request {
    None,
    Open,
    Merged,
    Closed,
}

/// How far a run has come: the next thing it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Lock,
    Check,
    Pass,
    Confirm,
    Open,
    Mark,
    Await,
    Follow,
    PostCheck,
    Settle,
    Note,
    Free,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    Running,
    /// Ended; the function it called last may be at work.
    Fading,
    /// Ended; nothing of it is left.
    Quiet,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    at: At,
    life: Life,
    fence: u8,
    request: Request,
    has_outcome: bool,
    checked: bool,
}

/// What a sweep does next, for the run whose lease it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sweeping {
    Idle,
    Renew(usize, u8),
    Withdraw(usize, u8),
    Status(usize, u8),
    Note(usize, u8),
    Free(usize, u8),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    status: S,
    fence: u8,
    holder: Option<usize>,
    runs: [Run; 2],
    sweeps: [Sweeping; 2],
    stops_left: u8,
    /// Sweeps that may renew a lock: enough for both to come in each other's way, and no more.
    renewals_left: u8,
    /// A write was made by a run that did not hold the lock.
    was_trespassed: bool,
}

impl State {
    fn first() -> Self {
        let run = Run {
            at: At::Lock,
            life: Life::Running,
            fence: 0,
            request: Request::None,
            has_outcome: false,
            checked: false,
        };
        Self {
            status: S::Healthy,
            fence: 0,
            holder: None,
            runs: [run.clone(), run],
            sweeps: [Sweeping::Idle; 2],
            stops_left: 2,
            renewals_left: 3,
            was_trespassed: false,
        }
    }

    fn holds(&self, run: usize, fence: u8) -> bool {
        self.holder == Some(run) && self.fence == fence
    }

    /// A conditional write under a lease. `None` when it is refused.
    fn under(&self, rules: Rules, run: usize, fence: u8, write: impl FnOnce(&mut Self)) -> Option<Self> {
        let holds = self.holds(run, fence);
        if rules.has(Rule::Fences) && !holds {
            return None;
        }
        let mut next = self.clone();
        next.was_trespassed |= !holds;
        write(&mut next);
        Some(next)
    }

    fn may_take_over(&self, rules: Rules) -> bool {
        let Some(holder) = self.holder else { return true };
        let other = &self.runs[holder];
        let is_dead = match other.life {
            Life::Running => false,
            Life::Fading => !rules.has(Rule::WaitForQuiet),
            Life::Quiet => true,
        };
        let is_settled = other.has_outcome && !self.status.needs_an_owner() && self.status != S::MrCreated;
        is_dead && (is_settled || !rules.has(Rule::TakeOverWhatIsSettled))
    }

    /// Every state after this one, with who did it.
    fn next(&self, rules: Rules) -> Vec<(String, State)> {
        let mut found = Vec::new();
        for n in 0..2 {
            if self.runs[n].life != Life::Quiet {
                found
                    .extend(self.step(rules, n).map(|next| (format!("run {n} {:?}", self.runs[n].at), next)));
            }
            found.extend(self.died(n));
            found.extend(
                self.sweep(rules, n)
                    .into_iter()
                    .map(|next| (format!("sweep {n} {:?}", self.sweeps[n]), next)),
            );
            if self.runs[n].request == Request::Open {
                let mut next = self.clone();
                next.runs[n].request = Request::Merged;
                found.push((format!("a person merges the request of run {n}"), next));
            }
        }
        found
    }

    fn died(&self, n: usize) -> Vec<(String, State)> {
        let mut found = Vec::new();
        let mut become_of = |life: Life, stops: u8, what: &str| {
            let mut next = self.clone();
            next.runs[n].life = life;
            next.stops_left -= stops;
            found.push((format!("run {n} {what}"), next));
        };
        match self.runs[n].life {
            Life::Running if self.runs[n].at == At::Over => become_of(Life::Quiet, 0, "ends"),
            Life::Running if self.stops_left > 0 => become_of(Life::Fading, 1, "is stopped"),
            Life::Fading => become_of(Life::Quiet, 0, "is quiet"),
            Life::Running | Life::Quiet => {}
        }
        found
    }

    /// The next thing that a run does. One that was stopped does what it was about to do, once.
    fn step(&self, rules: Rules, n: usize) -> Option<State> {
        let run = &self.runs[n];
        let fence = run.fence;
        let go = |mut next: State, at: At| {
            next.runs[n].at = at;
            if next.runs[n].life == Life::Fading {
                next.runs[n].life = Life::Quiet;
            }
            next
        };
        let moved = |to: S, at: At| {
            let is_legal = self.status == to || self.status.may_become(to);
            let next = if is_legal { self.under(rules, n, fence, |next| next.status = to) } else { None };
            next.map(|next| go(next, at))
        };
        match run.at {
            At::Lock => {
                if !self.may_take_over(rules) || self.status.needs_an_owner() || self.status == S::MrCreated {
                    // Refused: it ends and touches nothing.
                    return Some(go(self.clone(), At::Over));
                }
                let mut next = self.clone();
                next.fence += 1;
                next.holder = Some(n);
                next.runs[n].fence = next.fence;
                Some(go(next, At::Check))
            }
            At::Check => moved(S::PreCheckRunning, At::Pass),
            At::Pass => moved(S::PreCheckPassed, At::Confirm),
            At::Confirm => self.under(rules, n, fence, |_| {}).map(|next| {
                // The function that confirmed is the one that opens: stopping comes between the two.
                let mut next = next;
                next.runs[n].at = At::Open;
                next
            }),
            At::Open => {
                let mut next = self.clone();
                next.runs[n].request = Request::Open;
                Some(go(next, At::Mark))
            }
            At::Mark => moved(S::MrCreated, At::Await),
            At::Await => match run.request {
                Request::Merged => Some(go(self.clone(), At::Follow)),
                Request::Open | Request::Closed | Request::None => None,
            },
            At::Follow => moved(S::Upgrading, At::PostCheck),
            At::PostCheck => moved(S::PostCheckRunning, At::Settle).map(|mut next| {
                next.runs[n].checked = true;
                next
            }),
            At::Settle => moved(S::Healthy, At::Note),
            At::Note => self
                .under(rules, n, fence, |next| next.runs[n].has_outcome = true)
                .map(|next| go(next, At::Free)),
            At::Free => {
                let mut next = self.clone();
                if next.holds(n, fence) {
                    next.holder = None;
                }
                Some(go(next, At::Over))
            }
            At::Over => None,
        }
    }

    fn sweep(&self, rules: Rules, n: usize) -> Option<State> {
        let go = |mut next: State, to: Sweeping| {
            next.sweeps[n] = to;
            next
        };
        match self.sweeps[n] {
            Sweeping::Idle => {
                let of = self.holder?;
                let run = &self.runs[of];
                let is_over = match run.life {
                    Life::Running => false,
                    Life::Fading => !rules.has(Rule::WaitForQuiet),
                    Life::Quiet => true,
                };
                if !is_over {
                    return None;
                }
                let to = match (run.has_outcome, self.status.needs_an_owner()) {
                    (true, true) => return None,
                    (true, false) => Sweeping::Free(of, self.fence),
                    (false, _) => Sweeping::Renew(of, self.fence),
                };
                Some(go(self.clone(), to))
            }
            Sweeping::Renew(of, fence) => {
                if !self.holds(of, fence) || self.renewals_left == 0 {
                    return Some(go(self.clone(), Sweeping::Idle));
                }
                let mut next = self.clone();
                next.renewals_left -= 1;
                next.fence += 1;
                let fence = next.fence;
                Some(go(next, Sweeping::Withdraw(of, fence)))
            }
            Sweeping::Withdraw(of, fence) => {
                let Some(mut next) = self.under(rules, of, fence, |_| {}) else {
                    return Some(go(self.clone(), Sweeping::Idle));
                };
                if next.runs[of].request == Request::Open {
                    next.runs[of].request = Request::Closed;
                }
                let to = if rules.has(Rule::FreeLast) {
                    Sweeping::Status(of, fence)
                } else {
                    Sweeping::Free(of, fence)
                };
                Some(go(next, to))
            }
            Sweeping::Status(of, fence) => {
                let told = self.told(rules, of);
                let legal = if self.status == told { vec![] } else { path(self.status, told) };
                let next = self.under(rules, of, fence, |next| {
                    next.status = legal.last().copied().unwrap_or(next.status);
                });
                let to = next.as_ref().map_or(Sweeping::Idle, |_| Sweeping::Note(of, fence));
                Some(go(next.unwrap_or_else(|| self.clone()), to))
            }
            Sweeping::Note(of, fence) => {
                let next = self.under(rules, of, fence, |next| next.runs[of].has_outcome = true);
                let is_done = next.is_none() || self.status.needs_an_owner() || !rules.has(Rule::FreeLast);
                let to = if is_done { Sweeping::Idle } else { Sweeping::Free(of, fence) };
                Some(go(next.unwrap_or_else(|| self.clone()), to))
            }
            Sweeping::Free(of, fence) => {
                let mut next = self.clone();
                if next.holds(of, fence) {
                    next.holder = None;
                }
                let to = if rules.has(Rule::FreeLast) { Sweeping::Idle } else { Sweeping::Status(of, fence) };
                Some(go(next, to))
            }
        }
    }

    /// The status that a sweep brings the cluster of this run to, by the domain's own decision.
    fn told(&self, rules: Rules, of: usize) -> S {
        let run = &self.runs[of];
        let phase = if run.checked { Phase::Checked } else { Phase::Planned };
        let progress = Progress(ClusterId::parse("c").map(|id| (id, phase)).into_iter().collect());
        let has_landed = rules.has(Rule::LookOnceMore) && run.request == Request::Merged;
        match LastEnd::of(&progress, &[self.status], has_landed) {
            LastEnd::Healthy | LastEnd::RolledBack => S::Healthy,
            LastEnd::UnderWay => match self.status {
                S::MrCreated | S::PreCheckPassed => S::Upgrading,
                _ => self.status,
            },
            LastEnd::BeforeMerge => match self.status {
                S::MrCreated => S::Pending,
                S::PreCheckRunning => S::PreCheckFailed,
                _ => self.status,
            },
        }
    }

    /// What must not be; `is_last` when nothing can happen any more.
    fn wrong(&self, is_last: bool) -> Option<&'static str> {
        let open = |n: usize| self.runs[n].request == Request::Open;
        if self.was_trespassed {
            return Some("a run wrote what another one held");
        }
        if open(0) && open(1) {
            return Some("two requests can be merged");
        }
        if let Some(holder) = self.holder
            && open(1 - holder)
        {
            return Some("a run holds the lock while the request of another can be merged");
        }
        if !is_last {
            return None;
        }
        let is_in_the_middle = self.status.needs_an_owner();
        let merged_unseen = (0..2).any(|n| self.runs[n].request == Request::Merged && !self.runs[n].checked);
        if open(0) || open(1) {
            Some("a request of a dead run can be merged")
        } else if [S::MrCreated, S::PreCheckRunning].contains(&self.status) {
            Some("the status tells nothing")
        } else if is_in_the_middle != self.holder.is_some() {
            Some("a lock without a cluster in the middle, or the other way round")
        } else if merged_unseen && !is_in_the_middle {
            Some("a request was merged, and the status does not tell")
        } else {
            None
        }
    }
}

/// The moves of the table from one status to another, at most two; empty where there are none.
fn path(from: S, to: S) -> Vec<S> {
    if from.may_become(to) {
        return vec![to];
    }
    let between = from.next().iter().find(|between| between.may_become(to));
    between.map(|between| vec![*between, to]).unwrap_or_default()
}

/// Visits every state. How many there are, and how a wrong one was come to.
fn explore(rules: Rules) -> (usize, Option<(&'static str, Vec<String>)>) {
    let mut from: BTreeMap<State, Option<(State, String)>> = BTreeMap::new();
    let mut waiting = VecDeque::from([State::first()]);
    from.insert(State::first(), None);
    while let Some(state) = waiting.pop_front() {
        let next = state.next(rules);
        if let Some(wrong) = state.wrong(next.is_empty()) {
            let mut steps = vec![format!("{state:?}")];
            let mut at = &state;
            while let Some(Some((before, step))) = from.get(at) {
                steps.insert(0, step.clone());
                at = before;
            }
            return (from.len(), Some((wrong, steps)));
        }
        for (step, next) in next {
            if !from.contains_key(&next) {
                from.insert(next.clone(), Some((state.clone(), step)));
                waiting.push_back(next);
            }
        }
    }
    (from.len(), None)
}

#[test]
fn no_interleaving_breaks_a_rule() {
    let (states, wrong) = explore(Rules(&[]));
    assert_eq!(wrong, None);
    assert!(states > 5_000, "{states} states are too few: something is never done");
}

#[test]
fn each_rule_is_needed() {
    let without: [&'static [Rule]; 5] = [
        &[Rule::WaitForQuiet],
        &[Rule::TakeOverWhatIsSettled],
        &[Rule::Fences],
        &[Rule::LookOnceMore],
        &[Rule::FreeLast],
    ];
    let mut found = BTreeSet::new();
    for rules in without {
        let (_, wrong) = explore(Rules(rules));
        let (what, _) = wrong.unwrap_or_else(|| panic!("without {rules:?} nothing goes wrong"));
        found.insert((rules, what));
    }
    assert_eq!(found.len(), 5, "{found:?}");
}
