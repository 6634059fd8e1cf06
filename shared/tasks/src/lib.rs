//! Use cases of GUARD, one file a task, and the ports they need.
