//! The one way out: every call of every adapter is a [`Call`] given to one [`Transport`], and every refusal gets its
//! error name here. The simulation and the fault hook are other implementations of the same trait.
//!
//! Never here: a vendor's words beyond the name of a [`System`], retries, or a wait. Start reading at [`Transport`].

mod answer;
mod call;
mod classify;
pub mod cluster_access;
mod error;
mod metered;
mod reqwest_transport;
mod traced;
mod transport;

pub use answer::{clip, refusal, retry_after};
pub use call::{Call, System};
pub use classify::classify;
pub use error::{FailureKind, TransportError};
pub use metered::Metered;
pub use reqwest_transport::{MAX_ANSWER_BYTES, ReqwestTransport};
pub use traced::Traced;
pub use transport::Transport;
