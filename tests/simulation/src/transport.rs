//! The way out, led into the simulated world. No socket, no real time: the one place where every call of every adapter
//! passes.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use guard_http::{Call, Transport, TransportError};
use guard_world::World;

/// Calls answered by a [`World`] in this process.
pub(crate) struct InProcess {
    world: World,
    calls: AtomicU64,
}

impl InProcess {
    pub(crate) fn new(world: World) -> Self {
        Self { world, calls: AtomicU64::new(0) }
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, call: Call) -> Result<http::Response<Bytes>, TransportError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(self.world.handle(call.request))
    }
}
