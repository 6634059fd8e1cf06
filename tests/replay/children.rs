//! A child that an execution of an older release starts, run by today's machine and functions, and what its parent gets back:
//! from its start, and from the middle of what the older release's child had done before it was lost.

use guard_simulation::{Deed, Fleet, House, invariants};
use serde_json::Value;

use crate::cuts::{STRIDE, plays_all};
use crate::decoding::misread;
use crate::{Kept, all_kept};

/// A child of a recording.
struct Child<'k> {
    kept: &'k Kept,
    machine: &'k str,
    name: &'k str,
    input: &'k Value,
    /// Where it started, among the events.
    start: usize,
    /// Where it ended, and with what.
    end: (usize, &'k Value),
}

fn children(kept: &Kept) -> Vec<Child<'_>> {
    let events = &kept.recording.events;
    let end = |child: &str| {
        events.iter().enumerate().find_map(|(n, event)| match &event.deed {
            Deed::End { name, status, output: Some(output), .. }
                if name == child && status == "SUCCEEDED" =>
            {
                Some((n, output))
            }
            _ => None,
        })
    };
    let found = events.iter().enumerate().filter_map(|(start, event)| match &event.deed {
        Deed::Start { machine, name, input } if machine != "batch-upgrade" => {
            Some(Child { kept, machine, name, input, start, end: end(name).unwrap() })
        }
        _ => None,
    });
    found.collect()
}

impl Child<'_> {
    /// A cluster that does worse the more of its proxies are new: looked at once more in the middle, it fails there already.
    fn gets_worse(&self) -> bool {
        let regresses = self.kept.recording.scene.regresses.as_ref();
        regresses.is_some_and(|cluster| self.name.starts_with(&format!("{cluster}-upgrade")))
    }

    /// Today's, from the n-th event on; what is wrong with its end.
    async fn run_from(&self, n: usize, name: &str) -> Vec<String> {
        let (house, fleet) = self.kept.recording.scene.house().unwrap();
        let events = &self.kept.recording.events;
        for event in &events[..n] {
            house.replay(event, &fleet.world).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        house.wait_until(events[n].at).await;
        let arn = house.run_one(self.machine, name, self.input.clone()).await.unwrap();
        let ended = house.service.describe_execution(&arn).unwrap();
        let mut wrong = match &ended.output {
            Some(output) => misread(self.end.1, output),
            None => vec![format!("it ended as {}: {:?}", ended.status.as_str(), ended.cause)],
        };
        wrong.extend(restarted_twice(&house, &fleet).await);
        wrong
    }
}

/// The run goes on: of the invariants this one holds at any time.
async fn restarted_twice(house: &House, fleet: &Fleet) -> Vec<String> {
    let mut broken = invariants::broken(house, fleet, false).await.unwrap();
    broken.retain(|broken| broken.invariant == "restarted_once");
    broken.into_iter().map(|broken| broken.what).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn a_child_of_an_older_parent_comes_to_the_same_end() {
    let (mut started, mut failures) = (Vec::new(), Vec::new());
    for kept in &all_kept() {
        for child in children(kept) {
            let wrong = child.run_from(child.start, child.name).await;
            failures.extend((!wrong.is_empty()).then(|| format!("{}, {}: {wrong:?}", kept.name, child.name)));
            started.push(child.machine.to_owned());
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    let count = |wanted: &str| started.iter().filter(|machine| *machine == wanted).count();
    assert!(count("cluster-converge") >= 5 && count("batch-rollback") >= 1, "{started:?}");
}

/// As a state that is tried again, or redriven, starts it once more.
#[tokio::test(flavor = "current_thread")]
async fn a_child_that_was_lost_is_taken_up_where_it_stood() {
    let (mut runs, mut failures) = (0, Vec::new());
    for kept in &all_kept() {
        for child in children(kept).into_iter().filter(|child| !child.gets_worse()) {
            let changes = |n: &usize| kept.recording.events[*n].deed.is_change();
            let points: Vec<usize> = (child.start + 1..child.end.0).filter(changes).collect();
            for n in points.into_iter().step_by(if plays_all() { 1 } else { STRIDE }) {
                let wrong = child.run_from(n, &format!("{}-again", child.name)).await;
                let what = format!("{}, {} before event {n}", kept.name, child.name);
                failures.extend((!wrong.is_empty()).then(|| format!("{what}: {wrong:?}")));
                runs += 1;
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(runs >= 20, "{runs} runs");
}
