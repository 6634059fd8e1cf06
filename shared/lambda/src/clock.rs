//! The real time.

use guard_tasks::Clock;
use jiff::Timestamp;

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock behind the port")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
