//! Real Flux files, where they lie beside the project.

use std::path::PathBuf;

/// The folder of collected HelmReleases; without one it says that it skips.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the one variable that tells where the collection lies"
)]
pub fn helmreleases() -> Option<PathBuf> {
    let Ok(folder) = std::env::var("GUARD_FIXTURES") else {
        println!("skipped: GUARD_FIXTURES names no folder; our own files prove the same properties");
        return None;
    };
    Some(PathBuf::from(folder).join("helmreleases"))
}
