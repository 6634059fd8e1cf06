//! Is the new control plane well, before any proxy is restarted? Going back now leaves the data plane untouched.

mod errors;

use jiff::{SignedDuration, Timestamp};

use crate::checks::{Source, injection};
use crate::open_questions::OpenQuestions;
use crate::post_check::{Before, control_plane, crashes};
use crate::{
    ClusterFacts, Config, Direction, Finding, MemoryFacts, MeshRole, PlannedCluster, Reading, Severity,
    TrafficWindow,
};

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a> {
    /// The cluster's part of the plan.
    pub planned: &'a PlannedCluster,
    /// Which version istiod has.
    pub direction: Direction,
    /// What the cluster says.
    pub facts: &'a ClusterFacts,
    /// What it said before the change; `None` where nobody asked.
    pub before: Option<&'a Before<'a>>,
    /// What was measured; `None` while it is too early to decide by it, and on the way back.
    pub measured: Option<&'a Measured>,
    /// Rules.
    pub config: &'a Config,
}

/// What Datadog says.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Traffic before the change, and since the new istiod is there.
    pub traffic: Reading<Traffic>,
    /// istiod's memory since it is there.
    pub memory: Reading<MemoryFacts>,
}

/// Requests of one cluster; `None` where Datadog has none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traffic {
    /// Before the change.
    pub before: Option<TrafficWindow>,
    /// With the new istiod and the old proxies.
    pub since: Option<TrafficWindow>,
}

/// What is done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Look again.
    Watch,
    /// Restart the proxies.
    Pass,
    /// Go back.
    Fail,
    /// Nobody knows: a person must look.
    Unknown,
}

impl Gate<'_> {
    /// What speaks against restarting the proxies. On the way back proxies are ahead of istiod until they are restarted, so
    /// what they refuse is no news: there the gate asks only whether a pod would come back with the old proxy, and whether
    /// istiod stays up.
    pub fn findings(&self) -> Vec<Finding> {
        let Self { planned, direction, facts, before, config, .. } = *self;
        let cluster = planned.record.cluster_id.as_str();
        let mut look = Look { cluster, found: Vec::new(), open: OpenQuestions::default() };
        look.at(Source::Injection, &facts.injection, |found, probes| {
            found.extend(injection::findings(cluster, probes, planned.to(direction)));
        });
        look.at(Source::Mesh, &facts.mesh, |found, pods| {
            let istiod: Vec<_> = pods.iter().filter(|pod| pod.role == MeshRole::Istiod).cloned().collect();
            found.extend(crashes::findings(cluster, &istiod, before));
        });
        if direction == Direction::Rollback {
            return look.found;
        }
        look.at(Source::ControlPlane, &facts.control_plane, |found, now| {
            let pods = facts.mesh.as_ref().map(Vec::as_slice).unwrap_or_default();
            found.extend(control_plane::findings(cluster, now, pods, before));
        });
        if let Some(measured) = self.measured {
            look.at(Source::Memory, &measured.memory, |found, memory| {
                found.extend(memory_left(cluster, memory, config.policy.istiod_memory_left_percent_min));
            });
            look.at(Source::Traffic, &measured.traffic, |found, traffic| {
                let tolerable = config.validation.thresholds_of(&self.planned.record.environment);
                found.extend(errors::finding(cluster, traffic, &tolerable));
            });
        }
        look.found
    }
}

/// How long the gate looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// Nothing passes before this.
    pub until: Timestamp,
    /// What is wrong then may become right until this.
    pub deadline: Timestamp,
}

impl Watch {
    /// An upgrade is watched for `minutes`, and has as long again. On the way back proxies are ahead of istiod for every minute
    /// that it takes: what is right at the first look passes.
    pub fn of(direction: Direction, arrived_at: Timestamp, minutes: u32) -> Self {
        let watch = SignedDuration::from_mins(minutes.into());
        let until = match direction {
            Direction::Upgrade => arrived_at + watch,
            Direction::Rollback => arrived_at,
        };
        Self { until, deadline: until + watch }
    }

    /// What the findings of a look lead to. A proxy that was cut off connects again and a pod that was killed comes up, so what
    /// is wrong has time to become right. Only what does not pass is told at once.
    pub fn step(&self, findings: &[Finding], now: Timestamp) -> Step {
        const LASTING: [&str; 2] = ["CRASHES", "OUT_OF_MEMORY"];
        let is_lasting = |finding: &Finding| {
            finding.severity == Severity::Blocking && LASTING.contains(&finding.code.as_str())
        };
        if findings.iter().any(is_lasting) {
            return Step::Fail;
        }
        match findings.iter().map(|finding| finding.severity).max() {
            _ if now < self.until => Step::Watch,
            None | Some(Severity::Warning) => Step::Pass,
            _ if now < self.deadline => Step::Watch,
            Some(Severity::Blocking) => Step::Fail,
            Some(Severity::Unknown) => Step::Unknown,
        }
    }

    /// Seconds until the next look: a quarter of what is left, so that long watches take no more looks than short ones, and
    /// each look lists the pods of the whole cluster.
    pub fn pause_seconds(&self, now: Timestamp) -> u64 {
        const LEAST: i64 = 60;
        let next = if now < self.until { self.until } else { self.deadline };
        let left = next.duration_since(now).as_secs();
        u64::try_from((left / 4).max(LEAST.min(left)).max(1)).unwrap_or(1)
    }
}

/// How much of its limit istiod has left. Before an upgrade policy asks for a reserve; half of it must be left after.
fn memory_left(cluster: &str, memory: &MemoryFacts, asked: u32) -> Option<Finding> {
    if asked == 0 {
        return None;
    }
    let Some(used) = memory.istiod_used else {
        return Some(Finding::unknown(
            "NO_ISTIOD_MEMORY",
            cluster,
            "Datadog has no kubernetes.memory.usage of the new istiod",
            "let the agent report it, or set policy.istiod_memory_left_percent_min to 0",
        ));
    };
    let limit = memory.istiod_limit?;
    let (left, wanted) = ((100.0 - used / limit * 100.0).max(0.0), f64::from(asked) / 2.0);
    (!left.is_finite() || left < wanted).then(|| {
        Finding::blocking(
            "ISTIOD_MEMORY",
            cluster,
            format!(
                "the new istiod had {left:.0} % of its limit of {:.0} MiB left; half of \
                 policy.istiod_memory_left_percent_min, {wanted:.0} %, must be",
                limit / 1_048_576.0
            ),
            "raise istiod's memory limit (pilot.resources) before trying again",
        )
    })
}

struct Look<'a> {
    cluster: &'a str,
    found: Vec<Finding>,
    open: OpenQuestions<'a>,
}

impl<'a> Look<'a> {
    fn at<T>(&mut self, source: Source, reading: &'a Reading<T>, look: impl FnOnce(&mut Vec<Finding>, &T)) {
        match reading {
            Ok(facts) => look(&mut self.found, facts),
            Err(unread) => self.found.extend(self.open.finding(self.cluster, source, unread)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::fixtures::healthy;
    use crate::{ControlPlaneFacts, IstioVersion, ProbeOutcome, Unread};

    /// One source that cannot be read.
    type Bend = fn(&mut Scene, Unread);

    /// A cluster whose istiod is new and whose proxies are old, bent in one place.
    struct Scene {
        facts: ClusterFacts,
        measured: Measured,
        direction: Direction,
    }

    fn window(requests: f64, errors: f64) -> TrafficWindow {
        TrafficWindow { requests, errors, latency_p95_ms: vec![], minutes_seen: 5 }
    }

    fn found(bend: impl FnOnce(&mut Scene)) -> Vec<(String, Severity)> {
        let mut planned = crate::plan::fixtures::plan().clusters.remove(0);
        let target = IstioVersion::parse("1.30.5").unwrap();
        let facts = healthy(&target);
        planned.new = target;
        let connected = facts.control_plane.clone().unwrap();
        let mut scene = Scene {
            facts,
            measured: Measured {
                traffic: Ok(Traffic {
                    before: Some(window(60_000.0, 60.0)),
                    since: Some(window(5_000.0, 5.0)),
                }),
                memory: Ok(MemoryFacts {
                    istiod_used: Some(0.5e9),
                    istiod_limit: Some(2e9),
                    node_left_percent: None,
                }),
            },
            direction: Direction::Upgrade,
        };
        bend(&mut scene);
        let before = Before { control_plane: Some(&connected), ..Before::default() };
        let gate = Gate {
            planned: &planned,
            direction: scene.direction,
            facts: &scene.facts,
            before: Some(&before),
            measured: Some(&scene.measured),
            config: &Config::default(),
        };
        gate.findings().into_iter().map(|finding| (finding.code, finding.severity)).collect()
    }

    fn is(code: &str, severity: Severity) -> Vec<(String, Severity)> {
        vec![(code.to_owned(), severity)]
    }

    fn rejects(scene: &mut Scene) {
        let counters: &mut ControlPlaneFacts = scene.facts.control_plane.as_mut().unwrap();
        counters.rejects += counters.pushes;
    }

    #[test]
    fn a_well_control_plane_passes() {
        assert_eq!(found(|_| {}), []);
    }

    #[test]
    fn each_thing_that_is_worse_is_told() {
        use Severity::{Blocking, Unknown};
        assert_eq!(found(rejects), is("XDS_REJECTS", Blocking));
        let bare =
            |scene: &mut Scene| scene.facts.injection.as_mut().unwrap()[0].outcome = ProbeOutcome::Bare;
        assert_eq!(found(bare), is("NOT_INJECTED", Blocking));
        let crashes = |scene: &mut Scene| scene.facts.mesh.as_mut().unwrap()[0].restarts = 3;
        assert_eq!(found(crashes), is("CRASHES", Blocking));
        let full = |scene: &mut Scene| scene.measured.memory.as_mut().unwrap().istiod_used = Some(1.8e9);
        assert_eq!(found(full), is("ISTIOD_MEMORY", Blocking));
        let errors =
            |scene: &mut Scene| scene.measured.traffic.as_mut().unwrap().since = Some(window(5_000.0, 500.0));
        assert_eq!(found(errors), is("ERRORS_UP", Blocking));
        let silent = |scene: &mut Scene| scene.measured.traffic.as_mut().unwrap().since = None;
        assert_eq!(found(silent), is("NO_TRAFFIC", Unknown));
    }

    #[test]
    fn what_cannot_be_read_is_never_a_pass() {
        let why = || Unread::for_good("refused");
        let bends: [(&str, Bend); 5] = [
            ("INJECTION_UNTRIED", |scene, why| scene.facts.injection = Err(why)),
            ("MESH_UNREAD", |scene, why| scene.facts.mesh = Err(why)),
            ("CONTROL_PLANE_UNREAD", |scene, why| scene.facts.control_plane = Err(why)),
            ("MEMORY_UNREAD", |scene, why| scene.measured.memory = Err(why)),
            ("TRAFFIC_UNREAD", |scene, why| scene.measured.traffic = Err(why)),
        ];
        for (code, bend) in bends {
            assert_eq!(found(|scene| bend(scene, why())), is(code, Severity::Unknown));
        }
        let no_memory = |scene: &mut Scene| scene.measured.memory.as_mut().unwrap().istiod_used = None;
        assert_eq!(found(no_memory), is("NO_ISTIOD_MEMORY", Severity::Unknown));
    }

    #[test]
    fn on_the_way_back_only_what_a_restart_needs_is_asked() {
        let back = |scene: &mut Scene| {
            scene.direction = Direction::Rollback;
            for probe in scene.facts.injection.as_mut().unwrap() {
                probe.outcome = ProbeOutcome::Injected(IstioVersion::parse("1.29.3").ok());
            }
        };
        let worse = |scene: &mut Scene| {
            back(scene);
            rejects(scene);
            scene.measured.traffic = Err(Unread::for_good("refused"));
        };
        assert_eq!(found(worse), []);
        let bare = |scene: &mut Scene| {
            back(scene);
            scene.facts.injection.as_mut().unwrap()[0].outcome = ProbeOutcome::Bare;
        };
        assert_eq!(found(bare), is("NOT_INJECTED", Severity::Blocking));
    }

    #[test]
    fn nothing_is_decided_before_it_was_watched_and_what_is_wrong_has_time_to_become_right() {
        let at = |minutes: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        let of = |severity| Finding { severity, ..Finding::blocking("XDS_REJECTS", "c1", "", "") };
        let up = Watch::of(Direction::Upgrade, at(0), 5);
        let look = |found: &[Finding], minutes| up.step(found, at(minutes));
        assert_eq!([4, 5].map(|minute| look(&[], minute)), [Step::Watch, Step::Pass]);
        let bad = [of(Severity::Blocking), of(Severity::Unknown)];
        assert_eq!([4, 9, 10].map(|minute| look(&bad, minute)), [Step::Watch, Step::Watch, Step::Fail]);
        let open = [of(Severity::Unknown)];
        assert_eq!([9, 10].map(|minute| look(&open, minute)), [Step::Watch, Step::Unknown]);
        assert_eq!(look(&[of(Severity::Warning)], 5), Step::Pass);
        let crashed = [Finding::blocking("CRASHES", "c1", "", "")];
        assert_eq!(look(&crashed, 0), Step::Fail);
        let back = Watch::of(Direction::Rollback, at(0), 5);
        assert_eq!(back.step(&[], at(0)), Step::Pass);
        assert_eq!([4, 5].map(|minute| back.step(&bad, at(minute))), [Step::Watch, Step::Fail]);
    }

    #[test]
    fn however_long_the_watch_there_are_few_looks() {
        for minutes in [1, 5, 60, 240] {
            for direction in [Direction::Upgrade, Direction::Rollback] {
                let watch = Watch::of(direction, Timestamp::UNIX_EPOCH, minutes);
                let (mut now, mut looks) = (Timestamp::UNIX_EPOCH, 1);
                while now < watch.deadline {
                    now += SignedDuration::from_secs(watch.pause_seconds(now).try_into().unwrap());
                    looks += 1;
                }
                assert!(looks < 60, "{minutes} minutes: {looks}");
                assert!(now < watch.deadline + SignedDuration::from_secs(30));
            }
        }
    }
}
