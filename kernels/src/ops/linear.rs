//! Matrix products: the dense layer, and the batched product of two values.
//!
//! Error bound: a sum of `k` products has, with a probability that fails once in `2·exp(-λ²/2)`, an error of at
//! most `λ·√k·u·Σ|x·w|` when the roundings are independent and of mean zero, whatever the order of the
//! summation (Higham and Mary, "A new approach to probabilistic rounding error analysis", SISC 41(5), 2019).
//! With λ = 8 that is less than one element in 10¹³. Storing the result rounds once more.

use super::elementwise::activation_lipschitz;
use super::{Activation, Array, expect_kind};
use crate::{Error, Kind, TensorType};
use rayon::prelude::*;

/// λ of the bound in the head of this file.
pub(super) const CONFIDENCE: f64 = 8.0;

pub(super) fn linear_type(operands: &[&TensorType]) -> Result<TensorType, Error> {
    let (x, weight) = (operands[0], operands[1]);
    for (name, operand) in ["x", "the weight", "the bias"].iter().zip(operands) {
        expect_kind("linear", name, operand, Kind::Float)?;
    }
    let (&[n, k], Some(&inner)) = (weight.shape.as_slice(), x.shape.last()) else {
        let detail = format!("x must be [.., k] and the weight [n, k]; they are {x} and {weight}");
        return Err(Error::shape("linear", detail));
    };
    if inner != k {
        let detail = format!("x {x} ends in {inner}, the weight {weight} takes {k}");
        return Err(Error::shape("linear", detail));
    }
    if let Some(bias) = operands.get(2).filter(|bias| bias.shape != [n]) {
        return Err(Error::shape("linear", format!("the bias must be [{n}], it is {bias}")));
    }
    let mut shape = x.shape.clone();
    shape[x.shape.len() - 1] = n;
    Ok(TensorType::float(shape))
}

pub(super) fn matmul_type(
    operands: &[&TensorType],
    transpose_right: bool,
) -> Result<TensorType, Error> {
    let (a, b) = (operands[0], operands[1]);
    expect_kind("matmul", "the left operand", a, Kind::Float)?;
    expect_kind("matmul", "the right operand", b, Kind::Float)?;
    let ([a_lead @ .., m, k], [b_lead @ .., b0, b1]) = (a.shape.as_slice(), b.shape.as_slice())
    else {
        return Err(Error::shape("matmul", format!("both need two axes; they are {a} and {b}")));
    };
    let (inner, n) = if transpose_right { (b1, b0) } else { (b0, b1) };
    if inner != k {
        return Err(Error::shape("matmul", format!("inner sizes differ: {a} and {b}")));
    }
    let mut shape = super::elementwise::broadcast("matmul", a_lead, b_lead)?;
    shape.extend([*m, *n]);
    Ok(TensorType::float(shape))
}

pub(super) fn linear_operations(
    operands: &[&TensorType],
    output: &TensorType,
    bias: bool,
    activation: Activation,
) -> u64 {
    let k = operands[1].shape[1] as u64;
    output.len() as u64 * (2 * k + u64::from(bias) + activation.operations())
}

pub(super) fn matmul_operations(operands: &[&TensorType], output: &TensorType) -> u64 {
    let k = operands[0].shape[operands[0].shape.len() - 1] as u64;
    output.len() as u64 * 2 * k
}

/// The dot product of two rows, summed in eight lanes so that the compiler can use vectors.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f64>() + tail
}

/// `x · wᵀ + bias` before the activation.
fn affine(operands: &[&Array], shape: Vec<usize>) -> Array {
    let (x, weight) = (operands[0], operands[1]);
    let (n, k) = (weight.shape[0], weight.shape[1]);
    let mut data = vec![0.0; x.data.len() / k * n];
    data.par_chunks_mut(n).zip(x.data.par_chunks(k)).for_each(|(out, row)| {
        for (j, out) in out.iter_mut().enumerate() {
            let bias = operands.get(2).map_or(0.0, |bias| bias.data[j]);
            *out = dot(row, &weight.data[j * k..][..k]) + bias;
        }
    });
    Array::new(shape, data)
}

pub(super) fn linear(operands: &[&Array], shape: Vec<usize>, activation: Activation) -> Array {
    let mut result = affine(operands, shape);
    result.data.par_iter_mut().for_each(|v| *v = activation.apply(*v));
    result
}

pub(super) fn matmul(operands: &[&Array], shape: Vec<usize>, transpose_right: bool) -> Array {
    let (a, b) = (operands[0], operands[1]);
    let rank = shape.len();
    let (m, n, k) = (shape[rank - 2], shape[rank - 1], a.last());
    let lead = &shape[..rank - 2];
    let a_of = super::elementwise::broadcast_offsets(&a.shape[..a.shape.len() - 2], lead);
    let b_of = super::elementwise::broadcast_offsets(&b.shape[..b.shape.len() - 2], lead);
    let mut data = vec![0.0; shape.iter().product()];
    data.par_chunks_mut(m * n).enumerate().for_each(|(batch, out)| {
        let a = &a.data[a_of[batch] * m * k..][..m * k];
        let b = &b.data[b_of[batch] * n * k..][..n * k];
        for (i, row) in a.chunks(k).enumerate() {
            for j in 0..n {
                out[i * n + j] = if transpose_right {
                    dot(row, &b[j * k..][..k])
                } else {
                    row.iter().enumerate().map(|(p, x)| x * b[p * n + j]).sum()
                };
            }
        }
    });
    Array::new(shape, data)
}

/// The error of a sum of `k` products whose magnitudes sum to `magnitude`.
pub(super) fn sum_error(k: usize, magnitude: f64, u: f64) -> f64 {
    CONFIDENCE * (k as f64).sqrt() * u * magnitude
}

pub(super) fn linear_error(
    operands: &[&Array],
    output: &Array,
    activation: Activation,
    u: f64,
) -> Vec<f64> {
    let magnitudes: Vec<_> = operands.iter().map(|operand| operand.map(f64::abs)).collect();
    let k = operands[1].shape[1];
    let magnitude = affine(&magnitudes.iter().collect::<Vec<_>>(), output.shape.clone());
    let slope = activation_lipschitz(activation);
    let bound = |(magnitude, value): (&f64, &f64)| {
        slope * sum_error(k + 1, *magnitude, u) + activation.rounding(*value, *magnitude, u)
    };
    magnitude.data.iter().zip(&output.data).map(bound).collect()
}

pub(super) fn matmul_error(
    operands: &[&Array],
    output: &Array,
    transpose_right: bool,
    u: f64,
) -> Vec<f64> {
    let magnitudes: Vec<_> = operands.iter().map(|operand| operand.map(f64::abs)).collect();
    let magnitudes: Vec<_> = magnitudes.iter().collect();
    let magnitude = matmul(&magnitudes, output.shape.clone(), transpose_right);
    magnitude.data.iter().map(|&m| sum_error(operands[0].last() + 1, m, u)).collect()
}
