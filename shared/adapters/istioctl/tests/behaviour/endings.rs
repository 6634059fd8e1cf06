//! Runs that do not come to their end, and programs that do not run.

use std::process::Command;
use std::time::Duration;

use guard_domain::analyzer::AtHand;
use guard_tasks::ConfigurationAnalyzer as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::{OpenOptions, Receiver};

use crate::place::{Place, row, why};

/// A pipe that ends when the last of what the stub started has ended.
fn alive(place: &Place) -> Receiver {
    assert!(Command::new("mkfifo").arg(place.path("alive")).status().unwrap().success());
    OpenOptions::new().open_receiver(place.path("alive")).unwrap()
}

/// True when nobody holds the other end any more. The limit is for the case that somebody does for ever.
async fn has_ended(pipe: &mut Receiver) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(30), pipe.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_what_it_started() {
    let place = Place::new();
    let mut pipe = alive(&place);
    place.write("analyze.hangs", "");
    let why = why(place.analyze_shortly().await);
    assert!(why.contains("had not ended after 2 s and was killed"), "{why}");
    assert!(has_ended(&mut pipe).await, "its child lives on");
    assert_eq!(place.scratch(), Vec::<std::path::PathBuf>::new());
}

/// Lambda, or whoever waits, may give the call up in the middle.
#[tokio::test]
async fn a_call_that_is_given_up_leaves_nothing_behind() {
    let place = Place::new();
    let mut pipe = alive(&place);
    place.write("analyze.hangs", "");
    let istioctl = place.istioctl();
    let mut started = [0; 8];
    let cluster = row();
    tokio::select! {
        ended = istioctl.analyze(&cluster) => panic!("{ended:?}"),
        read = begun(&mut pipe, &mut started) => read,
    }
    assert_eq!(&started, b"started\n");
    assert!(has_ended(&mut pipe).await, "its child lives on");
    assert_eq!(place.scratch(), Vec::<std::path::PathBuf>::new());
}

/// Waits for the stub's first words; before it opens the pipe, reading finds its end.
async fn begun(pipe: &mut Receiver, words: &mut [u8]) {
    loop {
        pipe.readable().await.unwrap();
        if pipe.try_read(words).is_ok_and(|read| read > 0) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let place = Place::new();
    place.write("analyze.stdout", vec![b'['; 9 * 1024 * 1024]);
    let why = why(place.analyze().await);
    assert_eq!(why, "istioctl wrote more than 8388608 bytes");
}

/// A pipe holds 64 kB: who writes more waits for somebody to read it.
#[tokio::test]
async fn complaints_without_end_hold_nothing_up() {
    let place = Place::new();
    place.write("analyze.stderr", "x".repeat(3 * 1024 * 1024));
    assert_eq!(crate::place::said(place.analyze().await), []);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_from_one_that_does_not_run() {
    let place = Place::empty();
    let missing = place.program().display().to_string();
    assert_eq!(place.istioctl().at_hand().await, AtHand::Nothing(missing));
    assert_eq!(why(place.analyze().await), "there is no such program");
    place.write("istioctl", "#!/bin/sh\n");
    let AtHand::Broken(why) = place.istioctl().at_hand().await else { panic!("it ran") };
    assert!(why.contains("cannot be started: Permission denied"), "{why}");
}

#[tokio::test]
async fn a_cluster_that_is_not_active_is_not_asked() {
    let place = Place::new().updating();
    assert_eq!(why(place.analyze().await), "EKS says UPDATING");
    assert!(!place.path("list.words").exists());
}
