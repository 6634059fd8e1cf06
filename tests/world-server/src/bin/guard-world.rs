//! `guard-world`: the simulated outside world on loopback sockets, on this machine's wall clock.
//!
//! That clock may be a scaled one (libfaketime); functions that share it live in the same time as the world.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use guard_world::{Pace, World};
use guard_world_server::control;
use guard_world_server::stage::{self, FleetOptions};
use jiff::Timestamp;
use tokio::net::TcpListener;

/// A simulated GitLab, Datadog, STS, EKS and Kubernetes on 127.0.0.1, until it is killed.
#[derive(Debug, Parser)]
#[command(name = "guard-world")]
struct Arguments {
    /// Where config.yaml, registry.json and, last, world.json are written
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
    /// Let GitLab's token merge and push to the protected branch: for clients that try everything, never for GUARD
    #[arg(long)]
    token_may_merge: bool,
    #[command(flatten)]
    fleet: FleetOptions,
}

#[expect(clippy::disallowed_methods, reason = "the world of this process follows the wall clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut fleet = stage::fleet_of_today(&arguments.fleet, now())?;
    fleet.world.token_may_merge = arguments.token_may_merge;
    let world = World::new(fleet.world.clone());
    let served = guard_world::serve(world.clone(), Pace::Wall).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let control_url = format!("http://{}", listener.local_addr()?);
    stage::write_kubeconfigs(&arguments.folder, &world, &served)?;
    stage::write(&arguments.folder, &fleet, &served, &control_url)?;
    control::serve(listener, world, now).await?;
    Ok(())
}
