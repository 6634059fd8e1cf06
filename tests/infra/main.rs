//! infra/ held against what it deploys: functions and folders, machines and tokens, roles and ports, schedules, alarms,
//! the member account's role and the ClusterRole. Read as CloudFormation reads it, without an account.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the template has failed")]

mod access;
mod again;
mod examples;
mod functions;
mod machines;
mod members;
mod ports;
mod stack;
mod watch;
mod yaml;

/// What the stack has already and the sources read soon.
const COMING: [&str; 9] = [
    "validate",
    "merge-webhook",
    "GUARD_CONFIG_PARAMETER",
    "GUARD_GITLAB_WEBHOOK_SECRET",
    "GUARD_WATCH_MERGES_FUNCTION",
    "GUARD_NOTIFICATION_WEBHOOK_SECRET",
    "GUARD_PAGERDUTY_KEY_SECRET",
    "GUARD_PAGERDUTY_URL",
    "GUARD_EXTERNAL_ID",
];
