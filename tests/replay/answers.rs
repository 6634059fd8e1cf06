//! A task token that an execution of an older release waits for, answered by today's watcher: the only function that answers
//! a state of another release.

use guard_simulation::{Deed, Event, function_arn};
use serde_json::{Value, json};

use crate::all_kept;
use crate::decoding::misread;

/// The answer to a token in these events.
fn answer<'e>(events: &'e [Event], wanted: &str) -> Option<(usize, &'e Value)> {
    events.iter().enumerate().find_map(|(n, event)| match &event.deed {
        Deed::Answer { token, output } if token == wanted => Some((n, output)),
        _ => None,
    })
}

#[tokio::test(flavor = "current_thread")]
async fn todays_watcher_answers_as_the_waiting_release_expects() {
    let mut answered = 0;
    for kept in all_kept() {
        let events = &kept.recording.events;
        for event in events {
            let Deed::Keep { token, waits_for, .. } = &event.deed else { continue };
            let what = format!("{}, {waits_for}", kept.name);
            let (n, expected) = answer(events, token).unwrap();
            // What the watcher did in this look comes before its answer: it is today's to do.
            let looked =
                events[..n].iter().rposition(|event| matches!(event.deed, Deed::Invoke { .. })).unwrap();
            let (house, fleet) = kept.recording.scene.house().unwrap();
            for before in &events[..looked] {
                house.replay(before, &fleet.world).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            }
            house.record(&fleet.world);
            let at = events[looked].at;
            house.service.schedule_invocation(at, &function_arn("watch-merges"), json!({}));
            house.wait_until(at).await;
            let recorded = house.recorded();
            let (_, now) = answer(&recorded, token).unwrap_or_else(|| panic!("{what}: no answer"));
            let found = misread(expected, now);
            assert!(found.is_empty(), "{what}: {found:?}");
            answered += 1;
        }
    }
    assert!(answered >= 3, "{answered} answers");
}
