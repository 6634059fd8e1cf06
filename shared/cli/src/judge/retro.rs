//! `guard judge --retro`: what GUARD would have said of a past upgrade. Trust is earned before it may act.

use guard_domain::soak::{HISTORY_DAYS, Moment, STEP, SoakVerdict, Soaked, judge};
use guard_domain::{ClusterId, ClusterRecord, Config};
use guard_tasks::{ClusterReader as _, HistoryAsked, HistoryReader as _};
use jiff::SignedDuration;
use serde::Serialize;

use super::report::coloured;
use crate::args::JudgeOptions;
use crate::deployment::Deployment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::print::{self, say};

/// One verdict as a document.
#[derive(Serialize)]
struct Document<'a> {
    cluster_id: &'a ClusterId,
    changed_at: String,
    soak_from: String,
    soak_until: String,
    beside: Vec<&'a ClusterId>,
    #[serde(flatten)]
    verdict: &'a SoakVerdict,
}

pub(super) async fn run(deployment: &Deployment, options: &JudgeOptions) -> Result<Exit, Failure> {
    let asked = &options.retro;
    let (Some(id), Some(changed_at)) = (&asked.cluster, asked.at) else {
        return Err(Failure::usage("--retro needs --cluster and --at"));
    };
    let config = config(deployment).await?;
    let minutes = |count: u32| SignedDuration::from_mins(count.into());
    let soak = asked.soak_minutes.unwrap_or(config.validation.soak_period_minutes);
    let outside = |_| Failure::usage(format!("--at {changed_at} is no time that can be looked at"));
    let from = changed_at.checked_add(minutes(asked.restart_minutes)).map_err(outside)?;
    let until = from.checked_add(minutes(soak)).map_err(outside)?;
    let since = changed_at.checked_sub(SignedDuration::from_hours(24 * HISTORY_DAYS)).map_err(outside)?;
    let now = deployment.clock.now();
    if until > now {
        return Err(Failure::usage(format!("the soak would end at {until}, which is not over: it is {now}"))
            .next("give an earlier --at, or fewer --soak-minutes"));
    }
    let moment = Moment { changed_at, from, until, is_over: true };

    let mut rows = vec![row(deployment, id).await?];
    for control in &asked.beside {
        let control = row(deployment, control).await?;
        if control.cluster_id == *id || control.environment != rows[0].environment {
            return Err(Failure::usage(format!(
                "--beside {}: a control is another cluster of the environment {}",
                control.cluster_id, rows[0].environment
            )));
        }
        rows.push(control);
    }
    let secret = deployment.datadog_secret();
    let secrets = deployment.secrets()?;
    let keys = deployment.ask(|| secrets.read(&secret)).await?;
    let datadog = deployment.datadog(&config, &secret, &keys)?;
    let seen = deployment.ask(|| datadog.history(&rows, HistoryAsked::All, since, until)).await?;

    let soaked: Vec<Soaked<'_>> = rows
        .iter()
        .map(|row| Soaked { environment: &row.environment, history: seen.get(&row.cluster_id) })
        .collect();
    let (own, controls) = soaked.split_at(1);
    let verdict = judge(own, controls, moment, &config.validation)
        .pop()
        .ok_or_else(|| Failure::error(format!("{id}: nothing was judged")))?;
    if options.json {
        print::json(&Document {
            cluster_id: id,
            changed_at: changed_at.to_string(),
            soak_from: from.to_string(),
            soak_until: until.to_string(),
            beside: asked.beside.iter().collect(),
            verdict: &verdict,
        })?;
    } else {
        say!("{} {id}, soak {from} to {until}, points of {} minutes", coloured(verdict.outcome), STEP / 60);
        for reason in &verdict.reasons {
            say!("  {reason}");
        }
    }
    Ok(super::exit(verdict.outcome))
}

/// The document that the functions read, or the file that is named.
async fn config(deployment: &Deployment) -> Result<Config, Failure> {
    let (name, text) = if let Some(file) = deployment.variable("GUARD_CONFIG_FILE") {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::error(format!("configuration {file}: {error}")))?;
        (file.clone(), text)
    } else {
        let name = deployment.config_parameter();
        let text = deployment.config_text(&name).await??;
        (format!("parameter {name}"), text)
    };
    let (config, problems) = crate::validate::document::read(&text);
    match (config, problems.as_slice()) {
        (Some(config), []) => Ok(config),
        (_, problems) => Err(Failure::error(format!("configuration {name}: {}", problems.join("; ")))
            .next("guard validate tells every problem")),
    }
}

async fn row(deployment: &Deployment, id: &ClusterId) -> Result<ClusterRecord, Failure> {
    let found = deployment.ask(|| deployment.stores.cluster(id)).await?;
    found.ok_or_else(|| Failure::error(format!("{id} is not in the registry")).next("guard list names them"))
}
