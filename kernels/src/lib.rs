//! Tensors, the graph of a model, its cost, its reference in f64, and the devices that run it.
//!
//! A model is a [`Graph`] made with a [`Builder`] for one [`Binding`] of its symbolic sizes.
//! A [`Device`] prepares a graph with its [`Weights`] and gives a [`Program`] that runs.
//! Cases, marks and records are not here: they are the `proofmark` crate, which this one does not know.

mod bytes;
mod clock;
#[cfg(feature = "cpu")]
pub mod cpu;
mod device;
mod error;
mod fold;
mod graph;
mod ops;
mod reference;
mod tensor;
#[cfg(feature = "webgpu")]
pub mod webgpu;
pub mod webnn;
mod weights;

pub use device::{
    AdapterClass, Device, Fallback, Identity, Limit, OpTime, Program, Roof, Source, Timing,
};
pub use error::Error;
pub use fold::fold;
pub use graph::{
    BATCH, Binding, Builder, Graph, Node, Part, SEQUENCE, Size, Symbol, Value, run_parts, split,
};
pub use ops::{Activation, Array, BinaryOp, Cost, Op, Reduction, UnaryOp, Window};
pub use reference::{evaluate, evaluate_all, reference_version};
pub use tensor::{Data, Kind, Precision, Tensor, TensorType};
pub use weights::Weights;
