//! What follows from the one list of all pods.

use std::collections::BTreeMap;
use std::time::Duration;

use guard_domain::{
    ControlPlaneFacts, IstiodFacts, MeshPodFacts, PodFacts, Reading, WorkloadFacts, WorkloadKind,
};
use kube::Client;

use crate::look::in_time;
use crate::pods::{self, MeshPod};
use crate::{control_plane, istiod, workload_object, workloads};

/// Each may be unread by itself.
pub(crate) struct Mesh {
    pub(crate) pods: Reading<Vec<MeshPodFacts>>,
    pub(crate) system_pods: Reading<Vec<PodFacts>>,
    pub(crate) istiod: Reading<IstiodFacts>,
    pub(crate) control_plane: Reading<ControlPlaneFacts>,
    pub(crate) workloads: Reading<Vec<WorkloadFacts>>,
    pub(crate) strays: Reading<Vec<String>>,
}

impl Mesh {
    /// Pods and Deployments, and then what of the others the pods belong to: each step within its time.
    pub(crate) async fn read(client: &Client, within: Duration) -> Self {
        let (pods, deployments) = futures::join!(
            in_time("pods", within, pods::all(client)),
            in_time("Deployments", within, workload_object::all(client, WorkloadKind::Deployment))
        );
        let pods = match pods {
            Ok(pods) => pods,
            Err(why) => {
                return Self {
                    pods: Err(why.clone()),
                    system_pods: Err(why.clone()),
                    istiod: Err(why.clone()),
                    control_plane: Err(why.clone()),
                    workloads: Err(why.clone()),
                    strays: Err(why),
                };
            }
        };
        let istiod =
            deployments.as_deref().map(|found| istiod::facts(found, &pods.mesh)).map_err(Clone::clone);
        let owners = async {
            match deployments {
                Ok(found) => {
                    let systems = BTreeMap::new();
                    in_time("workloads", within, workloads::facts(client, &pods.mesh, found, &systems)).await
                }
                Err(why) => Err(why),
            }
        };
        let counters = in_time("istiod's metrics", within, control_plane::facts(client, &pods.mesh));
        let (found, control_plane) = futures::join!(owners, counters);
        let (workloads, strays) = match found {
            Ok((workloads, strays)) => (Ok(workloads), Ok(strays)),
            Err(why) => (Err(why.clone()), Err(why)),
        };
        Self {
            pods: Ok(pods.mesh.iter().map(MeshPod::facts).collect()),
            system_pods: Ok(pods.system),
            istiod,
            control_plane,
            workloads,
            strays,
        }
    }
}
