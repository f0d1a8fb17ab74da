//! The proof mark: what kind of thing a number is. Only an opened device, or what
//! brings results from elsewhere (migration, import), sets it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a result proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Ran on the hardware that it names.
    Real,
    /// Ran through the real API on an adapter that imitates the hardware.
    Software,
    /// Did not run; computed by a model.
    Simulated,
    /// Migrated or imported from elsewhere; says that it is real and cannot show it.
    Claimed,
}

impl Mark {
    /// The mark as it stands in records and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Software => "software",
            Self::Simulated => "simulated",
            Self::Claimed => "claimed",
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
