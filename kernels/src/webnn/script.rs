//! The plain data that a page follows: which operands there are and which calls of `MLGraphBuilder` make the others.
//!
//! Operands are numbered. Inputs, constants and calls say which numbers are theirs; every operand is made once,
//! before it is used.

use crate::{Kind, Precision, TensorType, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The number of an operand in a [`Script`].
pub type Operand = usize;

/// The element formats of WebNN that plans use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// IEEE binary32.
    Float32,
    /// IEEE binary16.
    Float16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// Unsigned, 8 bits: the truth values of comparisons.
    Uint8,
}

impl DataType {
    /// The standard's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
        }
    }

    /// Bytes of one element.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Float32 | Self::Int32 => 4,
            Self::Float16 => 2,
            Self::Int64 => 8,
            Self::Uint8 => 1,
        }
    }

    /// The format of values of this kind in this precision.
    pub(super) const fn of(kind: Kind, precision: Precision) -> Self {
        match (kind, precision) {
            (Kind::Index, _) => Self::Int32,
            (Kind::Float, Precision::F16) => Self::Float16,
            (Kind::Float, _) => Self::Float32,
        }
    }
}

/// The type of an operand, as `MLOperandDescriptor` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Typed {
    /// What the elements are.
    pub data_type: DataType,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
}

impl Typed {
    /// The type that a value of a graph has in this precision.
    pub(super) fn of(of: &TensorType, precision: Precision) -> Self {
        Self { data_type: DataType::of(of.kind, precision), shape: of.shape.clone() }
    }

    /// The same elements under another shape.
    pub(super) fn shaped(&self, shape: impl Into<Vec<usize>>) -> Self {
        Self { data_type: self.data_type, shape: shape.into() }
    }

    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of all elements.
    pub fn bytes(&self) -> u64 {
        (self.len() * self.data_type.bytes()) as u64
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.data_type.name(), self.shape)
    }
}

/// A value that is given at run time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// Its name in the graph.
    pub name: String,
    /// Its number.
    pub operand: Operand,
    /// Its type.
    #[serde(flatten)]
    pub of: Typed,
    /// Whether an output depends on it. A browser knows nothing of inputs of which none does.
    pub used: bool,
}

/// A value that is given once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Constant {
    /// Its number.
    pub operand: Operand,
    /// Its type.
    #[serde(flatten)]
    pub of: Typed,
    /// Its bytes, if they are few; the others are asked for by the constant's index.
    pub inline: Option<Vec<u8>>,
}

/// What a builder's method is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Argument {
    /// An operand.
    Operand(Operand),
    /// Several operands, as `concat` takes.
    Operands(Vec<Operand>),
    /// Anything else.
    Value(serde_json::Value),
}

impl Argument {
    /// The operands in it.
    pub(super) fn operands(&self) -> &[Operand] {
        match self {
            Self::Operand(operand) => std::slice::from_ref(operand),
            Self::Operands(operands) => operands,
            Self::Value(_) => &[],
        }
    }
}

impl From<Operand> for Argument {
    fn from(operand: Operand) -> Self {
        Self::Operand(operand)
    }
}

impl From<&[usize]> for Argument {
    /// Sizes, positions or axes.
    fn from(sizes: &[usize]) -> Self {
        Self::Value(sizes.into())
    }
}

/// The options of a call, by name.
pub(super) type Options = BTreeMap<String, Argument>;

/// One call of a method of `MLGraphBuilder`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The op of the graph, and the weight that it uses where it uses one.
    pub label: String,
    /// The node of the graph that it is part of; none for what is done for outputs.
    pub node: Option<Value>,
    /// The method.
    pub method: String,
    /// Its arguments, in order, without the options.
    pub arguments: Vec<Argument>,
    /// Its options, without the label.
    pub options: Options,
    /// The numbers of what it makes: one, or several of a method that gives an array.
    pub results: Vec<Operand>,
}

impl Call {
    /// All operands that it takes.
    pub(super) fn operands(&self) -> impl Iterator<Item = Operand> {
        let arguments = self.arguments.iter().chain(self.options.values());
        arguments.flat_map(|argument| argument.operands().iter().copied())
    }
}

/// What is read after a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Its name in the graph.
    pub name: String,
    /// Its number. No two outputs have the same, and none is an input or a constant.
    pub operand: Operand,
    /// Its type.
    #[serde(flatten)]
    pub of: Typed,
}

/// What a page does to build a graph; `harness/browser/page/webnn.js` follows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// The format of floats.
    pub precision: Precision,
    /// In the order of the graph's inputs.
    pub inputs: Vec<Input>,
    /// What is given once.
    pub constants: Vec<Constant>,
    /// What is called, in order.
    pub calls: Vec<Call>,
    /// In the order of the graph's outputs.
    pub outputs: Vec<Output>,
}
