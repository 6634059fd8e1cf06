//! istioctl as a process: a stub answers with what the real one wrote, ends as it ended, and hangs as it hung.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot set up its case should stop there"
)]

mod answers;
mod collected;
mod endings;
mod place;
mod privacy;
