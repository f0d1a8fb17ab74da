//! The vocabulary of Proofmark (case, endpoint, mark, record) and its two runners: libtest-mimic for tests,
//! criterion for benches.
//!
//! No database, no HTTP, no device: those belong to the `proofmark-lab` crate and to the suites.

pub mod case;
pub mod clock;
pub mod endpoint;
pub mod finding;
pub mod fingerprint;
pub mod journal;
pub mod mark;
pub mod record;

pub use case::{Absence, Case, CaseId, Isolation, Session, Subject};
pub use endpoint::Endpoint;
pub use finding::Finding;
pub use fingerprint::{Fingerprint, Part};
pub use mark::Mark;
