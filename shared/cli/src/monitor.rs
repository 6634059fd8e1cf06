//! `guard monitor`: follow a run.

use crate::args::MonitorOptions;
use crate::deployment::Deployment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{follow, runs};

pub(crate) async fn run(deployment: &Deployment, options: &MonitorOptions) -> Result<Exit, Failure> {
    let arn = match (&options.execution, &options.batch) {
        (Some(arn), _) => arn.clone(),
        (None, Some(batch)) => runs::current(deployment, batch).await?.arn,
        (None, None) => runs::only_live(deployment).await?.arn,
    };
    follow::to_the_end(deployment, &arn, &options.follow).await
}
