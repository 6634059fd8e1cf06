//! Executions of one run: the one that people started, and those that it started. Which they are is read from the
//! histories themselves: a state that starts another machine has the child's name in its data.

use guard_aws::{Happened, HistoryEvent};
use guard_domain::cause_in_words;
use guard_tasks::TaskError;
use jiff::Timestamp;
use serde_json::Value;

use crate::deployment::{Deployment, FoundMachine, Machine};
use crate::failure::Failure;

/// One line of what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    /// The machine, or who spoke.
    pub(crate) who: String,
    pub(crate) text: String,
}

/// One execution, and how far it was followed.
#[derive(Debug, Clone)]
pub(crate) struct Trail {
    pub(crate) arn: String,
    pub(crate) machine: Machine,
    /// The cluster, of a `cluster-converge`.
    pub(crate) cluster: Option<String>,
    /// The state it is in, and since when.
    pub(crate) state: Option<(String, Timestamp)>,
    read_to: i64,
    is_over: bool,
}

/// All executions of one run.
pub(crate) struct Trails {
    all: Vec<Trail>,
    machines: Vec<(Machine, FoundMachine)>,
}

impl Trails {
    pub(crate) async fn of(deployment: &Deployment, arn: &str, root: Machine) -> Result<Self, Failure> {
        let mut machines = Vec::new();
        let children: &[Machine] = match root {
            Machine::Rollout => &[Machine::BatchUpgrade, Machine::BatchRollback, Machine::ClusterConverge],
            Machine::BatchUpgrade => &[Machine::BatchRollback, Machine::ClusterConverge],
            Machine::BatchRollback => &[Machine::ClusterConverge],
            Machine::ClusterConverge => &[],
        };
        for machine in children {
            machines.push((*machine, deployment.machine(*machine).await?));
        }
        Ok(Self { all: vec![Trail::new(arn.to_owned(), root, None)], machines })
    }

    /// Reads on in every execution that may have gone on, and in those that are found to have begun.
    pub(crate) async fn read_on(&mut self, deployment: &Deployment) -> Result<Vec<Line>, TaskError> {
        let mut lines = Vec::new();
        let mut next = 0;
        while let Some(trail) = self.all.get(next) {
            let was_over = trail.is_over;
            if !was_over {
                let (arn, after) = (trail.arn.clone(), trail.read_to);
                let history = deployment.ask(|| deployment.machines.history(&arn, after)).await?;
                for event in &history.events {
                    self.take(next, event, &mut lines);
                }
                if let Some(trail) = self.all.get_mut(next) {
                    trail.read_to = history.read_to;
                }
            }
            next += 1;
        }
        lines.sort_by_key(|line| line.at);
        Ok(lines)
    }

    /// The execution that works on the batch: the newest one that is not a cluster's.
    pub(crate) fn leading(&self) -> Option<&Trail> {
        let is_leading = |trail: &&Trail| trail.machine != Machine::ClusterConverge && !trail.is_over;
        self.all.iter().rev().find(is_leading).or_else(|| self.all.first())
    }

    /// The machine that started the run's record: a nested rollback writes into its parent's.
    pub(crate) fn keeper(&self) -> Option<&Trail> {
        let upgrade = self.all.iter().rev().find(|trail| trail.machine == Machine::BatchUpgrade);
        upgrade.or_else(|| self.all.iter().find(|trail| trail.machine == Machine::BatchRollback))
    }

    /// Clusters that are being converged.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &Trail> {
        self.all.iter().filter(|trail| trail.machine == Machine::ClusterConverge && !trail.is_over)
    }

    /// Every execution that may still run, the children before their parents.
    pub(crate) fn alive(&self) -> impl Iterator<Item = &Trail> {
        self.all.iter().rev().filter(|trail| !trail.is_over)
    }

    fn take(&mut self, index: usize, event: &HistoryEvent, lines: &mut Vec<Line>) {
        let Some(trail) = self.all.get_mut(index) else { return };
        let machine = trail.machine;
        let mut tell = |text: String| {
            lines.push(Line { at: event.at, who: machine.as_str().to_owned(), text });
        };
        match &event.what {
            Happened::Entered { state, input } => {
                let cluster = input.get("cluster_id").and_then(Value::as_str);
                if machine == Machine::ClusterConverge || cluster.is_none() {
                    trail.state = Some((state.clone(), event.at));
                }
                if machine != Machine::ClusterConverge && cluster.is_none() {
                    tell(state.clone());
                }
                let child = match state.as_str() {
                    "StartBatch" => named(input, "/next/child", Machine::BatchUpgrade),
                    "StartRollback" => named(input, "/gate/rollback_name", Machine::BatchRollback),
                    "Converge" => named(input, "/child", Machine::ClusterConverge),
                    _ => None,
                };
                if let Some((name, machine)) = child {
                    if let Some(cluster) = cluster {
                        tell(format!("{cluster} begins to converge"));
                    }
                    self.begin(machine, &name, cluster.map(str::to_owned));
                }
            }
            Happened::Exited { state, output } => match state.as_str() {
                "StartBatch" => self.end(Machine::BatchUpgrade, None),
                "StartRollback" => self.end(Machine::BatchRollback, None),
                "Converge" => {
                    let text = |key| output.get(key).and_then(Value::as_str);
                    if let (Some(cluster), Some(verdict)) = (text("cluster_id"), text("verdict")) {
                        tell(format!("{cluster} converged: {verdict}"));
                        self.end(Machine::ClusterConverge, Some(cluster));
                    }
                }
                _ => {}
            },
            Happened::Failed { error, cause } => {
                let state = trail.state.as_ref().map_or("?", |(state, _)| state.as_str()).to_owned();
                let about = trail.cluster.as_ref().map(|cluster| format!("{cluster}: ")).unwrap_or_default();
                tell(format!("{about}{state}: {error}: {}", cause_in_words(cause)));
            }
        }
    }

    fn begin(&mut self, machine: Machine, name: &str, cluster: Option<String>) {
        let Some((_, found)) = self.machines.iter().find(|(known, _)| *known == machine) else { return };
        let arn = found.execution(name);
        if self.all.iter().all(|trail| trail.arn != arn) {
            self.all.push(Trail::new(arn, machine, cluster));
        }
    }

    fn end(&mut self, machine: Machine, cluster: Option<&str>) {
        for trail in &mut self.all {
            if trail.machine == machine && (cluster.is_none() || trail.cluster.as_deref() == cluster) {
                trail.is_over = true;
            }
        }
    }
}

impl Trail {
    fn new(arn: String, machine: Machine, cluster: Option<String>) -> Self {
        Self { arn, machine, cluster, state: None, read_to: 0, is_over: false }
    }

    pub(crate) fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }
}

fn named(input: &Value, pointer: &str, machine: Machine) -> Option<(String, Machine)> {
    input.pointer(pointer).and_then(Value::as_str).map(|name| (name.to_owned(), machine))
}
