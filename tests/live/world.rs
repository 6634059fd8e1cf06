//! The simulated world on loopback sockets, in the place of the real systems.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use guard_aws::{Aws, Endpoints};
use guard_http::{ReqwestTransport, Transport};
use guard_simulation::Fleet;
use guard_tasks::Clock;
use guard_world::{Pace, Served, World};
use jiff::Timestamp;

use crate::read_only::ReadOnly;

pub(crate) struct Outside {
    pub(crate) fleet: Fleet,
    pub(crate) world: World,
    pub(crate) served: Served,
}

pub(crate) struct WorldClock(World);

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl Outside {
    pub(crate) async fn open() -> Self {
        let fleet = Fleet::new(2, 1, None, None).unwrap();
        let world = World::new(fleet.world.clone());
        let served = guard_world::serve(world.clone(), Pace::ByHand).await.unwrap();
        Self { fleet, world, served }
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(WorldClock(self.world.clone()))
    }

    pub(crate) fn aws(&self) -> Arc<Aws> {
        let endpoints =
            Endpoints { sts: Some(self.served.sts_url.clone()), eks: Some(self.served.eks_url.clone()) };
        let credentials = SharedCredentialsProvider::new(Credentials::from_keys("AKIAGUARD", "secret", None));
        Arc::new(Aws::new(reads(), credentials, self.clock(), endpoints))
    }
}

/// The real way out, for reads.
pub(crate) fn reads() -> Arc<dyn Transport> {
    Arc::new(ReadOnly(Arc::new(ReqwestTransport::new())))
}
