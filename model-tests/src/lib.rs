//! The model families as graphs, the models by name, and the suite of cases over them.
//!
//! Written as an outside user would write it: this is where `proofmark` and `proofmark-kernels` meet. How cases are
//! run and recorded is `proofmark`; how graphs are computed is `proofmark-kernels`.

pub mod catalogue;
mod challenge;
pub mod checkpoint;
pub mod config;
mod env;
pub mod error;
pub mod execution;
pub mod families;
mod files;
pub mod generate;
pub mod golden;
mod inputs;
mod process;
pub mod processors;
mod references;
#[cfg(test)]
mod shaders;
mod subject;
mod suite;
pub mod targets;
#[cfg(test)]
mod testing;
pub mod text;
mod tools;
mod vulkan;
mod wheel;

pub use error::Error;
pub use suite::suite;
