//! World, state machines, tasks and adapters in one process, in virtual time.
