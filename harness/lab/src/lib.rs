//! What is done with records once they exist: stored, planned from, reported on.
//!
//! Pure functions over plain structs are `plan`, `stats`, `gate`, `certify`, `history`, `trend`, `attribution`, `coverage`,
//! `basis`, `browsers`, `compat`, `timing`, `quality`, `import`, `export`, `migrate` and `simulate`; the only part that
//! knows DuckDB is `store`; the files are read through by `truth` and kept elsewhere by `backup`. Records themselves, and
//! how they are made, are the crate `proofmark`.

pub mod attribution;
pub mod backup;
pub mod basis;
pub mod browsers;
pub mod certify;
pub mod compat;
pub mod coverage;
pub mod export;
pub mod figures;
pub mod gate;
pub mod history;
pub mod import;
mod lines;
pub mod migrate;
pub mod plan;
pub mod quality;
pub mod report;
pub mod retention;
pub mod simulate;
pub mod stats;
pub mod store;
pub mod timing;
pub mod trend;
pub mod truth;
