//! The WGSL texts: which kernels there are, and how a variant of one is made.
//!
//! A variant is a header of constants, then the texts that the kernel shares with others (`functions.wgsl`, for sums
//! of products `product.wgsl` and `tiles.wgsl`) and its own. The header is the one place where the element type is chosen: `alias T = f32;`, or
//! `enable f16; alias T = f16;`. Sums are f32 in every kernel whatever `T` is.

use crate::device::Source;
use crate::{Activation, BinaryOp, Precision, Reduction, UnaryOp};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// A kernel, by its file in `shaders/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// Dense layers and matrix products.
    Matmul,
    /// The same with few rows on the left.
    Gemv,
    /// Attention.
    Attention,
    /// Convolution as a matrix product.
    Conv,
    /// Convolution, one result at a time.
    ConvDirect,
    /// The maximum of a window.
    MaxPool,
    /// Layer, group and root-mean-square normalisation.
    Norm,
    /// Rotary positions.
    Rotary,
    /// Softmax.
    Softmax,
    /// Reduction of one axis.
    Reduce,
    /// A function of every element.
    Unary,
    /// A function of every broadcast pair.
    Binary,
    /// Strided copies.
    Copy,
    /// Rows of a table.
    Gather,
}

macro_rules! source {
    ($name:literal) => {
        Source {
            name: concat!("webgpu/shaders/", $name, ".wgsl"),
            text: include_str!(concat!("shaders/", $name, ".wgsl")),
        }
    };
}

const FUNCTIONS: Source = source!("functions");
const PRODUCT: Source = source!("product");
const TILES: Source = source!("tiles");

impl Kernel {
    /// All kernels.
    pub const ALL: [Self; 14] = [
        Self::Matmul,
        Self::Gemv,
        Self::Attention,
        Self::Conv,
        Self::ConvDirect,
        Self::MaxPool,
        Self::Norm,
        Self::Rotary,
        Self::Softmax,
        Self::Reduce,
        Self::Unary,
        Self::Binary,
        Self::Copy,
        Self::Gather,
    ];

    const fn source(self) -> Source {
        match self {
            Self::Matmul => source!("matmul"),
            Self::Gemv => source!("gemv"),
            Self::Attention => source!("attention"),
            Self::Conv => source!("conv"),
            Self::ConvDirect => source!("conv_direct"),
            Self::MaxPool => source!("max_pool"),
            Self::Norm => source!("norm"),
            Self::Rotary => source!("rotary"),
            Self::Softmax => source!("softmax"),
            Self::Reduce => source!("reduce"),
            Self::Unary => source!("unary"),
            Self::Binary => source!("binary"),
            Self::Copy => source!("copy"),
            Self::Gather => source!("gather"),
        }
    }

    /// The texts that the kernel is made of.
    pub(super) fn sources(self) -> Vec<Source> {
        match self {
            Self::Matmul | Self::Conv => vec![FUNCTIONS, PRODUCT, self.source(), TILES],
            Self::Gemv => vec![FUNCTIONS, PRODUCT, self.source()],
            Self::ConvDirect | Self::Unary => vec![FUNCTIONS, self.source()],
            _ => vec![self.source()],
        }
    }
}

/// The constants of a variant, in the order in which they are declared.
#[derive(Clone, Debug)]
pub(super) struct Header {
    text: String,
}

impl Header {
    /// The header for floats of a precision.
    pub(super) fn new(precision: Precision) -> Self {
        let half = precision == Precision::F16;
        let text = if half { "enable f16;\nalias T = f16;\n" } else { "alias T = f32;\n" };
        Self { text: text.to_owned() }
    }

    /// One more `const NAME: u32`.
    pub(super) fn number(mut self, name: &str, value: u32) -> Self {
        writeln!(self.text, "const {name}: u32 = {value}u;").expect("a string grows");
        self
    }

    /// One more `const NAME: bool`.
    pub(super) fn flag(mut self, name: &str, value: bool) -> Self {
        writeln!(self.text, "const {name}: bool = {value};").expect("a string grows");
        self
    }

    /// One more type alias.
    pub(super) fn alias(mut self, name: &str, of: &str) -> Self {
        writeln!(self.text, "alias {name} = {of};").expect("a string grows");
        self
    }

    /// The whole text of the variant.
    pub(super) fn text(self, kernel: Kernel) -> String {
        kernel.sources().iter().fold(self.text, |text, source| text + source.text)
    }
}

/// The code of an activation in `functions.wgsl`.
pub(super) const fn activation_code(activation: Activation) -> u32 {
    match activation {
        Activation::Identity => 0,
        Activation::Relu => 1,
        Activation::Gelu => 2,
        Activation::GeluTanh => 3,
        Activation::QuickGelu => 4,
        Activation::Silu => 5,
        Activation::Tanh => 6,
    }
}

/// The code of a function in `functions.wgsl`.
pub(super) const fn unary_code(op: UnaryOp) -> u32 {
    match op {
        UnaryOp::Neg => 7,
        UnaryOp::Abs => 8,
        UnaryOp::Sqrt => 9,
        UnaryOp::Exp => 10,
        UnaryOp::Reciprocal => 11,
        UnaryOp::Sigmoid => 12,
        UnaryOp::Activate(activation) => activation_code(activation),
    }
}

/// The code of a function in `binary.wgsl`.
pub(super) const fn binary_code(op: BinaryOp) -> u32 {
    match op {
        BinaryOp::Add => 0,
        BinaryOp::Sub => 1,
        BinaryOp::Mul => 2,
        BinaryOp::Div => 3,
        BinaryOp::Max => 4,
        BinaryOp::Min => 5,
    }
}

/// The code of a reduction in `reduce.wgsl`.
pub(super) const fn reduction_code(op: Reduction) -> u32 {
    match op {
        Reduction::Sum => 0,
        Reduction::Mean => 1,
        Reduction::Max => 2,
    }
}
