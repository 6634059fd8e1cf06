//! What the injector does with a pod that is never made.

use serde::{Deserialize, Serialize};

use crate::IstioVersion;

/// A pod was given to the API server as a dry run: it went through every webhook, and was not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectionProbe {
    /// The revision asked for, `default` without one.
    pub revision: String,
    /// What came of it.
    pub outcome: ProbeOutcome,
}

/// What came of a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// It came back with a proxy of this version; `None` is an image whose tag names no version.
    Injected(Option<IstioVersion>),
    /// It came back without a proxy.
    Bare,
    /// The API server would not have made it, and said so: a webhook could not be reached, or refused it.
    Refused(String),
}
