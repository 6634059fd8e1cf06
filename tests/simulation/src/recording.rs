//! What one journey of a release left behind, as a file: what its functions and children were given and answered, what it
//! wrote to the stores, and what it changed outside. Reads are left out.
//!
//! The words here are the file's own and do not follow GUARD's types: a recording is kept for good and is read by releases
//! that did not write it. One JSON object a line; the first says where it was played.

use guard_domain::{ClusterRecord, IstioVersion};
use guard_tasks::{PayloadSchema, RECORD_SCHEMA};
use guard_world::Regression;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fleet::{Fleet, FleetError};
use crate::house::House;
use crate::story::StoryError;

/// A journey that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journey {
    /// Two clusters reach the target.
    Clean,
    /// One of them does worse there and is taken back.
    Regression,
}

impl Journey {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Clean, Self::Regression];

    /// Its name, and its file's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Regression => "regression",
        }
    }
}

/// Where a journey was played: enough to build the same house again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// [`RECORD_SCHEMA`] of the release.
    pub record_schema: u32,
    /// [`PayloadSchema::CURRENT`] of the release.
    pub payload_schema: u32,
    /// Of the fleet.
    pub seed: u64,
    /// The version that ran.
    pub start: String,
    /// The version to go to.
    pub target: String,
    /// Minutes of its soak.
    pub soak_minutes: u32,
    /// The cluster that does worse at the target.
    pub regresses: Option<String>,
    /// The registry before.
    pub rows: Vec<Value>,
}

/// Something that the release did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Virtual time.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub deed: Deed,
}

/// What a release does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum Deed {
    /// An execution started.
    Start {
        /// Its machine.
        machine: String,
        /// Its name.
        name: String,
        /// What it was given.
        input: Value,
    },
    /// An execution ended.
    End {
        /// Its machine.
        machine: String,
        /// Its name.
        name: String,
        /// As Step Functions says.
        status: String,
        /// What it gave.
        output: Option<Value>,
    },
    /// A function was called.
    Invoke {
        /// Which.
        function: String,
        /// By which execution, if any.
        execution: Option<String>,
        /// By which state of it.
        state: Option<String>,
        /// What it was given.
        payload: Value,
    },
    /// It answered.
    Reply {
        /// Which.
        function: String,
        /// By which state it was called.
        state: Option<String>,
        /// Its answer.
        output: Option<Value>,
        /// The error's name and words instead.
        error: Option<String>,
    },
    /// Locks were taken.
    Take {
        /// The lease that came of it.
        lease: Held,
        /// For this execution.
        execution_arn: String,
        /// The clusters.
        clusters: Vec<String>,
        /// In place of this execution.
        replacing: Option<String>,
    },
    /// Locks were freed.
    Free {
        /// Which.
        lease: Held,
    },
    /// A cluster got a status.
    Move {
        /// Under which lease.
        lease: Held,
        /// Which cluster.
        cluster: String,
        /// The status it had.
        from: String,
        /// The status it got.
        to: String,
        /// `aim`, `forget`, `reached` or `went_back`, with the version.
        version: Option<(String, Option<String>)>,
        /// The merge request it is about.
        merge_request_url: Option<String>,
    },
    /// An entry of the run's record was written.
    Put {
        /// Under which lease.
        lease: Held,
        /// Its name.
        entry: String,
        /// Its value.
        value: Value,
    },
    /// A line of the audit log was written.
    Audit {
        /// Under which lease.
        lease: Held,
        /// Who acted.
        who: String,
        /// What happened.
        what: String,
    },
    /// A task token was kept.
    Keep {
        /// Under which lease.
        lease: Held,
        /// `upgrade`, `rollback` or `decision`.
        waits_for: String,
        /// When waiting ends.
        until: Timestamp,
        /// The token.
        token: String,
    },
    /// A task token was forgotten.
    Drop {
        /// Under which lease.
        lease: Held,
        /// `upgrade`, `rollback` or `decision`.
        waits_for: String,
        /// The token.
        token: String,
    },
    /// A start was noted.
    Note {
        /// The machine.
        machine: String,
        /// The batch.
        batch: Option<String>,
        /// The request.
        request: String,
        /// The execution that was first.
        execution_arn: String,
    },
    /// Something outside was asked to change.
    Send {
        /// Who: `GitLab`, `Slack`, `PagerDuty`, or a cluster's name.
        to: String,
        /// The method.
        method: String,
        /// The address, without secrets.
        url: String,
        /// Of the body.
        content_type: Option<String>,
        /// The body, without secrets; text where it is no JSON.
        body: Value,
        /// What the world answered.
        status: u16,
    },
    /// A task token was answered.
    Answer {
        /// The token.
        token: String,
        /// With what.
        output: Value,
    },
}

/// A lease, as recordings spell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The run.
    pub run: String,
    /// Its batch.
    pub batch: String,
    /// Its fence.
    pub fence: u64,
}

impl Deed {
    /// Whether it changed the stores or something outside: what a run leaves behind when it dies.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Take { .. }
            | Self::Free { .. }
            | Self::Move { .. }
            | Self::Put { .. }
            | Self::Audit { .. }
            | Self::Keep { .. }
            | Self::Drop { .. }
            | Self::Note { .. }
            | Self::Send { .. } => true,
            Self::Start { .. }
            | Self::End { .. }
            | Self::Invoke { .. }
            | Self::Reply { .. }
            | Self::Answer { .. } => false,
        }
    }
}

/// A journey, recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Where.
    pub scene: Scene,
    /// What, in order.
    pub events: Vec<Event>,
}

impl Recording {
    /// Plays a journey with today's code, and writes it down.
    pub async fn play(journey: Journey) -> Result<Self, StoryError> {
        let mut fleet = Fleet::new(2, 1, None, None)?;
        fleet.config.validation.soak_period_minutes = 20;
        let regresses = (journey == Journey::Regression).then(|| fleet.rows[1].cluster_id.to_string());
        let scene = Scene {
            record_schema: RECORD_SCHEMA,
            payload_schema: PayloadSchema::CURRENT.into(),
            seed: fleet.world.seed,
            start: fleet.start.to_string(),
            target: fleet.target.to_string(),
            soak_minutes: fleet.config.validation.soak_period_minutes,
            regresses,
            rows: fleet.rows.iter().map(|row| json!(row)).collect(),
        };
        let (house, _) = scene.house()?;
        house.record(&fleet.world);
        let input =
            json!({"batch_id": fleet.batches[0], "target_version": scene.target, "request_id": "r-1"});
        house.run_one("batch-upgrade", "run-1", input).await?;
        Ok(Self { events: house.recorded(), scene })
    }

    /// As a file.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(&self.scene)? + "\n";
        for event in &self.events {
            text.push_str(&serde_json::to_string(event)?);
            text.push('\n');
        }
        Ok(text)
    }

    /// From a file.
    pub fn of_text(text: &str) -> Result<Self, serde_json::Error> {
        let (scene, events) = text.split_once('\n').unwrap_or((text, ""));
        Ok(Self {
            scene: serde_json::from_str(scene)?,
            events: events.lines().map(serde_json::from_str).collect::<Result<_, _>>()?,
        })
    }
}

impl Scene {
    /// A house as it was before the journey, with today's code in it.
    pub fn house(&self) -> Result<(House, Fleet), StoryError> {
        let target = IstioVersion::parse(&self.target).map_err(|error| FleetError(error.to_string()))?;
        let mut fleet = Fleet::new(self.rows.len(), self.seed, None, Some(target))?;
        if fleet.start.to_string() != self.start {
            let words = format!("the recording starts at {}, today's fleets at {}", self.start, fleet.start);
            return Err(FleetError(words).into());
        }
        fleet.config.validation.soak_period_minutes = self.soak_minutes;
        let rows = self.rows.iter().map(|row| serde_json::from_value(row.clone()));
        fleet.rows = rows
            .collect::<Result<Vec<ClusterRecord>, _>>()
            .map_err(|error| FleetError(format!("a recorded registry row does not decode: {error}")))?;
        let house = House::new(&fleet)?;
        if let Some(cluster) = &self.regresses {
            let from_version = self.target.clone();
            house
                .world
                .regress(cluster, Regression { from_version, error_factor: 30.0, latency_factor: 1.3 });
        }
        Ok((house, fleet))
    }
}
