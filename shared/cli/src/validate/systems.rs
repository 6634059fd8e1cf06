//! Secrets, GitLab and Datadog: readable, reachable, and allowed to do what GUARD needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use guard_aws::Secrets;
use guard_datadog::Datadog;
use guard_domain::{ClusterRecord, Config};
use guard_gitlab::GitLab;
use guard_tasks::{CommitReader as _, FileReader as _, MonitorReader as _, TrafficReader as _};
use jiff::SignedDuration;
use secrecy::SecretString;

use super::{Found, Report, not_answered};
use crate::deployment::Deployment;
use crate::failure::Failure;

/// A token that ends sooner than this is told: a campaign takes weeks.
const TOKEN_LEFT: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What traffic is asked of Datadog, to see that it may be asked.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);

pub(super) async fn check(
    report: &mut Report,
    deployment: &Deployment,
    config: Option<&Config>,
    rows: &[ClusterRecord],
) -> Result<(), Failure> {
    let secrets = deployment.secrets()?;
    let named = |variable: &str, default: &str| {
        deployment.variable(variable).cloned().unwrap_or_else(|| default.to_owned())
    };
    let token = named("GUARD_GITLAB_TOKEN_SECRET", "guard/gitlab-token");
    let token = secret(report, deployment, &secrets, &token).await;
    let keys_name = deployment.datadog_secret();
    let keys = secret(report, deployment, &secrets, &keys_name).await;
    // Unset is off: a channel that nobody named is not asked for.
    for variable in ["GUARD_NOTIFICATION_WEBHOOK_SECRET", "GUARD_PAGERDUTY_KEY_SECRET"] {
        if let Some(name) = deployment.variable(variable) {
            secret(report, deployment, &secrets, name).await;
        }
    }
    let skipped = |what: &str| Found::Skipped(format!("not asked, for {what} is missing"));
    let Some(config) = config else {
        report.add("GitLab", skipped("the configuration"));
        report.add("Datadog", skipped("the configuration"));
        return Ok(());
    };
    match token {
        None => report.add("GitLab", skipped("its token")),
        Some(_) if config.gitlab.url.is_empty() => report.add("GitLab", skipped("its address")),
        Some(token) => {
            let gitlab = GitLab::new(Arc::clone(&deployment.transport), &config.gitlab.url, token);
            gitlab_access(report, deployment, &gitlab, config, rows).await;
        }
    }
    let datadog = keys.map(|document| deployment.datadog(config, &keys_name, &document));
    match datadog {
        None => report.add("Datadog", skipped("its keys")),
        Some(Err(error)) => report.add("Datadog", not_answered(&error)),
        Some(Ok(datadog)) => datadog_access(report, deployment, &datadog, config, rows).await,
    }
    Ok(())
}

async fn secret(
    report: &mut Report,
    deployment: &Deployment,
    secrets: &Secrets,
    name: &str,
) -> Option<SecretString> {
    let what = format!("secret {name}");
    match deployment.ask(|| secrets.read(name)).await {
        Ok(secret) => {
            report.add(&what, Found::Fine("readable".to_owned()));
            Some(secret)
        }
        Err(error) => {
            report.add(&what, not_answered(&error));
            None
        }
    }
}

async fn gitlab_access(
    report: &mut Report,
    deployment: &Deployment,
    gitlab: &GitLab,
    config: &Config,
    rows: &[ClusterRecord],
) {
    match deployment.ask(|| gitlab.token()).await {
        Ok(facts) => {
            let mut problems = facts.problems();
            let now = deployment.clock.now();
            let day = (now + TOKEN_LEFT).to_zoned(jiff::tz::TimeZone::UTC).date();
            if let Some(end) = facts.expires_at.filter(|end| *end <= day) {
                problems.push(format!("the token ends on {end}; renew it before the next campaign"));
            }
            report.add_all("GitLab token", problems, "alive, with the scope api");
        }
        Err(error) => report.add("GitLab token", not_answered(&error)),
    }
    let projects: BTreeSet<&String> = rows.iter().map(|row| &row.gitlab_repo).collect();
    let branch = &config.gitlab.default_target_branch;
    for project in projects {
        let what = format!("GitLab project {project}");
        let problems = deployment.ask(|| gitlab.project_problems(project)).await;
        let is_answered = problems.is_ok();
        report.add_answer(&what, problems, "reachable, with a role that pushes");
        if !is_answered {
            continue;
        }
        let head = match deployment.ask(|| gitlab.head(project, branch)).await {
            Ok(head) => head,
            Err(error) => {
                report.add(&format!("{what}, branch {branch}"), not_answered(&error));
                continue;
            }
        };
        let own: BTreeSet<&String> =
            rows.iter().filter(|row| row.gitlab_repo == *project).map(|row| &row.flux_config_path).collect();
        let mut missing = Vec::new();
        for path in &own {
            let wanted = [path.as_str()];
            match deployment.ask(|| gitlab.yaml_files(project, &wanted, &head)).await {
                Ok(files) if files.is_empty() => {
                    missing.push(format!("{path} holds no YAML file on {branch}"));
                }
                Ok(_) => {}
                Err(error) => report.add(&format!("{what}, {path}"), not_answered(&error)),
            }
        }
        report.add_all(&format!("{what}, Flux files"), missing, &format!("{} paths on {branch}", own.len()));
    }
}

async fn datadog_access(
    report: &mut Report,
    deployment: &Deployment,
    datadog: &Datadog,
    config: &Config,
    rows: &[ClusterRecord],
) {
    let site = &config.datadog.site;
    let Some(row) = rows.first() else {
        report.add("Datadog", Found::Skipped("not asked, for the registry is empty".to_owned()));
        return;
    };
    let now = deployment.clock.now();
    let one = std::slice::from_ref(row);
    let traffic = deployment.ask(|| datadog.traffic(one, now - WINDOW, now)).await;
    report.add_answer(
        &format!("Datadog {site}, metrics"),
        traffic.map(|_| Vec::new()),
        "may be read: timeseries_query",
    );
    let monitors = deployment.ask(|| datadog.monitors(row)).await;
    report.add_answer(
        &format!("Datadog {site}, monitors"),
        monitors.map(|_| Vec::new()),
        "may be read: monitors_read",
    );
}
