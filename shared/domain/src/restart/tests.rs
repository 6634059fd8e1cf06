use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::facts::fixtures::{budget, complete, healthy};
use crate::{NamespaceFacts, PodTrouble, Rolling, Severity, WorkloadKind};

const UP: &str = "run-1/upgrade";
const START: Timestamp = Timestamp::UNIX_EPOCH;

fn v(s: &str) -> IstioVersion {
    IstioVersion::parse(s).unwrap()
}

fn minutes(n: i64) -> Timestamp {
    START + SignedDuration::from_mins(n)
}

/// A ready workload of two pods, `shop/w000` for one.
fn workload(n: usize, version: &str, mark: Option<&str>) -> WorkloadFacts {
    let mut one = healthy(&v(version)).workloads.unwrap().remove(0);
    one.workload.name = format!("w{n:03}");
    one.template.labels = [("app".to_owned(), one.workload.name.clone())].into();
    one.template.rolling = Rolling { unavailable: 1, surge: 0 };
    one.counts = complete(2);
    one.proxies = vec![(Some(v(version)), 2)];
    one.restart_mark = mark.map(Into::into);
    one.pod_marks = mark.map(Into::into).into_iter().collect();
    (one.ready_since, one.progress_at) = (Some(START), Some(START));
    one
}

fn unready(mut one: WorkloadFacts) -> WorkloadFacts {
    (one.counts.ready, one.ready_since) = (1, None);
    one
}

/// One thing that is otherwise.
type Bend = fn(&mut WorkloadFacts);

struct Scene {
    facts: DataPlaneFacts,
    policy: PolicyConfig,
    canaries: Option<Canaries>,
    now: Timestamp,
}

impl Scene {
    fn of(workloads: Vec<WorkloadFacts>) -> Self {
        let injected = NamespaceFacts { injection: Some("enabled".into()), revision: None };
        let names = workloads.iter().map(|one| (one.workload.namespace.clone(), injected.clone()));
        let facts = DataPlaneFacts { namespaces: names.collect(), workloads, ..DataPlaneFacts::default() };
        let policy = PolicyConfig { canary_watch_minutes: 0, ..PolicyConfig::default() };
        Self { facts, policy, canaries: None, now: START }
    }

    fn next(&self) -> RestartStep {
        next(&Restart {
            cluster: "c1",
            target: &v("1.30.5"),
            mark: UP,
            started_at: START,
            now: self.now,
            policy: &self.policy,
            canaries: self.canaries.as_ref(),
            facts: &self.facts,
        })
    }

    fn marks(&self) -> Vec<String> {
        self.next().mark.into_iter().map(|one| one.name).collect()
    }
}

fn old(count: usize) -> Vec<WorkloadFacts> {
    (0..count).map(|n| workload(n, "1.29.3", None)).collect()
}

fn stops(step: &RestartStep) -> Vec<(&str, Severity)> {
    step.stop.iter().map(|finding| (finding.code.as_str(), finding.severity)).collect()
}

#[test]
fn one_of_each_shape_goes_first_and_the_very_first_alone() {
    let mut all = old(6);
    all[2].is_native = true;
    all[3].workload.kind = WorkloadKind::StatefulSet;
    all[4].counts = complete(1);
    all[5].systems = ["Bottlerocket".to_owned()].into();
    let mut scene = Scene::of(all);
    let step = scene.next();
    let chosen: Vec<&str> = step.canaries.0.iter().map(|one| one.workload.name.as_str()).collect();
    assert_eq!(chosen, ["w004", "w002", "w005", "w003"], "the smallest first, and one of each shape");
    assert_eq!(scene.marks(), ["w004"]);
    scene.canaries = Some(step.canaries);
    scene.facts.workloads[4] = unready(workload(4, "1.29.3", Some(UP)));
    assert_eq!(scene.marks(), [] as [&str; 0], "it is not back");
    scene.facts.workloads[4] = workload(4, "1.30.5", Some(UP));
    assert_eq!(scene.marks(), ["w002", "w005", "w003"]);
}

#[test]
fn the_first_ones_are_watched_before_the_others_begin() {
    let mut scene = Scene::of(old(3));
    scene.policy.canary_watch_minutes = 2;
    scene.canaries = Some(scene.next().canaries);
    scene.facts.workloads[0] = workload(0, "1.30.5", Some(UP));
    scene.facts.workloads[0].ready_since = Some(minutes(1));
    for (now, marks) in [(1, 0), (2, 0), (3, 2)] {
        scene.now = minutes(now);
        assert_eq!(scene.marks().len(), marks, "minute {now}");
    }
    scene.now = minutes(3);
    scene.facts.workloads[0].ready_since = Some(minutes(2));
    let step = scene.next();
    assert_eq!(step.mark, [], "a pod of it was away: the watch begins again");
    assert!(step.waiting_for.iter().any(|one| one.contains("stay ready")), "{:?}", step.waiting_for);
}

#[test]
fn limits_hold_for_workloads_and_pods_in_cluster_and_namespace() {
    let table: [(u32, u32, u32, u32, usize); 6] = [
        (9, 9, 99, 99, 7),
        (4, 9, 99, 99, 4),
        (9, 2, 99, 99, 4),
        (9, 9, 5, 99, 5),
        (9, 9, 99, 1, 2),
        (9, 9, 99, 3, 6),
    ];
    for (workloads, in_namespace, pods, pods_in_namespace, expected) in table {
        let mut all = old(8);
        all[0] = workload(0, "1.30.5", Some(UP));
        for one in &mut all[5..] {
            one.workload.namespace = "data".into();
        }
        let mut scene = Scene::of(all);
        scene.policy.max_unavailable_workloads = workloads;
        scene.policy.max_unavailable_workloads_per_namespace = in_namespace;
        scene.policy.max_unavailable_pods = pods;
        scene.policy.max_unavailable_pods_per_namespace = pods_in_namespace;
        scene.canaries = Some(Canaries::default());
        assert_eq!(scene.marks().len(), expected, "{workloads} {in_namespace} {pods} {pods_in_namespace}");
    }
}

#[test]
fn what_is_not_ready_counts_whoever_made_it_so() {
    let mut scene = Scene::of(old(4));
    scene.canaries = Some(Canaries::default());
    scene.policy.max_unavailable_workloads = 2;
    scene.facts.workloads[1] = unready(workload(1, "1.29.3", None));
    assert_eq!(scene.marks(), ["w000"]);
}

#[test]
fn a_marked_workload_is_never_marked_again() {
    let mut scene = Scene::of(vec![workload(0, "1.29.3", Some(UP)), workload(1, "1.29.3", None)]);
    scene.canaries = Some(Canaries::default());
    let step = scene.next();
    assert_eq!(
        (step.mark.as_slice(), stops(&step)),
        ([].as_slice(), vec![("PROXY_NOT_UPDATED", Severity::Blocking)])
    );
    assert_eq!(step.culprit.unwrap().name, "w000");
}

#[test]
fn the_way_back_restarts_what_another_mark_restarted_and_begins_with_what_is_broken() {
    let other = "run-1/rollback";
    let mut scene = Scene::of(vec![
        workload(0, "1.29.3", Some(other)),
        unready(workload(1, "1.29.3", Some(other))),
        unready(workload(2, "1.29.3", None)),
    ]);
    assert_eq!(scene.marks(), ["w001"]);
    scene.canaries = Some(Canaries::default());
    assert_eq!(scene.marks(), ["w001", "w000"]);
}

#[test]
fn a_restart_that_comes_no_further_stops_them_all_and_names_its_cause() {
    let bends: [(&str, Bend); 3] = [
        ("progressDeadlineSeconds", |one| one.is_stuck = true),
        ("CrashLoopBackOff, 4 restarts", |one| {
            let trouble = PodTrouble {
                version: None,
                reason: "CrashLoopBackOff".into(),
                message: String::new(),
                restarts: 4,
            };
            one.troubles.insert("w000-abc".into(), trouble);
        }),
        ("for 10 minutes", |one| (one.progress_at, one.marked_at) = (Some(minutes(-30)), Some(minutes(-10)))),
    ];
    for (words, bend) in bends {
        let mut one = unready(workload(0, "1.29.3", Some(UP)));
        bend(&mut one);
        let scene = Scene::of(vec![one, workload(1, "1.29.3", None)]);
        let step = scene.next();
        assert_eq!(stops(&step), [("RESTART_STUCK", Severity::Blocking)], "{words}");
        assert!(step.stop[0].message.contains(words), "{}", step.stop[0]);
        assert_eq!(step.mark, []);
    }
    let mut waits = unready(workload(0, "1.29.3", Some(UP)));
    waits.marked_at = Some(minutes(-9));
    assert_eq!(Scene::of(vec![waits]).next().stop, []);
}

#[test]
fn what_a_restart_does_not_help_is_named_and_holds_nobody_up() {
    let bends: [(&str, Bend); 5] = [
        ("paused", |one| one.template.is_paused = true),
        ("template itself", |one| one.template.has_own_proxy = true),
        ("no proxy", |one| one.template.asks = Some("false".into())),
        ("partition", |one| one.template.partition = 1),
        ("more pods away", |one| {
            one.counts = complete(30);
            one.template.rolling.unavailable = 30;
        }),
    ];
    for (words, bend) in bends {
        let mut all = vec![workload(0, "1.29.3", None), workload(1, "1.30.5", Some(UP))];
        bend(&mut all[0]);
        let step = Scene::of(all).next();
        assert!(step.is_done(), "{words}: {:?}", step.waiting_for);
        assert_eq!((step.done, step.total, step.stragglers.len()), (1, 1, 1));
        assert!(step.stragglers[0].message.contains(words), "{}", step.stragglers[0]);
        let is_choice = ["paused", "partition", "more pods away"].contains(&words);
        let expected = if is_choice { Severity::Warning } else { Severity::Unknown };
        assert_eq!(step.stragglers[0].severity, expected, "{words}");
    }
    let mut strays = Scene::of(vec![]);
    strays.facts.strays = vec!["shop/Pod debug".into()];
    assert_eq!((strays.next().is_done(), strays.next().stragglers.len()), (true, 1));
}

#[test]
fn one_that_was_broken_before_its_restart_is_left_alone_after_a_while() {
    let mut scene = Scene::of(vec![unready(workload(0, "1.29.3", None))]);
    assert!(!scene.next().is_done(), "whoever replaces its pods may finish");
    scene.now = minutes(10);
    let step = scene.next();
    assert!(step.is_done());
    assert!(step.stragglers[0].message.contains("not ready before"), "{}", step.stragglers[0]);
    assert_eq!(step.stragglers[0].severity, Severity::Unknown, "none of the proxies is at the version");
    scene.facts.workloads.extend((1..4).map(|n| workload(n, "1.30.5", Some(UP))));
    scene.policy.min_proxies_at_target_percent = 75;
    assert_eq!(scene.next().stragglers[0].severity, Severity::Warning, "three of four are enough");
    scene.policy.min_proxies_at_target_percent = 76;
    assert_eq!(scene.next().stragglers[0].severity, Severity::Unknown);
}

/// An empty list of namespaces says nothing about anybody, least of all that nobody needs a restart.
#[test]
fn without_their_namespaces_workloads_are_neither_restarted_nor_done() {
    let mut scene = Scene::of(old(2));
    scene.facts.namespaces.clear();
    assert_eq!((scene.marks().len(), scene.next().is_done()), (0, false));
    scene.now = minutes(10);
    assert_eq!(stops(&scene.next()), [("RESTART_BLOCKED", Severity::Unknown)]);
}

#[test]
fn a_closed_budget_is_respected_and_told_once_nothing_else_moves() {
    let mut scene = Scene::of(old(2));
    scene.canaries = Some(Canaries::default());
    let closed = |name: &str, allowed| {
        let one = budget("shop", name);
        crate::BudgetFacts { disruptions_allowed: allowed, ..one }
    };
    scene.facts.budgets = vec![closed("w000", Some(0)), closed("w001", Some(1))];
    assert_eq!(scene.marks(), ["w001"]);
    scene.facts.workloads[1] = workload(1, "1.30.5", Some(UP));
    assert_eq!((scene.marks().len(), scene.next().stop.len()), (0, 0), "it may open");
    scene.now = minutes(10);
    assert_eq!(stops(&scene.next()), [("RESTART_BLOCKED", Severity::Unknown)]);
    scene.facts.budgets = vec![closed("w000", None)];
    assert_eq!(stops(&scene.next()), [("RESTART_BLOCKED", Severity::Unknown)], "nobody has counted yet");
    // A strategy that adds before it takes away asks nobody.
    scene.facts.workloads[0].template.rolling = Rolling { unavailable: 0, surge: 1 };
    assert_eq!(scene.marks(), ["w000"]);
}

#[test]
fn a_mark_that_somebody_took_away_stops_them_all() {
    let mut scene = Scene::of(old(3));
    let mut stripped = workload(0, "1.30.5", None);
    stripped.pod_marks = [UP.to_owned()].into();
    scene.facts.workloads[0] = stripped.clone();
    assert_eq!(stops(&scene.next()), [("RESTART_MARK_LOST", Severity::Unknown)], "its pods still carry it");
    stripped.pod_marks.clear();
    scene.facts.workloads[0] = stripped;
    assert_eq!(scene.next().stop, [], "somebody else restarted it");
    let canary = Canary { workload: scene.facts.workloads[0].workload.clone(), was_marked: true };
    scene.canaries = Some(Canaries(vec![canary]));
    assert_eq!(stops(&scene.next()), [("RESTART_MARK_LOST", Severity::Unknown)], "it was seen");
}

#[test]
fn pods_that_nobody_replaces_are_evicted_one_at_a_time() {
    let pod = |n: usize| PodRef { namespace: "shop".into(), name: format!("w000-{n}"), uid: n.to_string() };
    let mut one = workload(0, "1.29.3", None);
    one.template.is_on_delete = true;
    let mut scene = Scene::of(vec![one]);
    let step = scene.next();
    assert_eq!((step.mark.len(), step.evict.len()), (1, 0));
    let mut marked = workload(0, "1.29.3", Some(UP));
    marked.template.is_on_delete = true;
    marked.counts.updated = 0;
    marked.outdated = vec![pod(0), pod(1)];
    scene.facts.workloads[0] = marked.clone();
    assert_eq!(scene.next().evict, [pod(0)]);
    scene.facts.workloads[0] = unready(marked.clone());
    assert_eq!(scene.next().evict, [], "one is away already");
    marked.counts.updated = 2;
    scene.facts.workloads[0] = marked;
    assert_eq!(scene.next().evict, [pod(0)], "a DaemonSet's count of updated pods may say what it wants");
}

#[test]
fn an_unknown_version_is_not_the_target_and_nothing_is_done_with_nothing() {
    let mut all = vec![workload(0, "1.30.5", None)];
    assert!(Scene::of(all.clone()).next().is_done());
    all[0].proxies = vec![(None, 2)];
    assert_eq!(Scene::of(all).marks(), ["w000"]);
    assert!(Scene::of(vec![]).next().is_done());
}

/// What may happen between two calls.
#[derive(Debug, Clone)]
enum Event {
    /// A call of the task: of what it decides, so many marks are set before it dies.
    Call(usize),
    /// A second call that looked before the last one acted.
    Twin,
    /// One of those on the way comes back.
    Back(usize),
    /// An application's own team restarts a workload.
    Team(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = prop_oneof![
        4 => (0usize..9).prop_map(Event::Call),
        1 => Just(Event::Twin),
        4 => (0usize..12).prop_map(Event::Back),
        1 => (0usize..12).prop_map(Event::Team),
    ];
    proptest::collection::vec(one, 0..150)
}

proptest! {
    /// Whatever happens in which order, GUARD restarts each workload at most once, and never more are away than allowed.
    #[test]
    fn once_each_and_never_too_many(count in 1usize..12, most in 1u32..5, here in 1u32..4, events in events()) {
        let mut all = old(count);
        for one in all.iter_mut().skip(1).step_by(3) {
            one.workload.namespace = "data".into();
            one.is_native = true;
        }
        let mut scene = Scene::of(all);
        scene.policy.max_unavailable_workloads = most;
        scene.policy.max_unavailable_workloads_per_namespace = here;
        let mut restarts = vec![0; count];
        let mut teams = BTreeSet::new();
        let mut last = None;
        let tail = (0..3 * count + 9).flat_map(|_| {
            [Event::Call(99)].into_iter().chain((0..12).map(Event::Back))
        });
        for event in events.into_iter().chain(tail) {
            let step = match event {
                Event::Call(_) => Some(scene.next()),
                Event::Twin => last.clone(),
                Event::Back(_) | Event::Team(_) => None,
            };
            let marks = match event { Event::Call(most) => most, _ => 99 };
            if let Some(step) = step {
                prop_assert_eq!(&step.stop, &vec![]);
                if matches!(event, Event::Call(_)) {
                    last = Some(step.clone());
                }
                scene.canaries = Some(step.canaries);
                for workload in step.mark.iter().take(marks) {
                    let at = scene.facts.workloads.iter().position(|one| one.workload == *workload).unwrap();
                    let one = &mut scene.facts.workloads[at];
                    // As the API server does it: the same mark changes nothing.
                    if one.restart_mark.as_deref() != Some(UP) {
                        restarts[at] += 1;
                        one.restart_mark = Some(UP.into());
                        (one.counts.ready, one.ready_since) = (1, None);
                    }
                }
            }
            if let Event::Team(n) = event && n < count && scene.facts.workloads[n].counts.is_complete() {
                let one = &mut scene.facts.workloads[n];
                (one.counts.ready, one.ready_since) = (1, None);
                teams.insert(n);
            }
            if let Event::Back(n) = event && n < count {
                let one = &mut scene.facts.workloads[n];
                if !one.counts.is_complete() {
                    one.counts = complete(2);
                    (one.ready_since, one.proxies) = (Some(START), vec![(Some(v("1.30.5")), 2)]);
                    one.pod_marks = one.restart_mark.clone().into_iter().collect();
                    teams.remove(&n);
                }
            }
            // What others take away comes on top of what GUARD took while there was room.
            for namespace in ["shop", "data"] {
                let away = |(n, one): &(usize, &WorkloadFacts)| {
                    one.workload.namespace == namespace && !one.counts.is_complete() && !teams.contains(n)
                };
                let away = scene.facts.workloads.iter().enumerate().filter(away).count();
                prop_assert!(away <= here as usize, "{} away in {}", away, namespace);
            }
            let ours = |(n, one): &(usize, &WorkloadFacts)| !one.counts.is_complete() && !teams.contains(n);
            let away = scene.facts.workloads.iter().enumerate().filter(ours).count();
            prop_assert!(away <= most as usize, "{} away", away);
        }
        prop_assert!(restarts.iter().all(|n| *n <= 1), "{:?}", restarts);
        prop_assert!(scene.next().is_done(), "{:?}", scene.next());
    }
}
