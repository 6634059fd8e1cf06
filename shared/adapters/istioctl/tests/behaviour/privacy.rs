//! What istioctl gets to see, and what nobody else does.

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::place::{Place, TOKEN, said, why};

#[tokio::test]
async fn the_kubeconfig_is_private_and_goes_with_the_call() {
    let place = Place::new();
    said(place.analyze().await);
    assert_eq!(place.left("modes"), "700\n600\n");
    let config: Value = serde_json::from_str(&place.left("kubeconfig")).unwrap();
    assert_eq!(config["clusters"][0]["cluster"]["server"], "https://abc.eks.example");
    let authority = config["clusters"][0]["cluster"]["certificate-authority-data"].as_str().unwrap();
    assert_eq!(BASE64_STANDARD.decode(authority).unwrap(), b"the authority");
    assert_eq!(config["users"][0]["user"]["token"], TOKEN);
    assert_eq!(config["current-context"], "eks-1");
    assert_eq!(place.scratch(), Vec::<PathBuf>::new());
    place.write("analyze.code", "1");
    why(place.analyze().await);
    assert_eq!(place.scratch(), Vec::<PathBuf>::new(), "after a failure too");
}

/// Two calls at once, as in one warm function, never meet.
#[tokio::test]
async fn every_call_has_a_folder_of_its_own() {
    let place = Place::new();
    let folder = |words: &str| words.lines().find(|word| word.ends_with("/kubeconfig")).unwrap().to_owned();
    said(place.analyze().await);
    let first = folder(&place.left("analyze.words"));
    said(place.analyze().await);
    assert_ne!(first, folder(&place.left("analyze.words")));
}

#[tokio::test]
async fn nothing_of_our_environment_reaches_it() {
    let place = Place::new();
    said(place.analyze().await);
    let environment = place.left("environment");
    let names: Vec<&str> = environment.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    // The shell of the stub adds some of its own.
    let ours: Vec<&str> =
        names.into_iter().filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)).collect();
    assert!(ours.iter().all(|name| ["HOME", "TMPDIR"].contains(name)), "{ours:?}");
    assert!(std::env::vars_os().count() > 4, "there was something to pass on");
}

#[tokio::test]
async fn a_token_that_istioctl_tells_is_told_to_nobody() {
    let place = Place::new();
    place.write("analyze.code", "1");
    place.write("analyze.stderr", format!("Error: bad token {TOKEN}\n"));
    let why = why(place.analyze().await);
    assert!(why.contains("bad token (token)") && !why.contains("hush"), "{why}");
}
