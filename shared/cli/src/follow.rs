//! Following a run to its end.

mod screen;
mod trail;
mod watch;

use std::future;
use std::io;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use guard_aws::{Execution, ExecutionState};
use guard_domain::Phase;
use guard_domain::soak::SoakOutcome;
use guard_tasks::ErrorName;
use jiff::SignedDuration;
use serde_json::Value;

use crate::args::FollowOptions;
use crate::deployment::{Deployment, Machine, machine_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::print;
use crate::surroundings::pause;

pub(crate) use screen::{Screen, headline, length, soak, waiting};
pub(crate) use watch::{Look, Record, Watch};

/// Looks in a row without an answer, each of several attempts, before it is said that nobody can tell.
const SILENT_LOOKS: u32 = 5;

/// Follows an execution until it ends, and says how. Whatever happens here, the run itself goes on.
///
/// A second start of a request does nothing and ends well; how the wish ended, its first start tells.
pub(crate) async fn to_the_end(
    deployment: &Deployment,
    arn: &str,
    options: &FollowOptions,
) -> Result<Exit, Failure> {
    let ended = until_it_ends(deployment, arn, options).await?;
    let Some(first) = first_start(&ended.root) else { return told(deployment, &ended).await };
    print::out(&ending(&ended.root).unwrap_or_default());
    let first = until_it_ends(deployment, first, options).await?;
    told(deployment, &first).await
}

/// The execution that a second start points to.
fn first_start(root: &Execution) -> Option<&str> {
    let text = |name: &str| root.output.get(name).and_then(Value::as_str);
    text("first_execution").filter(|first| text("outcome") == Some("AlreadyStarted") && *first != root.arn)
}

async fn until_it_ends(deployment: &Deployment, arn: &str, options: &FollowOptions) -> Result<Look, Failure> {
    let mut interrupt = Interrupt::new();
    // Listens from here on: whenever it comes, it ends the following and nothing else.
    interrupt.is_there_already().await;
    let mut watch = Watch::new(deployment, arn).await?;
    let mut screen = Screen::begin();
    let begun_at = deployment.clock.now();
    let mut silent = 0;
    let mut waits = false;
    loop {
        match watch.look().await {
            Ok(look) => {
                silent = 0;
                waits = look.waits_for.is_some();
                screen.show(&look, deployment.clock.now());
                if look.root.state != ExecutionState::Running {
                    screen.end();
                    return Ok(look);
                }
            }
            Err(error) if matches!(error.name, ErrorName::Transient | ErrorName::Throttled) => {
                silent += 1;
                screen.line(&format!("no answer, looking again: {error}"));
                if silent >= SILENT_LOOKS {
                    screen.end();
                    return Err(Failure::from(error).next(come_back(deployment, arn)));
                }
            }
            Err(error) => {
                screen.end();
                return Err(Failure::from(error).next(come_back(deployment, arn)));
            }
        }
        let most = options.wait_minutes.map(|minutes| SignedDuration::from_mins(minutes.into()));
        if most.is_some_and(|most| deployment.clock.now().duration_since(begun_at) >= most) {
            screen.end();
            let exit = if waits { Exit::WaitsForPerson } else { Exit::Unknown };
            let why = if waits { "it waits for a person" } else { "it is still under way" };
            return Err(Failure::new(exit, format!("followed long enough, the run goes on: {why}"))
                .next(come_back(deployment, arn)));
        }
        if !interrupt.within(Duration::from_secs_f64(options.poll_seconds)).await {
            continue;
        }
        screen.end();
        return Err(Failure::new(Exit::Unknown, "not followed any more; the run goes on")
            .next(come_back(deployment, arn)));
    }
}

/// Ctrl-C, which a person presses when they have seen enough.
struct Interrupt(BoxFuture<'static, io::Result<()>>);

impl Interrupt {
    fn new() -> Self {
        Self(tokio::signal::ctrl_c().boxed())
    }

    /// Asked once, it is listened for.
    async fn is_there_already(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = &mut self.0 => true,
            () = future::ready(()) => false,
        }
    }

    /// Waits for it this long.
    async fn within(&mut self, length: Duration) -> bool {
        tokio::select! {
            _ = &mut self.0 => true,
            () = pause(length) => false,
        }
    }
}

/// The command that follows it again.
pub(crate) fn come_back(deployment: &Deployment, arn: &str) -> String {
    format!("follow it again: guard monitor{} --execution {arn}", deployment.same_target())
}

/// How it ended, with everything a person needs to go on.
async fn told(deployment: &Deployment, look: &Look) -> Result<Exit, Failure> {
    let root = &look.root;
    let exit = exit_of(deployment, root).await?;
    let word = root.error.as_deref().unwrap_or(root.state.as_str());
    let took = root.stopped_at.map(|end| length(root.started_at, end)).unwrap_or_default();
    let good = exit == Exit::Done;
    print::verdict(&format!("{} after {took}: {word}", root.name), good);
    if let Some(text) = ending(root) {
        print::out(&text);
    }
    if let Some(batch) = &look.batch
        && look.machine != Machine::ClusterConverge
    {
        crate::list::batch_table(deployment, batch).await?;
    }
    if let Some(next) = next_step(exit, word, look) {
        print::note(&next);
    }
    Ok(exit)
}

/// What the execution says for itself.
fn ending(root: &Execution) -> Option<String> {
    if let Some(cause) = &root.cause {
        return Some(cause.clone());
    }
    let summary = root.output.get("summary").and_then(Value::as_str);
    summary.or_else(|| root.output.as_str()).map(str::to_owned)
}

/// The code of an execution; that of a rollout is its halted batch's, which tells more than that it halted.
async fn exit_of(deployment: &Deployment, root: &Execution) -> Result<Exit, Failure> {
    let exit = Exit::of(root);
    if exit == Exit::Done || machine_of(&root.arn) != Some(Machine::Rollout) {
        return Ok(exit);
    }
    let history = deployment.ask(|| deployment.machines.history(&root.arn, 0)).await?;
    let last = history.events.iter().rev().find_map(|event| match &event.what {
        guard_aws::Happened::Entered { state, input } if state == "StartBatch" => {
            input.pointer("/next/child").and_then(Value::as_str)
        }
        _ => None,
    });
    let Some(name) = last else { return Ok(exit) };
    let arn = deployment.machine(Machine::BatchUpgrade).await?.execution(name);
    let child = deployment.ask(|| deployment.machines.execution(&arn)).await?;
    let of_child = child.as_ref().map(Exit::of).filter(|exit| *exit != Exit::Done);
    Ok(of_child.unwrap_or(exit))
}

fn next_step(exit: Exit, word: &str, look: &Look) -> Option<String> {
    let section = "docs/runbook.md says what to do";
    match exit {
        Exit::Done | Exit::Usage => None,
        Exit::Error => Some(format!(
            "what it left behind: guard status{}; {section}",
            look.batch.as_ref().map(|batch| format!(" --batch {batch}")).unwrap_or_default()
        )),
        Exit::Refused | Exit::RolledBack | Exit::WaitsForPerson | Exit::Unknown => {
            Some(format!("{section}: section {word}"))
        }
    }
}

pub(crate) fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Planned => "planned",
        Phase::Converged => "soaking",
        Phase::Soaked => "soaked",
        Phase::Checked => "checked",
        Phase::Failed => "failed",
        Phase::RolledBack => "rolled back",
        Phase::Unknown => "unknown",
        Phase::LeftOut => "left out",
    }
}

pub(crate) fn soak_word(outcome: SoakOutcome) -> &'static str {
    match outcome {
        SoakOutcome::Pass => "pass",
        SoakOutcome::Fail => "fail",
        SoakOutcome::Marginal => "too close to call",
        SoakOutcome::External => "an outside cause",
        SoakOutcome::Insufficient => "not enough data yet",
    }
}
