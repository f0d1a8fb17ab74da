//! What a probe found of an endpoint, and the cache of findings that listing reads instead of opening devices.

use crate::endpoint::Endpoint;
use crate::mark::Mark;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether an endpoint exists on this machine, and as what; or exactly why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What results there prove; null when it is absent.
    pub mark: Option<Mark>,
    /// Why it is absent and what would bring it; null when it is there.
    pub reason: Option<String>,
    /// The adapter's own name.
    pub adapter: Option<String>,
    /// The driver and its version.
    pub driver: Option<String>,
    /// Limits by the adapter's own names.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
    /// Capabilities by the adapter's own names.
    #[serde(default)]
    pub features: Vec<String>,
}

impl Finding {
    /// The endpoint is not here.
    pub fn absent(endpoint: Endpoint, reason: impl Into<String>) -> Self {
        Self {
            endpoint,
            mark: None,
            reason: Some(reason.into()),
            adapter: None,
            driver: None,
            limits: BTreeMap::new(),
            features: Vec::new(),
        }
    }

    /// The reason of an absent endpoint.
    pub fn absence(&self) -> Option<&str> {
        match self.mark {
            Some(_) => None,
            None => Some(self.reason.as_deref().unwrap_or("the probe gave no reason")),
        }
    }
}
