//! What can go wrong between a checkpoint and an output; messages are fragments that follow "failed to".

use crate::tensor::{Kind, Precision};
use std::path::PathBuf;

/// Why a graph, its weights or a device refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operand of an op has a shape or kind that the op cannot take.
    #[error("build the graph: {op}: {detail}")]
    Shape {
        /// The op's name.
        op: &'static str,
        /// What was wrong with which operand.
        detail: String,
    },
    /// A graph uses a symbolic size that its binding does not hold.
    #[error(
        "bind the size `{symbol}`: the binding has no such symbol; bind it before the graph is built"
    )]
    Unbound {
        /// The symbol's name.
        symbol: String,
    },
    /// A weight that the graph names is not in the checkpoint.
    #[error(
        "find the weight `{name}` in {origin}: it holds {count} tensors, none of this name{hint}"
    )]
    MissingWeight {
        /// The weight's name.
        name: String,
        /// Where it was looked for.
        origin: String,
        /// How many tensors are there.
        count: usize,
        /// The nearest name, if one is near.
        hint: String,
    },
    /// A weight has another shape than the graph expects.
    #[error(
        "use the weight `{name}` of {origin}: its shape is {found:?}, the model's configuration asks for {expected:?}"
    )]
    WeightShape {
        /// The weight's name.
        name: String,
        /// Where it comes from.
        origin: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape that the graph declares.
        expected: Vec<usize>,
    },
    /// A weight holds values of another kind than the graph expects.
    #[error(
        "use the weight `{name}` of {origin}: it holds {found} values, the model asks for {expected} values"
    )]
    WeightKind {
        /// The weight's name.
        name: String,
        /// Where it comes from.
        origin: String,
        /// The kind in the file.
        found: Kind,
        /// The kind that the graph declares.
        expected: Kind,
    },
    /// A weight holds a number that is not finite, at least not in the precision of the run.
    #[error("use the weight `{name}` of {origin}: element {index} is {value}")]
    WeightNotFinite {
        /// The weight's name.
        name: String,
        /// Where it comes from.
        origin: String,
        /// The index of the first such element.
        index: usize,
        /// The number, as text, and what to do.
        value: String,
    },
    /// A file of weights could not be read.
    #[error("read the weights {path}: {detail}")]
    WeightFile {
        /// The file.
        path: PathBuf,
        /// What was wrong with it, and what to do.
        detail: String,
    },
    /// An input that was given at run time does not fit the graph.
    #[error("take the input `{name}`: expected {expected}, got {found}")]
    Input {
        /// The input's name.
        name: String,
        /// What the graph declares.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The device cannot compute this op in this precision.
    #[error("run {op} in {precision} on {device}: {detail}")]
    Unsupported {
        /// The device's name.
        device: String,
        /// The op's name.
        op: &'static str,
        /// The precision asked for.
        precision: Precision,
        /// What is lacking.
        detail: String,
    },
    /// A tensor does not fit the device.
    #[error(
        "place {what} on {device}: it needs {needed} bytes, the adapter's {limit_name} is {limit}"
    )]
    TooLarge {
        /// The device's name.
        device: String,
        /// Which tensor.
        what: String,
        /// Bytes needed.
        needed: u64,
        /// The adapter's name for the limit.
        limit_name: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// The device does not exist on this machine.
    #[error("open {device}: {detail}")]
    Absent {
        /// The device's name.
        device: String,
        /// The exact reason.
        detail: String,
    },
    /// The device failed while it worked.
    #[error("run on {device}: {detail}")]
    Device {
        /// The device's name.
        device: String,
        /// The driver's words.
        detail: String,
    },
}

impl Error {
    pub(crate) fn shape(op: &'static str, detail: impl Into<String>) -> Self {
        Self::Shape { op, detail: detail.into() }
    }

    /// A gather was asked for a row that its table of so many rows does not have.
    pub(crate) fn bad_index(index: impl ToString, rows: usize) -> Self {
        Self::Input {
            name: "indices of gather".into(),
            expected: format!("values in 0..{rows}"),
            found: index.to_string(),
        }
    }

    pub(crate) fn kind(op: &'static str, operand: &str, expected: Kind) -> Self {
        Self::shape(op, format!("{operand} must hold {expected} values"))
    }
}
