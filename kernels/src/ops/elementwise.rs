//! Functions of single elements and of broadcast pairs, and the activations that dense layers fuse.
//!
//! Error bound: a function that is computed with a relative error of a few `u` of its result, and of its
//! intermediate magnitudes where these are larger than the result (`1 + erf` near -1).

use super::{Array, expect_kind};
use crate::{Error, Kind, TensorType};
use serde::{Deserialize, Serialize};

/// Roundings that an elementary function may make; WGSL and vendors' libraries promise a few units.
const FUNCTION_ROUNDINGS: f64 = 16.0;

/// What a dense layer applies to its sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x·Φ(x)` with the error function (Hendrycks and Gimpel 2016).
    Gelu,
    /// The approximation of GELU by tanh (same source).
    GeluTanh,
    /// `x·σ(1.702·x)` (same source; CLIP).
    QuickGelu,
    /// `x·σ(x)`.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// All activations, for tests over all of them.
    pub const ALL: [Self; 7] = [
        Self::Identity,
        Self::Relu,
        Self::Gelu,
        Self::GeluTanh,
        Self::QuickGelu,
        Self::Silu,
        Self::Tanh,
    ];

    /// Its name in graphs and kernels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::QuickGelu => "quick_gelu",
            Self::Silu => "silu",
            Self::Tanh => "tanh",
        }
    }

    /// The activation in f64.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            // Not a maximum, which would drop what is not a number.
            Self::Relu if x < 0.0 => 0.0,
            Self::Identity | Self::Relu => x,
            Self::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            Self::QuickGelu => x * sigmoid(1.702 * x),
            Self::Silu => x * sigmoid(x),
            Self::Tanh => x.tanh(),
        }
    }

    pub(super) const fn operations(self) -> u64 {
        match self {
            Self::Identity => 0,
            Self::Relu => 1,
            Self::Gelu | Self::GeluTanh | Self::QuickGelu | Self::Silu | Self::Tanh => 8,
        }
    }

    /// The rounding of the activation itself for a result `value` of an argument of at most `magnitude`.
    pub(super) fn rounding(self, value: f64, magnitude: f64, u: f64) -> f64 {
        match self {
            Self::Identity | Self::Relu => u * value.abs(),
            // `1 + erf` cancels for negative arguments: the error is relative to |x|, not to the result.
            Self::Gelu | Self::GeluTanh | Self::QuickGelu | Self::Silu => {
                FUNCTION_ROUNDINGS * u * magnitude.min(16.0).max(value.abs())
            }
            Self::Tanh => FUNCTION_ROUNDINGS * u,
        }
    }
}

/// The largest slope of an activation: by it the error of its argument grows.
pub(super) const fn activation_lipschitz(activation: Activation) -> f64 {
    match activation {
        Activation::Identity | Activation::Relu | Activation::Tanh => 1.0,
        Activation::Gelu | Activation::GeluTanh | Activation::QuickGelu | Activation::Silu => 1.2,
    }
}

/// A function of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnaryOp {
    /// `-x`.
    Neg,
    /// `|x|`.
    Abs,
    /// `√x`.
    Sqrt,
    /// `eˣ`.
    Exp,
    /// `1/x`.
    Reciprocal,
    /// `1/(1 + e⁻ˣ)`.
    Sigmoid,
    /// One of the activations on its own.
    Activate(Activation),
}

impl UnaryOp {
    /// Every function once; activations are represented by all of theirs.
    pub fn all() -> Vec<Self> {
        let plain = [Self::Neg, Self::Abs, Self::Sqrt, Self::Exp, Self::Reciprocal, Self::Sigmoid];
        plain.into_iter().chain(Activation::ALL.map(Self::Activate)).collect()
    }

    /// Its name in graphs and kernels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Neg => "neg",
            Self::Abs => "abs",
            Self::Sqrt => "sqrt",
            Self::Exp => "exp",
            Self::Reciprocal => "reciprocal",
            Self::Sigmoid => "sigmoid",
            Self::Activate(activation) => activation.name(),
        }
    }

    /// The function in f64.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Neg => -x,
            Self::Abs => x.abs(),
            Self::Sqrt => x.sqrt(),
            Self::Exp => x.exp(),
            Self::Reciprocal => 1.0 / x,
            Self::Sigmoid => sigmoid(x),
            Self::Activate(activation) => activation.apply(x),
        }
    }

    pub(super) const fn operations(self) -> u64 {
        match self {
            Self::Neg | Self::Abs | Self::Sqrt | Self::Reciprocal => 1,
            Self::Exp | Self::Sigmoid => 8,
            Self::Activate(activation) => activation.operations(),
        }
    }
}

/// A function of two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinaryOp {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a · b`.
    Mul,
    /// `a / b`.
    Div,
    /// The larger.
    Max,
    /// The smaller.
    Min,
}

impl BinaryOp {
    /// All of them, for tests over all of them.
    pub const ALL: [Self; 6] = [Self::Add, Self::Sub, Self::Mul, Self::Div, Self::Max, Self::Min];

    /// Its name in graphs and kernels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Max => "max",
            Self::Min => "min",
        }
    }

    /// The function in f64.
    pub fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Max => a.max(b),
            Self::Min => a.min(b),
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The error function, by the series for small and the continued fraction for large arguments
/// (Abramowitz and Stegun 7.1.6 and 7.1.14); its error is below 1e-15.
pub(crate) fn erf(x: f64) -> f64 {
    let z = x.abs();
    if z > 6.0 {
        return x.signum();
    }
    if z < 2.5 {
        let (mut term, mut sum) = (z, z);
        for n in 1..100 {
            term *= 2.0 * z * z / f64::from(2 * n + 1);
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        return x.signum() * 2.0 / std::f64::consts::PI.sqrt() * (-z * z).exp() * sum;
    }
    let mut fraction = z;
    for n in (1..=60).rev() {
        fraction = z + f64::from(n) / 2.0 / fraction;
    }
    x.signum() * (1.0 - (-z * z).exp() / (fraction * std::f64::consts::PI.sqrt()))
}

/// The shape that two shapes have in common under NumPy's rule.
pub(super) fn broadcast(op: &'static str, a: &[usize], b: &[usize]) -> Result<Vec<usize>, Error> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], i: usize| {
        (i + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis])
    };
    (0..rank)
        .map(|i| match (size(a, i), size(b, i)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => Err(Error::shape(op, format!("{a:?} and {b:?} cannot be broadcast together"))),
        })
        .collect()
}

/// For every index of `to`, in order, the index of the element of `from` that is broadcast there.
pub(crate) fn broadcast_offsets(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut offsets = vec![0];
    let skipped = to.len() - from.len();
    let mut stride: usize = from.iter().product();
    for (axis, &size) in to.iter().enumerate() {
        let own = axis.checked_sub(skipped).map_or(1, |axis| from[axis]);
        if axis >= skipped {
            stride /= own;
        }
        let step = if own == 1 { 0 } else { stride };
        offsets = offsets.iter().flat_map(|base| (0..size).map(move |i| base + i * step)).collect();
    }
    offsets
}

pub(super) fn unary_type(op: UnaryOp, operands: &[&TensorType]) -> Result<TensorType, Error> {
    expect_kind(op.name(), "the operand", operands[0], Kind::Float)?;
    Ok(operands[0].clone())
}

pub(super) fn binary_type(op: BinaryOp, operands: &[&TensorType]) -> Result<TensorType, Error> {
    expect_kind(op.name(), "the left operand", operands[0], Kind::Float)?;
    expect_kind(op.name(), "the right operand", operands[1], Kind::Float)?;
    Ok(TensorType::float(broadcast(op.name(), &operands[0].shape, &operands[1].shape)?))
}

pub(super) fn to_float_type(operands: &[&TensorType]) -> Result<TensorType, Error> {
    expect_kind("to_float", "the operand", operands[0], Kind::Index)?;
    Ok(TensorType::float(operands[0].shape.clone()))
}

pub(super) fn unary(op: UnaryOp, operands: &[&Array]) -> Array {
    operands[0].map(|x| op.apply(x))
}

pub(super) fn binary(op: BinaryOp, operands: &[&Array], shape: Vec<usize>) -> Array {
    let (a, b) = (operands[0], operands[1]);
    let a_of = broadcast_offsets(&a.shape, &shape);
    let b_of = broadcast_offsets(&b.shape, &shape);
    let data = a_of.iter().zip(&b_of).map(|(&i, &j)| op.apply(a.data[i], b.data[j])).collect();
    Array::new(shape, data)
}

/// One rounding of each element.
pub(super) fn rounding(output: &Array, u: f64) -> Vec<f64> {
    output.data.iter().map(|v| u * v.abs()).collect()
}

pub(super) fn unary_error(op: UnaryOp, operands: &[&Array], output: &Array, u: f64) -> Vec<f64> {
    let bound = |(&x, &y): (&f64, &f64)| match op {
        UnaryOp::Neg | UnaryOp::Abs => u * y.abs(),
        UnaryOp::Activate(activation) => activation.rounding(y, x.abs(), u),
        // WGSL inherits the error of exp from exp2(x·log2 e): it grows with |x| (WGSL §14.6.2).
        UnaryOp::Exp | UnaryOp::Sigmoid => (FUNCTION_ROUNDINGS + 4.0 * x.abs()) * u * y.abs(),
        UnaryOp::Sqrt | UnaryOp::Reciprocal => FUNCTION_ROUNDINGS * u * y.abs(),
    };
    operands[0].data.iter().zip(&output.data).map(bound).collect()
}

pub(super) fn binary_error(op: BinaryOp, output: &Array, u: f64) -> Vec<f64> {
    // WGSL allows 2.5 units in the last place for a quotient; the others are rounded correctly.
    let roundings = if op == BinaryOp::Div { 6.0 } else { 1.0 };
    output.data.iter().map(|v| roundings * u * v.abs()).collect()
}
