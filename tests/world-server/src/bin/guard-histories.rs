//! `guard-histories`: plays a scenario with the project's own interpreter over the fleet of `guard-world`, and prints what
//! each execution went through as JSON. The end-to-end tests compare it with what a Step Functions API tells.

use std::error::Error;
use std::io::{self, Write as _};

use clap::Parser;
use guard_simulation::Scenario;
use guard_world_server::histories::histories;
use guard_world_server::stage::{self, FleetOptions};

/// The states that each execution of a scenario enters, by the project's own interpreter.
#[derive(Debug, Parser)]
#[command(name = "guard-histories")]
struct Arguments {
    /// Its name, as `guard simulate` takes it
    #[arg(long, value_name = "NAME")]
    scenario: String,
    #[command(flatten)]
    fleet: FleetOptions,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let named = Scenario::ALL.into_iter().find(|scenario| scenario.name() == arguments.scenario);
    let scenario = named.ok_or_else(|| format!("--scenario {}: there is none", arguments.scenario))?;
    let told = histories(scenario, stage::fleet(&arguments.fleet)?).await?;
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&told)?)?;
    Ok(())
}
