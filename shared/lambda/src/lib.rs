//! Settings, telemetry and the Lambda boundary.
