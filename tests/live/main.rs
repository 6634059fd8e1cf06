//! The contract of the ports to the outside: one suite a vendor, held against the simulated world in every run of the
//! tests, and against real systems by `make live`, where variables say which. What the world answers and what the real
//! system answers must mean the same to GUARD.
//!
//! | suite | variables |
//! |---|---|
//! | AWS | `AWS_TEST_REGION`, `AWS_TEST_ROLE_ARN`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`; may: `AWS_SESSION_TOKEN`, `AWS_TEST_EXTERNAL_ID`, `AWS_TEST_CLUSTER` |
//! | GitLab | `GITLAB_TEST_TOKEN`, `GITLAB_TEST_PROJECT_ID`; may: `GITLAB_TEST_URL` (https://gitlab.com), `GITLAB_TEST_BRANCH` (main), `GITLAB_TEST_PATH`; writes: `GITLAB_TEST_ALLOW_WRITE=true` |
//! | Kubernetes | `KUBECONFIG`, `K8S_TEST_CONTEXT` |
//! | Datadog | `DATADOG_TEST_API_KEY`, `DATADOG_TEST_APP_KEY`; may: `DATADOG_TEST_SITE` (datadoghq.com), `DATADOG_TEST_CLUSTER`, `DATADOG_TEST_ENV` |
//! | the walk: a dry run of one batch | those of GitLab, Kubernetes and Datadog, `GUARD_TEST_ROW` (a file with one registry row, JSON), `GUARD_TEST_TARGET_VERSION` |
//!
//! Every suite but GitLab's writing one goes through a transport that lets nothing but reads out. Without
//! `GUARD_LIVE=true`, which `make live` sets, no variable is looked at: a shell that happens to name a cluster must not
//! bring the ordinary tests to it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod clusters;
mod environment;
mod git;
mod kubeconfig;
mod metrics;
mod read_only;
mod walk;
mod world;
