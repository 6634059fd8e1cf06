//! `guard approve` and `guard reject`: answer the question that a run asks.

use guard_aws::Functions;
use guard_domain::RunId;
use guard_tasks::ErrorName;
use guard_tasks::ledger::QuestionEntry;
use serde_json::{Value, json};

use crate::args::DecisionOptions;
use crate::deployment::Deployment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::{self, Record};
use crate::{print, runs};

pub(crate) async fn run(
    deployment: &Deployment,
    answer: &str,
    options: &DecisionOptions,
) -> Result<Exit, Failure> {
    options.follow.fits(options.wait)?;
    let who = deployment.person(options.who.as_ref())?;
    let Some(live) = runs::live(deployment, &options.batch).await? else {
        return Err(Failure::refused(format!(
            "no run of batch {} is under way: nothing is asked",
            options.batch
        ))
        .next(format!("look at how the last one ended: guard status --batch {}", options.batch)));
    };
    let run_id = RunId::parse(&live.name).map_err(|wrong| Failure::error(wrong.to_string()))?;
    let record = Record { deployment, run_id: &run_id };
    if let Some(asked) = record.entry::<QuestionEntry>("question").await? {
        asked.reasons.iter().for_each(|reason| print::out(&format!("asked      {reason}")));
    }
    let endpoint = deployment.endpoint("LAMBDA")?;
    let functions = Functions::new(
        deployment.transport.clone(),
        deployment.identity.clone(),
        deployment.clock.clone(),
        &deployment.region,
        endpoint.as_ref(),
    );
    let name = format!("{}-answer-decision", deployment.prefix);
    let payload = json!({"run_id": run_id, "answer": answer, "who": who, "reason": options.reason});
    // Not asked again by itself: an answer whose confirmation was lost is told from a refusal by looking.
    let answered = functions.call(&name, &payload).await.map_err(|error| {
        let is_no = error.name == ErrorName::Rejected;
        let failure = if is_no { Failure::refused(error.chain()) } else { Failure::from(error) };
        failure.next(format!("look whether it still waits: guard status --batch {}", options.batch))
    })?;
    let summary = answered.get("summary").and_then(Value::as_str).unwrap_or_default();
    print::out(&format!("answered   {answer}, by {who}: {summary}"));
    if options.wait {
        return follow::to_the_end(deployment, &live.arn, &options.follow).await;
    }
    print::note(&follow::come_back(deployment, &live.arn));
    Ok(Exit::Done)
}
