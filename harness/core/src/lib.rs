//! The vocabulary of Proofmark (case, endpoint, mark, record) and its two runners: libtest-mimic for tests,
//! criterion for benches.
//!
//! No database, no HTTP, no device: those belong to the `proofmark-lab` crate and to the suites.

mod bench;
pub mod case;
pub mod clock;
mod compare;
mod conformance;
pub mod endpoint;
pub mod env;
pub mod environment;
pub mod exit;
mod expectation;
pub mod finding;
pub mod fingerprint;
mod job;
pub mod journal;
pub mod mark;
mod probing;
mod process;
pub mod protocol;
pub mod record;
pub mod roof;
mod run;
mod sampling;
mod service;
pub mod settings;
mod snapshot;
mod suite;
pub mod survey;
mod telemetry;
pub mod toolchain;

pub use bench::bench;
pub use case::{Absence, Case, CaseId, Isolation, Session, Subject};
pub use conformance::conformance;
pub use endpoint::Endpoint;
pub use expectation::Expectation;
pub use finding::Finding;
pub use fingerprint::{Fingerprint, Part};
pub use mark::Mark;
pub use probing::probe_endpoints;
pub use run::measure_here;
pub use service::{Service, Started};
pub use suite::{Driver, Fetch, MakeCases, Request, Suite};
