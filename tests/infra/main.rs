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
