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
    /// What else the probe found, by name: versions, flags, what the adapter says of itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
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
            details: BTreeMap::new(),
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

/// The findings of one suite.
#[derive(Clone, Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// These findings.
    pub fn new(findings: Vec<Finding>) -> Self {
        Self(findings)
    }

    /// What is known of an endpoint; one that is not here is absent.
    pub fn get(&self, endpoint: &Endpoint) -> Finding {
        let found = self.0.iter().find(|finding| finding.endpoint == *endpoint);
        found.cloned().unwrap_or_else(|| {
            let reason = format!("this suite has no device for {endpoint}");
            Finding::absent(endpoint.clone(), reason)
        })
    }

    /// The same with some in place of what was known of their endpoints.
    #[must_use]
    pub(crate) fn with(mut self, findings: Vec<Finding>) -> Self {
        for finding in findings {
            self.0.retain(|known| known.endpoint != finding.endpoint);
            self.0.push(finding);
        }
        self
    }

    /// All of them, in the order of the suite's drivers.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_driver_is_absent() {
        let finding = Findings::default().get(&Endpoint::CPU);
        assert_eq!(finding.absence(), Some("this suite has no device for cpu"));
    }
}
