//! Datadog metrics and monitors.
