//! Everything the world holds, its clock, and the queue of what happens next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::aws::Session;
use crate::certificate::Authority;
use crate::cluster::Cluster;
use crate::datadog::Signals;
use crate::flux::ReleaseKey;
use crate::gitlab::{self, Project};
use crate::levers::Outage;
use crate::people::Inbox;
use crate::spec::WorldSpec;
use crate::view::{RequestLog, System, Traffic};
use crate::workload::Key;

/// Something that happens by itself at its time.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The source-controller looks at the repository.
    Fetch { cluster: String },
    /// The kustomize-controller applies what was fetched.
    Apply { cluster: String },
    /// The helm-controller looks for a release to upgrade.
    Reconcile { cluster: String },
    /// A failed release is tried again.
    Retry { cluster: String, release: ReleaseKey },
    /// The kustomize-controller takes away what others wrote.
    Strip { cluster: String },
    /// A Helm upgrade ends.
    Released { cluster: String, release: ReleaseKey },
    /// A rolling restart goes on.
    Roll { cluster: String, workload: Key },
    /// The person answers a merge request.
    Answer { project: String, iid: u64, opening: u32 },
    /// The person answers one merge request as a test says.
    AnswerThis { project: String, iid: u64, merge: bool },
    /// Somebody says something on a merge request.
    Say { project: String, iid: u64, author: String, text: String },
}

#[derive(Clone)]
pub(crate) struct State {
    pub(crate) spec: WorldSpec,
    pub(crate) now: Timestamp,
    queue: BTreeMap<(Timestamp, u64), Event>,
    queued: u64,
    /// GitLab's projects by their paths.
    pub(crate) projects: BTreeMap<String, Project>,
    /// The credentials STS gave out, by access key id.
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    pub(crate) signals: Signals,
    /// Notifications that arrived.
    pub(crate) inbox: Inbox,
    pub(crate) outages: Vec<Outage>,
    pub(crate) authority: Arc<Authority>,
    /// The API servers' addresses while the world is served on sockets.
    pub(crate) endpoints: BTreeMap<String, String>,
    /// Where the links of paginated answers point.
    pub(crate) gitlab_url: String,
    pub(crate) log: Vec<RequestLog>,
    pub(crate) traffic: BTreeMap<System, Traffic>,
    /// How long each answer takes while the world is served on sockets.
    pub(crate) latency: Duration,
}

/// A moment some seconds later; the end of time stays the end of time.
pub(crate) fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// A time as Kubernetes, GitLab and AWS write it, whole seconds.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl State {
    pub(crate) fn new(spec: WorldSpec) -> Self {
        let mut state = Self {
            now: spec.start,
            queue: BTreeMap::new(),
            queued: 0,
            projects: BTreeMap::new(),
            sessions: BTreeMap::new(),
            clusters: BTreeMap::new(),
            signals: Signals::default(),
            inbox: Inbox::default(),
            outages: Vec::new(),
            authority: Arc::new(Authority::new(spec.seed)),
            endpoints: BTreeMap::new(),
            gitlab_url: "https://gitlab.example.com".to_owned(),
            log: Vec::new(),
            traffic: BTreeMap::new(),
            latency: Duration::ZERO,
            spec,
        };
        let born = later(state.now, -30 * 24 * 3600);
        state.projects = gitlab::projects(&state);
        for cluster in state.spec.clusters.clone() {
            let id = cluster.cluster_id.clone();
            let cluster = Cluster::new(cluster, state.spec.seed, &state.spec.region, born);
            state.clusters.insert(id.clone(), cluster);
            state.settle_cluster(&id, born);
        }
        state
    }

    /// Puts an event into the queue; events of the same moment keep the order they were made in.
    pub(crate) fn after(&mut self, seconds: i64, event: Event) {
        self.at(later(self.now, seconds.max(0)), event);
    }

    pub(crate) fn at(&mut self, time: Timestamp, event: Event) {
        self.queued += 1;
        self.queue.insert((time.max(self.now), self.queued), event);
    }

    /// Moves the clock and lets everything happen that is due until then.
    pub(crate) fn advance_to(&mut self, time: Timestamp) {
        while let Some(entry) = self.queue.first_entry() {
            let at = entry.key().0;
            if at > time {
                break;
            }
            let event = entry.remove();
            self.now = self.now.max(at);
            self.happen(event);
        }
        self.now = self.now.max(time);
    }

    /// When something next happens by itself.
    pub(crate) fn next_event(&self) -> Option<Timestamp> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Say { project, iid, author, text } => self.say(&project, iid, author, text),
            Event::Fetch { cluster } => self.fetch(&cluster),
            Event::Apply { cluster } => self.apply(&cluster),
            Event::Reconcile { cluster } => self.reconcile(&cluster),
            Event::Retry { cluster, release } => self.retry(&cluster, &release),
            Event::Strip { cluster } => self.strip(&cluster),
            Event::Released { cluster, release } => self.released(&cluster, &release),
            Event::Roll { cluster, workload } => self.roll(&cluster, &workload),
            Event::Answer { project, iid, opening } => self.answer(&project, iid, opening),
            Event::AnswerThis { project, iid, merge } => _ = self.answer_now(&project, iid, merge),
        }
    }

    /// Drives a roll one step and plans the next.
    fn roll(&mut self, cluster: &str, key: &Key) {
        let now = self.now;
        let next = self.clusters.get_mut(cluster).and_then(|found| found.step(key, now));
        if let Some(seconds) = next {
            self.after(seconds, Event::Roll { cluster: cluster.to_owned(), workload: key.clone() });
        }
    }
}
