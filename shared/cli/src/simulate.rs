//! `guard simulate`.

use std::fs;
use std::path::Path;

use guard_simulation::{Chaos, Fleet, FluxFile, Scenario, Story, StoryError, invariants};

use crate::args::SimulateOptions;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::print::{self, say};
use crate::progress::Progress;

/// Why a simulation did not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SimulateError {
    /// The Flux file cannot be read.
    #[error("--flux-file {path}: {cause}")]
    File { path: String, cause: String },
    /// Only two scenarios say how a rollout over several batches ends.
    #[error("--batches: scenario {0} is told of one batch; take clean or regression for several")]
    Batches(&'static str),
    /// The stage cannot be set.
    #[error(transparent)]
    Story(#[from] StoryError),
}

impl From<SimulateError> for Failure {
    fn from(error: SimulateError) -> Self {
        Self::error(error.to_string())
    }
}

pub(crate) async fn run(options: &SimulateOptions) -> Result<Exit, Failure> {
    if options.faults {
        return faults(options.seed).await;
    }
    let scenario = options.scenario;
    let file = options.flux_file.as_deref().map(read).transpose()?;
    if options.batches > 1 && !matches!(scenario, Scenario::Clean | Scenario::Regression) {
        return Err(SimulateError::Batches(scenario.name()).into());
    }
    let fleet = Fleet::new(options.clusters, options.seed, file.as_ref(), options.target_version.clone())
        .and_then(|fleet| fleet.in_batches(options.batches))
        .map_err(|error| SimulateError::from(StoryError::from(error)))?;
    let story = Story::new(scenario, fleet).map_err(SimulateError::from)?;
    if !options.json {
        print::story::opening(scenario, story.fleet());
    }
    let progress = Progress::begin(story.fleet().world.start);
    let live = progress.clone();
    story.observe(move |transition| live.saw(transition));
    let report = story.play().await.map_err(SimulateError::from)?;
    progress.end();
    if options.json {
        print::json(&report)?;
    } else {
        print::story::report(&report);
    }
    Ok(if report.surprises.is_empty() { Exit::Done } else { Exit::Error })
}

/// A story in which much goes wrong, and whether every invariant held.
async fn faults(seed: u64) -> Result<Exit, Failure> {
    let chaos = Chaos::of(seed);
    let ended = chaos.play().await.map_err(SimulateError::from)?;
    say!("Seed {seed}: {}", chaos.in_words());
    for line in &ended.trace {
        say!("  {line}");
    }
    for (name, end) in &ended.ends {
        say!("{name} ended as {end}");
    }
    for (name, _) in invariants::ALL {
        let broken: Vec<&str> =
            ended.broken.iter().filter(|one| one.invariant == name).map(|one| one.what.as_str()).collect();
        say!("{} {name}", if broken.is_empty() { "held   " } else { "BROKEN " });
        for what in broken {
            say!("        {what}");
        }
    }
    let Some(first) = ended.broken.first() else { return Ok(Exit::Done) };
    let shortest = chaos.shortest(first.invariant).await.map_err(SimulateError::from)?;
    let short = shortest.play().await.map_err(SimulateError::from)?;
    say!("The shortest story that breaks {}: {}", first.invariant, shortest.in_words());
    for line in &short.trace {
        say!("  {line}");
    }
    Ok(Exit::Error)
}

fn read(path: &Path) -> Result<FluxFile, SimulateError> {
    let refuse = |cause: String| SimulateError::File { path: path.display().to_string(), cause };
    let bytes = fs::read(path).map_err(|error| refuse(error.to_string()))?;
    let content = String::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8 text".to_owned()))?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("istio.yaml");
    // GUARD looks for YAML files in a cluster's folder.
    let name = if Path::new(name).extension().is_some_and(|end| end == "yaml" || end == "yml") {
        name.to_owned()
    } else {
        format!("{name}.yaml")
    };
    Ok(FluxFile { name, content })
}
