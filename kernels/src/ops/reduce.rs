//! Reduction of one axis: sum, mean, maximum. The error of a sum is derived in `linear`.

use super::linear::sum_error;
use super::{Array, expect_kind};
use crate::{Error, Kind, TensorType};
use serde::{Deserialize, Serialize};

/// What a reduction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The sum.
    Sum,
    /// The arithmetic mean.
    Mean,
    /// The largest.
    Max,
}

impl Reduction {
    /// All of them, for tests over all of them.
    pub const ALL: [Self; 3] = [Self::Sum, Self::Mean, Self::Max];

    /// Its name in graphs and kernels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sum => "reduce_sum",
            Self::Mean => "reduce_mean",
            Self::Max => "reduce_max",
        }
    }
}

pub(super) fn output_type(
    operands: &[&TensorType],
    axis: usize,
    keep: bool,
) -> Result<TensorType, Error> {
    let x = operands[0];
    expect_kind("reduce", "the operand", x, Kind::Float)?;
    if axis >= x.shape.len() {
        return Err(Error::shape("reduce", format!("{x} has no axis {axis}")));
    }
    let mut shape = x.shape.clone();
    if keep {
        shape[axis] = 1;
    } else {
        shape.remove(axis);
    }
    Ok(TensorType::float(shape))
}

/// Calls `f` with every line along `axis`, in the order of the result.
fn lines(x: &Array, axis: usize, f: impl Fn(&mut dyn Iterator<Item = f64>) -> f64) -> Vec<f64> {
    let size = x.shape[axis];
    let inner: usize = x.shape[axis + 1..].iter().product();
    let outer: usize = x.shape[..axis].iter().product();
    let line = |o: usize, i: usize| (0..size).map(move |k| x.data[(o * size + k) * inner + i]);
    (0..outer)
        .flat_map(|o| (0..inner).map(move |i| (o, i)))
        .map(|(o, i)| f(&mut line(o, i)))
        .collect()
}

pub(super) fn reference(
    op: Reduction,
    operands: &[&Array],
    axis: usize,
    shape: Vec<usize>,
) -> Array {
    let n = operands[0].shape[axis] as f64;
    let data = lines(operands[0], axis, |line| match op {
        Reduction::Sum => line.sum(),
        Reduction::Mean => line.sum::<f64>() / n,
        Reduction::Max => line.fold(f64::NEG_INFINITY, f64::max),
    });
    Array::new(shape, data)
}

pub(super) fn error_bound(
    op: Reduction,
    operands: &[&Array],
    axis: usize,
    output: &Array,
    u: f64,
) -> Vec<f64> {
    let n = operands[0].shape[axis];
    let magnitudes = lines(operands[0], axis, |line| line.map(f64::abs).sum());
    let bound = |(magnitude, value): (f64, &f64)| match op {
        Reduction::Sum => sum_error(n, magnitude, u) + u * value.abs(),
        Reduction::Mean => sum_error(n, magnitude / n as f64, u) + 4.0 * u * value.abs(),
        Reduction::Max => 0.0,
    };
    magnitudes.into_iter().zip(&output.data).map(bound).collect()
}
