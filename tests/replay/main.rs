//! Recorded journeys of earlier releases, against today's code: what crosses a deployment under a running execution.
//!
//! `tests/fixtures/releases/<number>/<journey>.json` holds what a release did, see `guard_simulation::Recording`. A file
//! that is there is never made again; `make record` adds those of [`RELEASE`] that are missing.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot set up its case should stop there"
)]

mod answers;
mod children;
mod cuts;
mod decoding;
mod person;

use std::fs;
use std::path::{Path, PathBuf};

use guard_simulation::{Deed, Journey, Recording};
use guard_tasks::{PayloadSchema, RECORD_SCHEMA};

/// The newest release that is recorded; the first is of before payloads and records carried a number. Raised with either schema, and whenever what a release does is worth being held
/// against: then `make record`.
const RELEASE: u32 = 2;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/releases")
}

fn file(release: u32, journey: Journey) -> PathBuf {
    folder().join(release.to_string()).join(format!("{}.json", journey.name()))
}

/// Whether a deed is of one kind.
type IsOfKind = fn(&Deed) -> bool;

/// A recording, and what a failure calls it.
struct Kept {
    name: String,
    recording: Recording,
}

/// One journey of every release.
fn kept(journey: Journey) -> Vec<Kept> {
    let read = |release: u32| {
        let path = file(release, journey);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; `make record` records this release", path.display())
        });
        let name = format!("release {release}, {}", journey.name());
        Kept { name, recording: Recording::of_text(&text).unwrap() }
    };
    (1..=RELEASE).map(read).collect()
}

fn all_kept() -> Vec<Kept> {
    Journey::ALL.into_iter().flat_map(kept).collect()
}

/// `make record` writes what is missing of [`RELEASE`], and nothing else.
#[tokio::test(flavor = "current_thread")]
async fn this_release_is_recorded() {
    if std::env::var_os("RECORD").is_some_and(|value| value == "1") {
        for journey in Journey::ALL {
            let path = file(RELEASE, journey);
            if !path.exists() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let recording = Recording::play(journey).await.unwrap();
                fs::write(&path, recording.to_text().unwrap()).unwrap();
            }
        }
    }
    for journey in Journey::ALL {
        let size = fs::metadata(file(RELEASE, journey)).unwrap().len();
        assert!(size < 1_000_000, "{}: {size} bytes", journey.name());
        let newest = kept(journey).pop().unwrap();
        let scene = newest.recording.scene;
        assert_eq!(
            (scene.record_schema, scene.payload_schema),
            (RECORD_SCHEMA, u32::from(PayloadSchema::CURRENT)),
            "{} is of other schemas than this release: raise RELEASE, then `make record`",
            newest.name
        );
    }
}

/// A recording that lacks a kind of deed would hold nothing against today's code.
#[test]
fn recordings_hold_every_kind_of_deed() {
    for kept in all_kept() {
        let count = |is_it: IsOfKind| kept.recording.events.iter().filter(|event| is_it(&event.deed)).count();
        let kinds: [(&str, IsOfKind); 14] = [
            ("start", |deed| matches!(deed, Deed::Start { .. })),
            ("end", |deed| matches!(deed, Deed::End { .. })),
            ("invoke", |deed| matches!(deed, Deed::Invoke { .. })),
            ("reply", |deed| matches!(deed, Deed::Reply { .. })),
            ("take", |deed| matches!(deed, Deed::Take { .. })),
            ("free", |deed| matches!(deed, Deed::Free { .. })),
            ("move", |deed| matches!(deed, Deed::Move { .. })),
            ("put", |deed| matches!(deed, Deed::Put { .. })),
            ("audit", |deed| matches!(deed, Deed::Audit { .. })),
            ("keep", |deed| matches!(deed, Deed::Keep { .. })),
            ("drop", |deed| matches!(deed, Deed::Drop { .. })),
            ("note", |deed| matches!(deed, Deed::Note { .. })),
            ("send", |deed| matches!(deed, Deed::Send { .. })),
            ("answer", |deed| matches!(deed, Deed::Answer { .. })),
        ];
        for (kind, is_it) in kinds {
            assert!(count(is_it) > 0, "{}: no {kind}", kept.name);
        }
    }
}
