//! Merge requests against the simulated GitLab: several at once, crashes, and everything that people and GitLab put in
//! the way. Each has an end that is told.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guard_asl::TransitionKind;
use guard_domain::{ClusterStatus as S, MrStrategy, OnEdited, RunId};
use guard_simulation::{Fault, Fleet, House, Occasion, What};
use guard_tasks::RunRecords as _;
use guard_world::{Answer, MergeRequestView, System};
use jiff::SignedDuration;
use serde_json::{Value, json};

const BRANCH: &str = "feature/istio-1.30.5-test";

fn fleet(clusters: usize) -> Fleet {
    Fleet::new(clusters, 1, None, None).unwrap()
}

struct Ended {
    house: House,
    /// `SUCCEEDED`, or the error's name.
    ending: String,
    cause: String,
}

/// Plays an upgrade; `act` is told of each state that is entered.
async fn play(fleet: &Fleet, act: impl Fn(&House, &str) + Send + Sync + 'static) -> Ended {
    let house = Arc::new(House::new(fleet).unwrap());
    let inner = Arc::downgrade(&house);
    house.observe(move |transition| {
        if let (TransitionKind::Entered, Some(state), Some(house)) =
            (&transition.kind, &transition.state, inner.upgrade())
        {
            act(&house, state);
        }
    });
    let arn = house.run_one("batch-upgrade", "run-1", input()).await.unwrap();
    let execution = house.service.describe_execution(&arn).unwrap();
    house.observe(|_| {});
    Ended {
        house: Arc::into_inner(house).unwrap(),
        ending: execution.error.unwrap_or_else(|| execution.status.as_str().to_owned()),
        cause: execution.cause.unwrap_or_default(),
    }
}

fn input() -> Value {
    json!({"batch_id": "test", "target_version": "1.30.5"})
}

impl Ended {
    fn statuses(&self) -> Vec<S> {
        self.house.store.clusters().iter().map(|row| row.status).collect()
    }

    fn requests(&self) -> Vec<(String, String)> {
        let requests = self.house.world.merge_requests().into_iter();
        requests.map(|request| (request.project, request.state)).collect()
    }

    fn versions(&self) -> Vec<String> {
        let ids = self.house.world.cluster_ids();
        ids.iter()
            .map(|id| self.house.world.cluster(id).unwrap().istiod_version.unwrap_or_default())
            .collect()
    }

    async fn audit(&self) -> String {
        let lines = self.house.store.audit_log(&RunId::parse("run-1").unwrap()).await.unwrap();
        lines.into_iter().map(|line| line.what).collect::<Vec<_>>().join("\n")
    }
}

fn at(house: &House, minutes: i64) -> jiff::Timestamp {
    house.service.now() + SignedDuration::from_mins(minutes)
}

#[tokio::test(flavor = "current_thread")]
async fn a_batch_in_two_projects_has_a_request_in_each_and_waits_for_both() {
    let mut fleet = fleet(3).in_projects(2);
    fleet.world.person.upgrade = Answer::Ignore;
    let ended = play(&fleet, |house, state| {
        if state == "AwaitUpgradeMerge" {
            // One now, the other when somebody comes back from lunch.
            assert!(house.world.merge_request_of_project_by_person("platform/fleet", 1, true));
            house.world.answer_later("platform/fleet-2", 1, true, at(house, 50));
        }
    })
    .await;
    assert_eq!(ended.ending, "SUCCEEDED", "{}", ended.cause);
    assert_eq!(ended.statuses(), [S::Healthy; 3]);
    assert_eq!(ended.versions(), ["1.30.5"; 3]);
    let requests = ended.house.world.merge_requests();
    let told: Vec<(&str, &str, usize)> =
        requests.iter().map(|mr| (mr.project.as_str(), mr.source_branch.as_str(), mr.diffs.len())).collect();
    assert_eq!(told, [("platform/fleet", BRANCH, 6), ("platform/fleet-2", BRANCH, 3)]);
    let last = requests.iter().filter_map(|mr| mr.merged_at).max().unwrap();
    assert!(last.duration_since(fleet.world.start) > SignedDuration::from_mins(50));
    assert_eq!(ended.house.store.held_locks(), []);
}

#[tokio::test(flavor = "current_thread")]
async fn each_cluster_has_its_own_request_where_the_policy_says_so() {
    let mut fleet = fleet(3);
    fleet.config.policy.mr_strategy = MrStrategy::PerCluster;
    let ended = play(&fleet, |_, _| {}).await;
    assert_eq!(ended.ending, "SUCCEEDED", "{}", ended.cause);
    let requests = ended.house.world.merge_requests();
    let told: Vec<(&str, &str)> =
        requests.iter().map(|mr| (mr.source_branch.as_str(), mr.title.as_str())).collect();
    assert_eq!(
        told,
        [
            ("feature/istio-1.30.5-test-test-euw1-1", "Istio upgrade to v1.30.5 for test: test-euw1-1"),
            ("feature/istio-1.30.5-test-test-euw1-2", "Istio upgrade to v1.30.5 for test: test-euw1-2"),
            ("feature/istio-1.30.5-test-test-euw1-3", "Istio upgrade to v1.30.5 for test: test-euw1-3"),
        ]
    );
    assert!(requests.iter().all(|request| request.diffs.len() == 3));
    assert_eq!(ended.statuses(), [S::Healthy; 3]);
}

/// What landed is under way and told; what did not is taken back and told; nothing goes on by itself.
#[tokio::test(flavor = "current_thread")]
async fn one_merged_and_one_closed_stops_the_run_and_says_which() {
    let mut fleet = fleet(3).in_projects(3);
    fleet.world.person.upgrade = Answer::Ignore;
    let ended = play(&fleet, |house, state| {
        if state == "AwaitUpgradeMerge" {
            house.world.merge_request_of_project_by_person("platform/fleet", 1, true);
            house.world.merge_request_of_project_by_person("platform/fleet-2", 1, false);
        }
    })
    .await;
    assert_eq!(ended.ending, "Halted");
    let merged = "merged: https://gitlab.example.com/platform/fleet/-/merge_requests/1 (test-euw1-1)";
    let not = "not merged, and taken back: https://gitlab.example.com/platform/fleet-2/-/merge_requests/1 (test-euw1-2)";
    assert!(ended.cause.contains(merged) && ended.cause.contains(not), "{}", ended.cause);
    assert_eq!(ended.statuses(), [S::Upgrading, S::Pending, S::Pending]);
    let states: Vec<String> = ended.requests().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["merged", "closed", "closed"], "the third is withdrawn");
    assert_eq!(ended.house.store.held_locks().len(), 4, "a person decides what comes next");
    let restarts =
        ended.house.world.cluster("test-euw1-1").unwrap().workloads.iter().map(|w| w.restarts).sum::<u32>();
    assert_eq!(restarts, 0);
}

#[tokio::test(flavor = "current_thread")]
async fn when_one_of_two_expires_the_other_is_not_forgotten() {
    let mut fleet = fleet(2).in_projects(2);
    fleet.world.person.upgrade = Answer::Ignore;
    fleet.config.policy.merge_timeout_hours = 2;
    let ended = play(&fleet, |house, state| {
        if state == "AwaitUpgradeMerge" {
            house.world.merge_request_of_project_by_person("platform/fleet", 1, true);
        }
    })
    .await;
    assert_eq!(ended.ending, "Halted");
    assert_eq!(ended.statuses(), [S::Upgrading, S::Pending]);

    // Merged in the second in which it expires: everything landed after all.
    let ended = play(&fleet, |house, state| match state {
        "AwaitUpgradeMerge" => _ = house.world.merge_request_of_project_by_person("platform/fleet", 1, true),
        "NotePartly" => _ = house.world.merge_request_of_project_by_person("platform/fleet-2", 1, true),
        _ => {}
    })
    .await;
    assert_eq!(ended.ending, "SUCCEEDED", "{}", ended.cause);
    assert_eq!(ended.statuses(), [S::Healthy; 2]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_rollback_over_two_projects_goes_back_in_both() {
    let fleet = fleet(2).in_projects(2);
    let house = House::new(&fleet).unwrap();
    for id in ["test-euw1-1", "test-euw1-2"] {
        house.world.fail_helm_upgrade(id, "1.30.5", "context deadline exceeded");
    }
    let arn = house.run_one("batch-upgrade", "run-1", input()).await.unwrap();
    let ended = house.service.describe_execution(&arn).unwrap();
    assert_eq!(ended.error.as_deref(), Some("RolledBack"), "{:?}", ended.cause);
    let told: Vec<(String, String, String)> =
        house.world.merge_requests().into_iter().map(|mr| (mr.project, mr.source_branch, mr.state)).collect();
    let back = "rollback/istio-1.29.8-test";
    let merged = |project: &str, branch: &str| (project.to_owned(), branch.to_owned(), "merged".to_owned());
    assert_eq!(
        told,
        [
            merged("platform/fleet", BRANCH),
            merged("platform/fleet", back),
            merged("platform/fleet-2", BRANCH),
            merged("platform/fleet-2", back)
        ]
    );
}

/// Crash after each GitLab call in turn, and lose each answer in turn: one merge request, one commit.
#[tokio::test(flavor = "current_thread")]
async fn a_crash_after_any_call_leaves_one_request_and_one_commit() {
    let is_opening = |occasion: &Occasion| {
        matches!(&occasion.what, What::Call { system: "GitLab", .. })
            && occasion.state.as_deref() == Some("OpenUpgradeMergeRequest")
    };
    for fault in [Fault::Dies, Fault::LosesReply, Fault::ActsTwice, Fault::IsSlow, Fault::Fails("Transient")]
    {
        let mut calls = 0;
        for nth in 0.. {
            let seen = Arc::new(AtomicUsize::new(0));
            let (count, fault) = (Arc::clone(&seen), fault.clone());
            let hook = move |occasion: &Occasion| {
                let is_it = is_opening(occasion) && count.fetch_add(1, Ordering::Relaxed) == nth;
                is_it.then(|| fault.clone())
            };
            let house = House::with_faults(&fleet(2), hook).unwrap();
            let commits = house.world.commit_count();
            let arn = house.run_one("batch-upgrade", "run-1", input()).await.unwrap();
            let ended = house.service.describe_execution(&arn).unwrap();
            if seen.load(Ordering::Relaxed) <= nth {
                break;
            }
            calls += 1;
            assert_eq!(ended.error, None, "{nth}: {:?}", ended.cause);
            let requests = house.world.merge_requests();
            assert_eq!((requests.len(), requests[0].source_branch.as_str()), (1, BRANCH), "{nth}");
            assert_eq!(house.world.commit_count() - commits, 2, "{nth}: the change and its merge");
        }
        // Head, tree, files, open requests, requests of the branch, the branch, users, commit, request.
        assert!(calls >= 9, "only {calls} calls");
    }
}

/// The answer to the opening is lost, and a person merges before anybody tries again: the files are as wanted by then, and
/// the run still knows that this was its own doing.
#[tokio::test(flavor = "current_thread")]
async fn merged_between_a_crash_and_the_second_try_goes_on() {
    for fault in [Fault::Dies, Fault::LosesReply, Fault::IsSlow] {
        let is_first = Mutex::new(true);
        let hook = move |occasion: &Occasion| {
            let What::Call { system: "DynamoDB", operation } = &occasion.what else { return None };
            let is_it = occasion.state.as_deref() == Some("OpenUpgradeMergeRequest")
                && operation == "write audit line of open-merge-request";
            // The request is open and its number written down; before that, its reply is what is lost.
            (is_it && std::mem::take(&mut *is_first.lock().unwrap())).then(|| fault.clone())
        };
        let mut fleet = fleet(2);
        fleet.world.person.upgrade = Answer::Merge { after: Duration::ZERO };
        let house = House::with_faults(&fleet, hook).unwrap();
        let arn = house.run_one("batch-upgrade", "run-1", input()).await.unwrap();
        assert_eq!(house.service.describe_execution(&arn).unwrap().error, None);
    }
    for fault in [Fault::Dies, Fault::LosesReply, Fault::IsSlow] {
        let is_first = Mutex::new(true);
        let hook = move |occasion: &Occasion| {
            let What::Call { system: "GitLab", operation } = &occasion.what else { return None };
            let is_it = operation.starts_with("POST ") && operation.ends_with("/merge_requests");
            // A function that dies does so after the request has gone out.
            let fault = if fault == Fault::Dies { Fault::LosesReply } else { fault.clone() };
            (is_it && std::mem::take(&mut *is_first.lock().unwrap())).then_some(fault)
        };
        let mut fleet = fleet(2);
        fleet.world.person.upgrade = Answer::Merge { after: Duration::ZERO };
        let house = House::with_faults(&fleet, hook).unwrap();
        let arn = house.run_one("batch-upgrade", "run-1", input()).await.unwrap();
        let ended = house.service.describe_execution(&arn).unwrap();
        assert_eq!(ended.error, None, "{:?}", ended.cause);
        assert_eq!(house.world.merge_requests().len(), 1);
        assert!(house.store.clusters().iter().all(|row| row.status == S::Healthy));
    }
}

/// Twenty to a page, as this server likes it; ours is on the second.
#[tokio::test(flavor = "current_thread")]
async fn ours_among_many_open_requests_is_found_on_the_second_page() {
    let is_lost = Mutex::new(true);
    let hook = move |occasion: &Occasion| {
        let What::Call { system: "GitLab", operation } = &occasion.what else { return None };
        let is_it = operation.starts_with("POST ") && operation.ends_with("/merge_requests");
        (is_it && std::mem::take(&mut *is_lost.lock().unwrap())).then_some(Fault::LosesReply)
    };
    let mut fleet = fleet(1);
    fleet.world.gitlab_page_limit = 20;
    fleet.world.person.upgrade = Answer::Merge { after: Duration::from_mins(30) };
    let house = Arc::new(House::with_faults(&fleet, hook).unwrap());
    let inner = Arc::downgrade(&house);
    let opened = AtomicUsize::new(0);
    house.observe(move |_| {
        let house = inner.upgrade().unwrap();
        // Between the lost answer and the second try 25 others are opened: ours is the oldest.
        let is_there = !house.world.merge_requests().is_empty();
        if is_there && opened.fetch_add(1, Ordering::Relaxed) == 0 {
            for n in 0..25 {
                house.world.propose(&format!("feature/other-{n}"), &format!("notes/{n}.md"), "words");
            }
        }
    });
    let arn = house.run_one("batch-upgrade", "run-1", input()).await.unwrap();
    let ended = house.service.describe_execution(&arn).unwrap();
    assert_eq!(ended.error, None, "{:?}", ended.cause);
    let requests = house.world.merge_requests();
    let ours: Vec<&MergeRequestView> =
        requests.iter().filter(|mr| mr.source_branch.starts_with("feature/istio-")).collect();
    assert_eq!((requests.len(), ours.len(), ours[0].iid), (26, 1, 1));
    let paged = house.world.requests().into_iter().filter(|request| request.path.contains("page=2")).count();
    assert!(paged > 0, "the second page was asked for");
}

#[tokio::test(flavor = "current_thread")]
async fn after_a_closed_request_the_next_try_has_a_branch_of_its_own() {
    let mut fleet = fleet(1);
    fleet.world.person.upgrade = Answer::Close { after: Duration::from_mins(5) };
    let house = House::new(&fleet).unwrap();
    for name in ["run-1", "run-2", "run-3"] {
        if name == "run-3" {
            let merge = Answer::Merge { after: Duration::from_mins(5) };
            house.world.set_person(guard_world::Person { upgrade: merge, rollback: merge });
        }
        house.run_one("batch-upgrade", name, input()).await.unwrap();
    }
    let told: Vec<(String, String)> =
        house.world.merge_requests().into_iter().map(|mr| (mr.source_branch, mr.state)).collect();
    let branch = |suffix: &str, state: &str| (format!("{BRANCH}{suffix}"), state.to_owned());
    assert_eq!(told, [branch("", "closed"), branch("-2", "closed"), branch("-3", "merged")]);
    assert_eq!(house.world.branches().keys().collect::<Vec<_>>(), ["main"]);
}

/// Bends a fleet.
type Bend = Box<dyn Fn(&mut Fleet)>;

/// Does something when a state is entered.
type Act = Box<dyn Fn(&House, &str) + Send + Sync>;

/// What is in the way before anything is written.
#[tokio::test(flavor = "current_thread")]
async fn whatever_is_in_the_way_of_opening_is_told_with_what_helps() {
    let base = fleet(1).rows[0].flux_config_path.clone();
    let touch = format!("{base}/istiod.yaml");
    let nothing = || -> Act { Box::new(|_, _| {}) };
    let cases: Vec<(Bend, Act, &str, &[&str])> = vec![
        // A file that somebody changes between its check and the edit.
        (
            Box::new(|_| {}),
            Box::new(move |house, state| {
                if state == "OpenUpgradeMergeRequest" {
                    let before = house.world.file("main", &touch).unwrap();
                    house.world.push("main", &touch, Some(&format!("{before}# a note\n")), "a note").unwrap();
                }
            }),
            "GateFailed",
            &["FILE_CHANGED clusters/test-euw1-1/istio/", "start again"],
        ),
        // Somebody else's branch of this name, and somebody else's request from it.
        (
            Box::new(|_| {}),
            Box::new(|house, state| {
                if state == "DecidePreCheck" {
                    house.world.branch_off(BRANCH);
                    house.world.push(BRANCH, "README.md", Some("mine"), "mine").unwrap();
                }
            }),
            "GateFailed",
            &["BRANCH_TAKEN", "delete the branch"],
        ),
        (
            Box::new(|_| {}),
            Box::new(|house, state| {
                if state == "DecidePreCheck" {
                    house.world.propose(BRANCH, "README.md", "mine");
                }
            }),
            "GateFailed",
            &["BRANCH_TAKEN", "!1 from branch", "close it or let it be merged"],
        ),
        // A rule that protects the branches that GUARD wants to push.
        (
            Box::new(|fleet| fleet.world.protected_branches.push("feature/*".into())),
            nothing(),
            "Halted",
            &["a rule protects the branch", "`feature/istio-*`"],
        ),
        // A token that may only read.
        (
            Box::new(|fleet| fleet.world.token_scopes = vec!["read_api".into()]),
            nothing(),
            "Halted",
            &["insufficient_scope", "the token needs the scope `api`"],
        ),
        // A project that is not there.
        (
            Box::new(|fleet| fleet.rows[0].gitlab_repo = "platform/moved".into()),
            nothing(),
            "Halted",
            &["test-euw1-1"],
        ),
    ];
    for (bend, act, ending, words) in cases {
        let mut fleet = fleet(1);
        bend(&mut fleet);
        let ended = play(&fleet, act).await;
        assert_eq!(ended.ending, ending, "{words:?}: {}", ended.cause);
        for word in words {
            assert!(ended.cause.contains(word), "{word}: {}", ended.cause);
        }
        assert!(ended.versions() == ["1.29.8"] && ended.statuses() != [S::Upgrading], "{words:?}");
        let ours =
            ended.house.world.merge_requests().into_iter().filter(|mr| mr.description.contains("guard:"));
        assert_eq!(ours.count(), 0, "{words:?}");
    }
}

/// What people do to an open request.
#[tokio::test(flavor = "current_thread")]
async fn whatever_becomes_of_an_open_request_is_told_apart() {
    let mut open = fleet(1);
    open.world.person.upgrade = Answer::Ignore;
    open.config.policy.merge_timeout_hours = 3;

    // The branch is deleted: nobody can merge it any more.
    let ended = play(&open, |house, state| {
        if state == "AwaitUpgradeMerge" {
            house.world.delete_branch(BRANCH);
        }
    })
    .await;
    assert_eq!(ended.ending, "MergeRequestClosed", "{}", ended.cause);
    assert!(ended.cause.contains("its branch was deleted"), "{}", ended.cause);
    assert_eq!(ended.requests()[0].1, "closed");

    // Closed, and opened again before anybody looked: nothing happened.
    let ended = play(&open, |house, state| {
        if state == "AwaitUpgradeMerge" {
            house.world.merge_request_by_person(1, false);
            house.world.reopen(1);
            house.world.answer_later("platform/fleet", 1, true, at(house, 90));
        }
    })
    .await;
    assert_eq!(ended.ending, "SUCCEEDED", "{}", ended.cause);

    // Closed, seen, and opened again before the run has ended: it is withdrawn for good, and that is told.
    let ended = play(&open, |house, state| match state {
        "AwaitUpgradeMerge" => house.world.answer_later("platform/fleet", 1, false, at(house, 10)),
        "NoteClosed" => house.world.reopen(1),
        _ => {}
    })
    .await;
    assert_eq!(ended.ending, "MergeRequestClosed", "{}", ended.cause);
    assert_eq!((ended.requests()[0].1.as_str(), ended.statuses()), ("closed", vec![S::Pending]));
    assert!(ended.audit().await.contains("which was open (again)"), "{}", ended.audit().await);

    // Closed, seen, opened again and merged: the run goes on.
    let ended = play(&open, |house, state| match state {
        "AwaitUpgradeMerge" => house.world.answer_later("platform/fleet", 1, false, at(house, 10)),
        "NoteClosed" => {
            house.world.reopen(1);
            assert!(house.world.merge_request_by_person(1, true));
        }
        _ => {}
    })
    .await;
    assert_eq!((ended.ending.as_str(), ended.statuses()), ("SUCCEEDED", vec![S::Healthy]));

    // Nobody comes.
    let ended = play(&open, |_, _| {}).await;
    assert_eq!((ended.ending.as_str(), ended.requests()[0].1.as_str()), ("MergeRequestExpired", "closed"));
}

/// A person adds to the request before merging it; the versions are as proposed.
#[tokio::test(flavor = "current_thread")]
async fn the_policy_decides_over_what_a_person_added() {
    for (policy, ending, status) in
        [(OnEdited::Stop, "Halted", S::Upgrading), (OnEdited::Accept, "SUCCEEDED", S::Healthy)]
    {
        for path in ["README.md", "clusters/test-euw1-1/istio/istiod.yaml"] {
            let mut fleet = fleet(1);
            fleet.config.policy.on_edited_merge_request = policy;
            let ended = play(&fleet, move |house, state| {
                if state == "AwaitUpgradeMerge" {
                    let before = house.world.file(BRANCH, path).unwrap();
                    house.world.push(BRANCH, path, Some(&format!("{before}# more\n")), "more").unwrap();
                }
            })
            .await;
            assert_eq!(ended.ending, ending, "{policy:?} {path}: {}", ended.cause);
            assert_eq!(ended.statuses(), [status]);
            assert!(ended.audit().await.contains("MERGED_WITH_EDITS"), "{}", ended.audit().await);
            if policy == OnEdited::Stop {
                assert!(ended.cause.contains("MERGED_WITH_EDITS"), "{}", ended.cause);
            }
        }
    }
    // Another version is never accepted: the run would wait for what never comes.
    let mut fleet = fleet(1);
    fleet.config.policy.on_edited_merge_request = OnEdited::Accept;
    let ended = play(&fleet, |house, state| {
        if state == "AwaitUpgradeMerge" {
            let path = "clusters/test-euw1-1/istio/istiod.yaml";
            let edited = house.world.file(BRANCH, path).unwrap().replace("1.30.5", "1.30.4");
            house.world.push(BRANCH, path, Some(&edited), "rather this one").unwrap();
        }
    })
    .await;
    assert_eq!((ended.ending.as_str(), ended.statuses()), ("Halted", vec![S::Upgrading]));
    assert!(ended.cause.contains("MERGED_DIFFERENTLY"), "{}", ended.cause);
}

/// Somebody changes the version between the upgrade and its rollback: nothing is overwritten.
#[tokio::test(flavor = "current_thread")]
async fn a_rollback_refuses_what_somebody_changed_meanwhile() {
    let ended = play(&fleet(2), |house, state| {
        if state == "ConvergeClusters" {
            house.world.fail_helm_upgrade("test-euw1-1", "1.30.5", "boom");
        }
        if state == "StartRollback" {
            let path = "clusters/test-euw1-1/istio/istiod.yaml";
            let now = house.world.file("main", path).unwrap();
            house.world.push("main", path, Some(&now.replace("1.30.5", "1.30.4")), "a try").unwrap();
        }
    })
    .await;
    assert_eq!(ended.ending, "RollbackFailed", "{}", ended.cause);
    assert_eq!(ended.house.world.merge_requests().len(), 1, "no rollback request");
    assert!(
        ended.audit().await.contains("CHANGED_SINCE") || ended.cause.contains("CHANGED_SINCE"),
        "{}",
        ended.cause
    );
}

/// What else was changed in the same files since the upgrade stays as it is.
#[tokio::test(flavor = "current_thread")]
async fn a_rollback_brings_back_exactly_what_was_there() {
    let fleet = fleet(2);
    let ended = play(&fleet, |house, state| {
        if state == "ConvergeClusters" {
            house.world.fail_helm_upgrade("test-euw1-1", "1.30.5", "boom");
        }
        if state == "StartRollback" {
            let path = "clusters/test-euw1-1/istio/base.yaml";
            let now = house.world.file("main", path).unwrap();
            house.world.push("main", path, Some(&format!("{now}# since then\n")), "a note").unwrap();
        }
    })
    .await;
    assert_eq!(ended.ending, "RolledBack", "{}", ended.cause);
    for (path, before) in fleet.world.files.iter().filter(|(path, _)| path.contains("test-euw1-1")) {
        let note = if path.ends_with("base.yaml") { "# since then\n" } else { "" };
        assert_eq!(ended.house.world.file("main", path).unwrap(), format!("{before}{note}"), "{path}");
    }
    let back = &ended.house.world.merge_requests()[1];
    assert_eq!(back.source_branch, "rollback/istio-1.29.8-test");
    assert!(back.title.starts_with("[ROLLBACK] ") && !back.title.contains("Draft"), "{}", back.title);
}

/// The watcher asks each project once, however many runs wait for how many requests there.
#[tokio::test(flavor = "current_thread")]
async fn one_pass_asks_each_project_once() {
    let mut fleet = fleet(4).in_batches(2).unwrap().in_projects(2);
    fleet.config.batch_order.clear();
    fleet.config.policy.mr_strategy = MrStrategy::PerCluster;
    fleet.world.person.upgrade = Answer::Merge { after: Duration::from_mins(90) };
    let house = House::new(&fleet).unwrap();
    for batch in ["test", "dev"] {
        let input = json!({"batch_id": batch, "target_version": "1.30.5"});
        house.start("batch-upgrade", batch, input).unwrap();
    }
    house.run().await;
    let rows = house.store.clusters();
    assert!(rows.iter().all(|row| row.status == S::Healthy), "{rows:?}");
    let start = fleet.world.start;
    let minute = |request: &guard_world::RequestLog| request.at.duration_since(start).as_mins();
    let asked: Vec<_> = house
        .world
        .requests()
        .into_iter()
        .filter(|request| request.system == System::GitLab && request.path.contains("iids[]"))
        .filter(|request| (20..60).contains(&minute(request)))
        .collect();
    let minutes: BTreeSet<i64> = asked.iter().map(minute).collect();
    assert!(minutes.len() >= 39, "every minute: {}", minutes.len());
    assert!(asked.len() <= 2 * (minutes.len() + 1), "{} calls in {} minutes", asked.len(), minutes.len());
}

/// Each token is answered by one call of Step Functions, whatever else wakes the watcher.
#[tokio::test(flavor = "current_thread")]
async fn a_token_is_answered_once() {
    let answers = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answers);
    let hook = move |occasion: &Occasion| {
        if let What::Call { system: "Step Functions", operation } = &occasion.what
            && operation == "SendTaskSuccess"
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
        None
    };
    let house = House::with_faults(&fleet(2).in_projects(2), hook).unwrap();
    house.set_webhook();
    let arn = house.run_one("batch-upgrade", "run-1", input()).await.unwrap();
    assert_eq!(house.service.describe_execution(&arn).unwrap().error, None);
    assert_eq!(answers.load(Ordering::Relaxed), 1);
}

/// GitLab's calls by the state that made them, as `GET .../tree`.
async fn calls_by_state(fleet: &Fleet) -> (House, BTreeMap<String, Vec<String>>) {
    let calls: Arc<Mutex<BTreeMap<String, Vec<String>>>> = Arc::default();
    let kept = Arc::clone(&calls);
    let hook = move |occasion: &Occasion| {
        if let What::Call { system: "GitLab", operation } = &occasion.what {
            let state = occasion.state.clone().unwrap_or_else(|| "watch-merges".to_owned());
            kept.lock().unwrap().entry(state).or_default().push(operation.clone());
        }
        None
    };
    let house = House::with_faults(fleet, hook).unwrap();
    house.run_one("batch-upgrade", "run-1", input()).await.unwrap();
    let calls = calls.lock().unwrap().clone();
    (house, calls)
}

/// Two writes, and reads by pages: the numbers that docs/performance.md tells.
#[tokio::test(flavor = "current_thread")]
async fn seventy_five_clusters_in_one_repository_take_two_writes_and_reads_by_pages() {
    let mut fleet = fleet(75);
    fleet.world.person.upgrade = Answer::Ignore;
    fleet.config.policy.merge_timeout_hours = 1;
    // Room enough that nothing is tried again: what is counted is what is needed.
    fleet.config.gitlab.requests_per_minute = 6_000;
    let (house, calls) = calls_by_state(&fleet).await;
    assert_eq!(house.world.merge_requests()[0].diffs.len(), 225);
    let opening = &calls["OpenUpgradeMergeRequest"];
    let count = |words: &str| opening.iter().filter(|call| call.contains(words)).count();
    let told = [
        ("GET gitlab.example.com/api/v4/projects/platform%2Ffleet/repository/branches/main", 1),
        ("/repository/tree", 4),
        // Three of a hundred files each, one for the owners.
        ("/api/graphql", 4),
        ("GET gitlab.example.com/api/v4/projects/platform%2Ffleet/merge_requests", 2),
        ("/repository/branches/feature", 1),
        ("POST gitlab.example.com/api/v4/projects/platform%2Ffleet/repository/commits", 1),
        ("POST gitlab.example.com/api/v4/projects/platform%2Ffleet/merge_requests", 1),
    ];
    for (words, expected) in told {
        assert_eq!(count(words), expected, "{words}: {opening:#?}");
    }
    assert_eq!(opening.len(), 14, "nothing else: {opening:#?}");
    // A check is an invocation a cluster: its head, its folder, its files.
    assert_eq!(calls["PreCheck"].len(), 75 * 3);
    // Looking costs one call a minute.
    assert!(calls["watch-merges"].len() <= 61, "{}", calls["watch-merges"].len());
}

/// The head, folders and files are read once for all; each request then takes four reads and two writes.
#[tokio::test(flavor = "current_thread")]
async fn a_request_for_each_cluster_reads_the_files_once_for_all() {
    let mut fleet = fleet(10);
    fleet.world.person.upgrade = Answer::Merge { after: Duration::from_mins(30) };
    fleet.config.policy.mr_strategy = MrStrategy::PerCluster;
    fleet.config.gitlab.requests_per_minute = 6_000;
    let (house, calls) = calls_by_state(&fleet).await;
    assert_eq!(house.world.merge_requests().len(), 10);
    let opening = &calls["OpenUpgradeMergeRequest"];
    assert_eq!(opening.len(), 3 + 10 * 6, "head, one page of folders, one question of files: {opening:#?}");
    assert!(house.store.clusters().iter().all(|row| row.status == S::Healthy));
}

/// A budget that is too small for a batch makes it slow, not wrong: nobody sends more, and the run ends well.
#[tokio::test(flavor = "current_thread")]
async fn a_small_budget_of_requests_is_kept_by_all_functions_together() {
    let mut fleet = fleet(8);
    fleet.config.gitlab.requests_per_minute = 60;
    fleet.config.execution.max_parallel_clusters = 8;
    let (house, _) = calls_by_state(&fleet).await;
    let rows = house.store.clusters();
    assert!(rows.iter().all(|row| row.status == S::Healthy), "{rows:?}");
    let mut by_window: BTreeMap<i64, u64> = BTreeMap::new();
    for request in house.world.requests().into_iter().filter(|request| request.system == System::GitLab) {
        *by_window.entry(request.at.as_second().div_euclid(10)).or_default() += 1;
    }
    assert!(by_window.values().all(|count| *count <= 10), "{by_window:?}");
    assert!(
        by_window.values().filter(|count| **count == 10).count() > 1,
        "it was not even reached: {by_window:?}"
    );
}
