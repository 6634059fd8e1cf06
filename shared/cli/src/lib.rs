//! The guard command.
