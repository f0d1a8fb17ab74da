//! The closed set of operators. Each has its shape rule, its reference in f64 and its cost in one file here;
//! this file names them and passes each question on.
//!
//! Devices do not live here: they match on [`Op`] and say which ones they lack.

mod array;
mod attention;
mod conv;
mod cost;
mod elementwise;
mod gather;
mod layout;
mod linear;
mod normalise;
mod reduce;
mod rotary;

pub(crate) use attention::bias_operand;
pub(crate) use elementwise::broadcast_offsets;

pub use array::Array;
pub use conv::Window;
pub use cost::Cost;
pub use elementwise::{Activation, BinaryOp, UnaryOp};
pub use reduce::Reduction;

use crate::{Error, Kind, Precision, Tensor, TensorType};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An operator with its attributes. The shapes of operands stand at the methods of [`crate::Builder`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// A tensor given at run time.
    Input {
        /// Its name, as the model class names the argument.
        name: String,
    },
    /// A tensor of the checkpoint.
    Weight {
        /// Its name in the checkpoint.
        name: String,
    },
    /// A float constant of empty shape.
    Scalar {
        /// Its value.
        value: f32,
    },
    /// A tensor that is part of the graph: positions, masks, filters.
    Constant {
        /// Its shape and elements.
        tensor: Arc<Tensor>,
    },
    /// Rows of a table by index.
    Gather,
    /// Dense layer with the weight as `[n, k]`.
    Linear {
        /// Whether a third operand `[n]` is added.
        bias: bool,
        /// Applied last.
        activation: Activation,
    },
    /// Batched matrix product.
    MatMul {
        /// Whether the right operand is `[.., n, k]`.
        transpose_right: bool,
    },
    /// Convolution `activation(x ∗ weight + bias)` over the last two axes: `x` `[b, c, h, w]`, `weight`
    /// `[o, c/groups, kh, kw]`, then, if declared, `bias` `[o]`. The result is `[b, o, h', w']`.
    Conv {
        /// How the filter slides; its size is that of the weight.
        window: Window,
        /// Into how many groups the channels are cut, each of which sees only itself.
        groups: usize,
        /// Whether a third operand `[o]` is added.
        bias: bool,
        /// Applied last.
        activation: Activation,
    },
    /// The maximum of every window over the last two axes of `[b, c, h, w]`.
    MaxPool {
        /// How the window slides.
        window: Window,
    },
    /// Scaled dot-product attention over heads that lie side by side in the last axis.
    ///
    /// `query` `[b, q, heads·d]`, `key` and `value` `[b, k, kv_heads·d]`, then, if declared,
    /// `mask` (index `[b, k]`, 0 hides the key) and `bias` (float `[n, 1 or heads, q, k]`, added to the scaled
    /// scores; `n` divides `b`, and example `i` takes bias `i mod n`, as windows of one image do). The result is `[b, q, heads·d]`. A row whose keys are all hidden attends to all alike.
    Attention {
        /// Query heads.
        heads: usize,
        /// Key and value heads; divides `heads`.
        kv_heads: usize,
        /// Multiplies the scores, usually `1/√d`.
        scale: f32,
        /// Query `i` of `q` sees keys `0 ..= i + k - q` only.
        causal: bool,
        /// Whether a mask operand follows the value.
        mask: bool,
        /// Whether a bias operand comes last.
        bias: bool,
    },
    /// Layer normalisation of the last axis with scale and shift (Ba et al. 2016).
    LayerNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Normalisation of the last axis by its root mean square, and scale (Zhang and Sennrich 2019).
    RmsNorm {
        /// Added to the mean square.
        epsilon: f32,
    },
    /// Normalisation of groups of the channels of `[b, c, ..]` together with all axes behind, then scale and shift
    /// of each channel (Wu and He 2018).
    GroupNorm {
        /// Into how many groups the channels are cut.
        groups: usize,
        /// Added to the variance.
        epsilon: f32,
    },
    /// Rotation of the two halves of every head of `[b, s, heads·d]` by angles whose cosines and sines
    /// `[1 or b, s, d/2]` follow: `(a, b)` becomes `(a·cos - b·sin, b·cos + a·sin)`.
    Rotary {
        /// Heads that lie side by side in the last axis.
        heads: usize,
    },
    /// Softmax over the last axis.
    Softmax,
    /// A function of each element.
    Unary(UnaryOp),
    /// A function of each broadcast pair.
    Binary(BinaryOp),
    /// Reduction of one axis.
    Reduce {
        /// What is computed.
        op: Reduction,
        /// Which axis.
        axis: usize,
        /// Whether the axis stays, with size 1.
        keep: bool,
    },
    /// The same elements under another shape.
    Reshape {
        /// The new shape.
        shape: Vec<usize>,
    },
    /// Permuted axes.
    Transpose {
        /// Axis `i` of the result is axis `order[i]` of the operand.
        order: Vec<usize>,
    },
    /// A range of one axis.
    Slice {
        /// Which axis.
        axis: usize,
        /// First kept position.
        start: usize,
        /// One past the last kept position.
        end: usize,
    },
    /// Operands joined along an axis.
    Concat {
        /// Which axis.
        axis: usize,
    },
    /// Index values as floats.
    ToFloat,
}

impl Op {
    /// The op's name in messages, timings and fingerprints.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Input { .. } => "input",
            Self::Weight { .. } => "weight",
            Self::Scalar { .. } => "scalar",
            Self::Constant { .. } => "constant",
            Self::Gather => "gather",
            Self::Linear { .. } => "linear",
            Self::MatMul { .. } => "matmul",
            Self::Conv { .. } => "conv",
            Self::MaxPool { .. } => "max_pool",
            Self::Attention { .. } => "attention",
            Self::LayerNorm { .. } => "layer_norm",
            Self::RmsNorm { .. } => "rms_norm",
            Self::GroupNorm { .. } => "group_norm",
            Self::Rotary { .. } => "rotary",
            Self::Softmax => "softmax",
            Self::Unary(op) => op.name(),
            Self::Binary(op) => op.name(),
            Self::Reduce { op, .. } => op.name(),
            Self::Reshape { .. } => "reshape",
            Self::Transpose { .. } => "transpose",
            Self::Slice { .. } => "slice",
            Self::Concat { .. } => "concat",
            Self::ToFloat => "to_float",
        }
    }

    /// Whether the node is given rather than computed: an input, a weight, a scalar or a constant.
    pub const fn is_leaf(&self) -> bool {
        matches!(self, Self::Input { .. }) || self.is_fixed()
    }

    /// Whether the node is given and the same in every run: a weight, a scalar or a constant.
    pub const fn is_fixed(&self) -> bool {
        matches!(self, Self::Weight { .. } | Self::Scalar { .. } | Self::Constant { .. })
    }

    /// The type of the result for these operands, or what is wrong with them.
    pub(crate) fn output_type(&self, operands: &[&TensorType]) -> Result<TensorType, Error> {
        self.check_arity(operands.len())?;
        match self {
            Self::Input { .. } | Self::Weight { .. } => {
                Err(Error::shape(self.name(), "declare it with the builder's own method"))
            }
            Self::Scalar { .. } => Ok(TensorType::float([])),
            Self::Constant { tensor } => Ok(tensor.tensor_type()),
            Self::Gather => gather::output_type(operands),
            Self::Linear { .. } => linear::linear_type(operands),
            Self::MatMul { transpose_right } => linear::matmul_type(operands, *transpose_right),
            Self::Conv { window, groups, .. } => conv::conv_type(operands, window, *groups),
            Self::MaxPool { window } => conv::max_pool_type(operands, window),
            Self::Attention { .. } => attention::output_type(self, operands),
            Self::LayerNorm { .. } => normalise::layer_norm_type(operands),
            Self::RmsNorm { .. } => normalise::rms_norm_type(operands),
            Self::GroupNorm { groups, .. } => normalise::group_norm_type(operands, *groups),
            Self::Rotary { heads } => rotary::output_type(operands, *heads),
            Self::Softmax => normalise::softmax_type(operands),
            Self::Unary(op) => elementwise::unary_type(*op, operands),
            Self::Binary(op) => elementwise::binary_type(*op, operands),
            Self::Reduce { axis, keep, .. } => reduce::output_type(operands, *axis, *keep),
            Self::Reshape { shape } => layout::reshape_type(operands, shape),
            Self::Transpose { order } => layout::transpose_type(operands, order),
            Self::Slice { axis, start, end } => layout::slice_type(operands, *axis, *start..*end),
            Self::Concat { axis } => layout::concat_type(operands, *axis),
            Self::ToFloat => elementwise::to_float_type(operands),
        }
    }

    /// What it costs: operations, bytes read, bytes written. Leaves cost nothing.
    pub(crate) fn cost(
        &self,
        operands: &[&TensorType],
        output: &TensorType,
        precision: Precision,
    ) -> Cost {
        let operations = match self {
            Self::Input { .. }
            | Self::Weight { .. }
            | Self::Scalar { .. }
            | Self::Constant { .. } => return Cost::default(),
            Self::Gather => return gather::cost(operands, output, precision),
            Self::Slice { .. } => return layout::slice_cost(output, precision),
            Self::Reshape { .. } => return Cost::default(),
            Self::Linear { bias, activation } => {
                linear::linear_operations(operands, output, *bias, *activation)
            }
            Self::MatMul { .. } => linear::matmul_operations(operands, output),
            Self::Conv { bias, activation, .. } => {
                conv::conv_operations(operands, output, *bias, *activation)
            }
            Self::MaxPool { window } => conv::max_pool_operations(output, window),
            Self::Attention { heads, bias, .. } => attention::operations(operands, *heads, *bias),
            Self::LayerNorm { .. } => normalise::layer_norm_operations(output),
            Self::RmsNorm { .. } => normalise::rms_norm_operations(output),
            Self::GroupNorm { .. } => normalise::layer_norm_operations(output),
            Self::Rotary { .. } => rotary::operations(output),
            Self::Softmax => normalise::softmax_operations(output),
            Self::Unary(op) => output.len() as u64 * op.operations(),
            Self::Binary(_) => output.len() as u64,
            Self::Reduce { .. } => operands[0].len() as u64,
            Self::Transpose { .. } | Self::Concat { .. } | Self::ToFloat => 0,
        };
        Cost::streaming(operations, operands, output, precision)
    }

    /// Which operand a precision of weights keeps in fewer bits, if it is the same in every run.
    pub(crate) const fn kept_operand(&self, precision: Precision) -> Option<usize> {
        match (self, precision) {
            (_, Precision::F32 | Precision::F16) => None,
            (Self::Gather, _) => Some(0),
            (Self::Linear { .. }, _) => Some(1),
            (Self::MatMul { .. } | Self::Conv { .. }, Precision::Bf16) => Some(1),
            _ => None,
        }
    }

    /// The result in f64. Operands and the result have the types of the graph.
    pub fn reference(&self, operands: &[&Array], output: &TensorType) -> Result<Array, Error> {
        let shape = output.shape.clone();
        Ok(match self {
            Self::Input { .. } | Self::Weight { .. } => {
                unreachable!("given by the interpreter")
            }
            Self::Scalar { value } => Array::new([], vec![f64::from(*value)]),
            Self::Constant { tensor } => Array::from(&**tensor),
            Self::Gather => gather::reference(operands, shape)?,
            Self::Linear { activation, .. } => linear::linear(operands, shape, *activation),
            Self::MatMul { transpose_right } => linear::matmul(operands, shape, *transpose_right),
            Self::Conv { .. } => conv::conv(self, operands, shape),
            Self::MaxPool { window } => conv::max_pool(operands, window, shape),
            Self::Attention { .. } => attention::reference(self, operands, shape),
            Self::LayerNorm { epsilon } => normalise::layer_norm(operands, *epsilon),
            Self::RmsNorm { epsilon } => normalise::rms_norm(operands, *epsilon),
            Self::GroupNorm { groups, epsilon } => {
                normalise::group_norm(operands, *groups, *epsilon)
            }
            Self::Rotary { heads } => rotary::reference(operands, *heads),
            Self::Softmax => normalise::softmax(operands),
            Self::Unary(op) => elementwise::unary(*op, operands),
            Self::Binary(op) => elementwise::binary(*op, operands, shape),
            Self::Reduce { op, axis, .. } => reduce::reference(*op, operands, *axis, shape),
            Self::Reshape { .. } | Self::ToFloat => Array::new(shape, operands[0].data.clone()),
            Self::Transpose { order } => layout::transpose(operands, order, shape),
            Self::Slice { axis, start, .. } => layout::slice(operands, *axis, *start, shape),
            Self::Concat { axis } => layout::concat(operands, *axis, shape),
        })
    }

    /// A bound on the error of each element of the result when it is computed in floats of unit
    /// roundoff `u`, for operands that are exact in that format. Each file states how its bound is derived.
    ///
    /// Those bounds are relative. Below the smallest normal number of the format a result may be rounded to a
    /// multiple of the smallest subnormal or flushed to zero (WGSL §15.7.2 allows both, IEEE 754 the first), so
    /// whatever is computed rather than moved has an absolute error of up to that number as well.
    pub fn error_bound(&self, operands: &[&Array], output: &Array, u: f64) -> Vec<f64> {
        let relative = match self {
            Self::Input { .. }
            | Self::Weight { .. }
            | Self::Gather
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Slice { .. }
            | Self::Concat { .. }
            | Self::MaxPool { .. }
            | Self::Reduce { op: Reduction::Max, .. } => return vec![0.0; output.data.len()],
            Self::Scalar { .. } | Self::Constant { .. } | Self::ToFloat => {
                elementwise::rounding(output, u)
            }
            Self::Linear { activation, .. } => {
                linear::linear_error(operands, output, *activation, u)
            }
            Self::MatMul { transpose_right } => {
                linear::matmul_error(operands, output, *transpose_right, u)
            }
            Self::Conv { .. } => conv::conv_error(self, operands, output, u),
            Self::Attention { .. } => attention::error_bound(self, operands, output, u),
            Self::LayerNorm { epsilon } => {
                normalise::layer_norm_error(operands, output, *epsilon, u)
            }
            Self::RmsNorm { .. } => normalise::rms_norm_error(operands, output, u),
            Self::GroupNorm { groups, epsilon } => {
                normalise::group_norm_error(operands, output, *groups, *epsilon, u)
            }
            Self::Rotary { heads } => rotary::error_bound(operands, *heads, u),
            Self::Softmax => normalise::softmax_error(operands, output, u),
            Self::Unary(op) => elementwise::unary_error(*op, operands, output, u),
            Self::Binary(op) => elementwise::binary_error(*op, output, u),
            Self::Reduce { op, axis, .. } => reduce::error_bound(*op, operands, *axis, output, u),
        };
        relative.into_iter().map(|bound| bound + normalise::tiny(u)).collect()
    }

    fn check_arity(&self, found: usize) -> Result<(), Error> {
        let expected = match self {
            Self::Input { .. }
            | Self::Weight { .. }
            | Self::Scalar { .. }
            | Self::Constant { .. } => 0..=0,
            Self::Softmax
            | Self::MaxPool { .. }
            | Self::Unary(_)
            | Self::Reduce { .. }
            | Self::Reshape { .. }
            | Self::Transpose { .. }
            | Self::Slice { .. }
            | Self::ToFloat => 1..=1,
            Self::Gather | Self::MatMul { .. } | Self::Binary(_) | Self::RmsNorm { .. } => 2..=2,
            Self::LayerNorm { .. } | Self::GroupNorm { .. } | Self::Rotary { .. } => 3..=3,
            Self::Linear { bias, .. } | Self::Conv { bias, .. } => {
                let n = 2 + usize::from(*bias);
                n..=n
            }
            Self::Attention { mask, bias, .. } => {
                let n = bias_operand(*mask) + usize::from(*bias);
                n..=n
            }
            Self::Concat { .. } => 1..=usize::MAX,
        };
        if expected.contains(&found) {
            return Ok(());
        }
        Err(Error::shape(self.name(), format!("takes {} operands, got {found}", expected.start())))
    }
}

/// Refuses an operand that does not hold values of `kind`.
fn expect_kind(
    op: &'static str,
    operand: &str,
    found: &TensorType,
    kind: Kind,
) -> Result<(), Error> {
    if found.kind == kind { Ok(()) } else { Err(Error::kind(op, operand, kind)) }
}
