//! Levers on how workloads are rolled, what protects their pods, and who makes them.

use crate::World;
use crate::spec::Budget;
use crate::state::Event;
use crate::workload::Workload;

impl World {
    /// Pauses or resumes a Deployment.
    pub fn pause_workload(&self, cluster_id: &str, namespace: &str, name: &str, paused: bool) {
        let mut state = self.state();
        let now = state.now;
        let Some(cluster) = state.clusters.get_mut(cluster_id) else { return };
        let is_meant = |one: &&Workload| one.namespace() == namespace && one.name() == name;
        let Some(key) = cluster.workloads.values().find(is_meant).map(|one| one.key.clone()) else { return };
        if cluster.pause(&key, now, paused) {
            state.after(1, Event::Roll { cluster: cluster_id.to_owned(), workload: key });
        }
    }

    /// A workload has this budget from now on.
    pub fn set_budget(&self, cluster_id: &str, namespace: &str, name: &str, budget: Budget) {
        self.with_workload(cluster_id, namespace, name, |workload| workload.spec.budget = budget);
    }

    /// The API server reaches no injector, whatever istiod does: pods of the mesh cannot be made.
    pub fn injector_down(&self, cluster_id: &str, is_down: bool) {
        if let Some(cluster) = self.state().clusters.get_mut(cluster_id) {
            cluster.injector_down = is_down;
        }
    }
}
