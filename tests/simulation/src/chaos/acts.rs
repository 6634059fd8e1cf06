//! What people and the world do to a story.

use guard_asl::ExecutionDescription;
use guard_domain::{ClusterId, ClusterRecord, ClusterStatus, IstioVersion};
use guard_world::System;
use jiff::SignedDuration;
use rand::{Rng, RngExt as _};
use serde_json::json;

use crate::fleet::Fleet;
use crate::functions::function_arn;
use crate::house::House;

/// What somebody does, or what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A person stops the n-th execution that was started.
    Stop(usize),
    /// A person lets the n-th execution go on from where it ended.
    Redrive(usize),
    /// A person goes on with the n-th run.
    Resume(usize),
    /// A person takes back what the n-th run left in the middle.
    TakeBack(usize),
    /// A person starts the n-th batch.
    StartUpgrade(usize),
    /// A person takes the n-th batch back.
    StartRollback(usize),
    /// A schedule starts the whole fleet.
    StartRollout,
    /// A person merges the newest request.
    Merge,
    /// A person closes it.
    Close,
    /// A person opens it again.
    Reopen,
    /// A person pushes another version to its branch.
    Edit,
    /// A person rebases its branch by force: what it proposes stays the same, its commits do not.
    Rebase,
    /// A person pushes another version over its branch, by force.
    ForcePush,
    /// A person deletes its branch.
    DeleteBranch,
    /// A monitor of the n-th cluster fires.
    Fire(usize),
    /// Flux of the n-th cluster is suspended.
    Suspend(usize),
    /// The API server of the n-th cluster never answers again.
    Die(usize),
    /// Datadog has nothing to say any more.
    Silence,
    /// A system is out of reach for some minutes.
    Outage(u8, i64),
    /// A person gives the n-th cluster another status.
    WriteStatus(usize, ClusterStatus),
    /// A person says that the n-th cluster is at the target.
    WriteVersion(usize),
    /// A person lets the n-th cluster's row name a folder that is not there.
    WritePath(usize),
    /// A person takes the n-th cluster's row away.
    RemoveRow(usize),
    /// Sweep is called, once more than its schedule does.
    Sweep,
}

impl Act {
    /// Any of them.
    pub(crate) fn draw(random: &mut impl Rng, clusters: usize, batches: usize) -> Self {
        let (cluster, batch) = (random.random_range(0..clusters), random.random_range(0..batches));
        match random.random_range(0..39) {
            0..=4 => Self::Stop(random.random_range(0..6)),
            5..=7 => Self::StartUpgrade(batch),
            8 | 9 => Self::StartRollback(batch),
            10 => Self::StartRollout,
            11 => Self::Merge,
            12 => Self::Close,
            13 => Self::Reopen,
            14 => Self::Edit,
            15 => Self::Rebase,
            16 => Self::ForcePush,
            17 => Self::DeleteBranch,
            18 => Self::Fire(cluster),
            19 => Self::Suspend(cluster),
            20 => Self::Die(cluster),
            21 => Self::Silence,
            22 | 23 => Self::Outage(random.random_range(0..3), random.random_range(1..30)),
            24 | 25 => {
                let all = ClusterStatus::ALL;
                Self::WriteStatus(cluster, all[random.random_range(0..all.len())])
            }
            26 => Self::WriteVersion(cluster),
            27 => Self::WritePath(cluster),
            28 => Self::RemoveRow(cluster),
            29 => Self::Sweep,
            30..=33 => Self::Resume(random.random_range(0..3)),
            34 | 35 => Self::TakeBack(random.random_range(0..3)),
            _ => Self::Redrive(random.random_range(0..6)),
        }
    }

    /// Whether somebody starts something.
    pub(crate) fn is_a_start(self) -> bool {
        matches!(
            self,
            Self::Resume(_)
                | Self::TakeBack(_)
                | Self::StartUpgrade(_)
                | Self::StartRollback(_)
                | Self::StartRollout
        )
    }

    /// Whether it changes what runs in clusters, or Git, past GUARD.
    pub(crate) fn meddles(self) -> bool {
        match self {
            // And a request that is merged after its run has ended is followed by nobody.
            Self::Reopen
            | Self::Edit
            | Self::Rebase
            | Self::ForcePush
            | Self::Suspend(_)
            | Self::Merge
            | Self::WritePath(_) => true,
            Self::Stop(_)
            | Self::Resume(_)
            | Self::TakeBack(_)
            | Self::Redrive(_)
            | Self::StartUpgrade(_)
            | Self::StartRollback(_)
            | Self::StartRollout
            | Self::Close
            | Self::DeleteBranch
            | Self::Fire(_)
            | Self::Die(_)
            | Self::Silence
            | Self::Outage(..)
            | Self::WriteStatus(..)
            | Self::WriteVersion(_)
            | Self::RemoveRow(_)
            | Self::Sweep => false,
        }
    }

    pub(crate) fn perform(self, fleet: &Fleet, house: &House) {
        let (world, service) = (&house.world, &house.service);
        let started = service.list_executions().len();
        match self {
            Self::Stop(n) => {
                if let Some(execution) = service.list_executions().get(n) {
                    // One that has ended stays as it is.
                    let _ = service.stop_execution(&execution.arn, "Stopped", "by a person");
                }
            }
            Self::Redrive(n) => {
                if let Some(execution) = service.list_executions().get(n) {
                    // One that runs or has succeeded stays as it is.
                    let _ = service.redrive_execution(&execution.arn);
                }
            }
            Self::Resume(n) | Self::TakeBack(n) => {
                let goes_back = matches!(self, Self::TakeBack(_));
                let is_run = |one: &&ExecutionDescription| {
                    let by_hand = one.input["batch_id"].is_string();
                    by_hand && (goes_back || one.machine == "batch-upgrade")
                };
                let all = service.list_executions();
                let Some(run) = all.iter().filter(is_run).nth(n) else { return };
                let (batch, name) = (&run.input["batch_id"], format!("on-{started}"));
                let _ = if goes_back {
                    let input = json!({"batch_id": batch, "reason": "enough", "resume": run.name});
                    service.start_execution("batch-rollback", Some(&name), input)
                } else {
                    let input =
                        json!({"batch_id": batch, "target_version": fleet.target, "resume": run.name});
                    service.start_execution("batch-upgrade", Some(&name), input)
                };
            }
            Self::StartUpgrade(n) => {
                let input = json!({"batch_id": fleet.batches[n], "target_version": fleet.target});
                let _ = service.start_execution("batch-upgrade", Some(&format!("run-{started}")), input);
            }
            Self::StartRollback(n) => {
                let input = json!({"batch_id": fleet.batches[n], "reason": "a person asks"});
                let _ = service.start_execution("batch-rollback", Some(&format!("back-{started}")), input);
            }
            Self::StartRollout => {
                let input =
                    json!({"target_version": fleet.target, "reason": "a schedule", "request_id": "tonight"});
                let _ = service.start_execution("rollout", Some(&format!("all-{started}")), input);
            }
            Self::Merge | Self::Close | Self::Reopen => self.answer(house),
            Self::Edit | Self::Rebase | Self::ForcePush | Self::DeleteBranch => self.push(fleet, house),
            Self::Fire(n) => world.fire_monitor(id(fleet, n).as_str(), "mesh 5xx"),
            Self::Suspend(n) => world.suspend_flux(id(fleet, n).as_str(), true),
            Self::Die(n) => {
                let now = service.now();
                let never = now + SignedDuration::from_hours(10_000);
                world.outage(System::Kubernetes(id(fleet, n).to_string()), now, never, 503);
            }
            Self::Silence => world.silence_metrics(None, true),
            Self::Outage(system, minutes) => {
                let system = match system {
                    0 => System::GitLab,
                    1 => System::Datadog,
                    _ => System::Kubernetes(id(fleet, 0).to_string()),
                };
                let now = service.now();
                world.outage(system, now, now + SignedDuration::from_mins(minutes), 503);
            }
            Self::WriteStatus(n, status) => write(house, id(fleet, n), move |row| row.status = status),
            Self::WriteVersion(n) => {
                let target = fleet.target.clone();
                write(house, id(fleet, n), move |row| row.current_istio_version = target);
            }
            Self::WritePath(n) => {
                write(house, id(fleet, n), |row| "clusters/nowhere".clone_into(&mut row.flux_config_path));
            }
            Self::RemoveRow(n) => house.edit_by_hand(id(fleet, n), None::<fn(&mut ClusterRecord)>),
            Self::Sweep => service.schedule_invocation(service.now(), &function_arn("sweep"), json!({})),
        }
    }

    /// What people do to the newest request.
    fn answer(self, house: &House) {
        let Some(request) = house.world.merge_requests().into_iter().last() else { return };
        match self {
            Self::Reopen if request.state == "closed" => house.world.reopen(request.iid),
            Self::Reopen => {}
            _ => _ = house.world.merge_request_by_person(request.iid, self == Self::Merge),
        }
    }

    /// What people do to the newest request's branch while it is open.
    fn push(self, fleet: &Fleet, house: &House) {
        let newest = house.world.merge_requests().into_iter().last();
        let Some(request) = newest.filter(|request| request.state == "opened") else { return };
        let (world, branch) = (&house.world, &request.source_branch);
        if self == Self::DeleteBranch {
            world.delete_branch(branch);
            return;
        }
        if self != Self::Edit {
            // The branch starts anew where `main` is.
            world.branch_off(branch);
        }
        let other = IstioVersion::parse("1.30.4").map(|version| version.to_string()).unwrap_or_default();
        for (n, (path, _, after)) in request.diffs.iter().enumerate() {
            let Some(after) = after else { continue };
            let is_changed = self != Self::Rebase && n == 0;
            let text =
                if is_changed { after.replace(&fleet.target.to_string(), &other) } else { after.clone() };
            if self != Self::Edit || is_changed {
                world.push(branch, path, Some(&text), "rather this");
            }
        }
    }
}

fn id(fleet: &Fleet, n: usize) -> &ClusterId {
    &fleet.rows[n].cluster_id
}

fn write(house: &House, id: &ClusterId, edit: impl FnOnce(&mut ClusterRecord)) {
    house.edit_by_hand(id, Some(edit));
}
