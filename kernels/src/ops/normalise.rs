//! Normalisations: of the last axis by layer, root mean square and softmax, and of groups of channels.
//!
//! Error bounds follow the computation: the mean has the error of a sum (see `linear`), the centred value
//! that of the mean, the variance twice the relative error of the centred values, and the result the sum of these
//! in units of its own scale. Softmax turns an absolute error of its argument into a relative one of its result.

use super::linear::sum_error;
use super::{Array, expect_kind};
use crate::{Error, Kind, TensorType};

pub(super) fn layer_norm_type(operands: &[&TensorType]) -> Result<TensorType, Error> {
    let x = operands[0];
    for (name, operand) in ["x", "the weight", "the bias"].iter().zip(operands) {
        expect_kind("layer_norm", name, operand, Kind::Float)?;
    }
    let Some(&width) = x.shape.last() else {
        return Err(Error::shape("layer_norm", "x is a scalar"));
    };
    for operand in &operands[1..] {
        if operand.shape != [width] {
            let detail = format!("weight and bias must be [{width}], one is {operand}");
            return Err(Error::shape("layer_norm", detail));
        }
    }
    Ok(x.clone())
}

pub(super) fn rms_norm_type(operands: &[&TensorType]) -> Result<TensorType, Error> {
    let (x, weight) = (operands[0], operands[1]);
    expect_kind("rms_norm", "x", x, Kind::Float)?;
    expect_kind("rms_norm", "the weight", weight, Kind::Float)?;
    if x.shape.is_empty() || weight.shape != x.shape[x.shape.len() - 1..] {
        let detail = format!("the weight {weight} has not the last axis of x {x}");
        return Err(Error::shape("rms_norm", detail));
    }
    Ok(x.clone())
}

pub(super) fn group_norm_type(
    operands: &[&TensorType],
    groups: usize,
) -> Result<TensorType, Error> {
    let x = operands[0];
    for (name, operand) in ["x", "the weight", "the bias"].iter().zip(operands) {
        expect_kind("group_norm", name, operand, Kind::Float)?;
    }
    let Some(&channels) = x.shape.get(1) else {
        return Err(Error::shape("group_norm", format!("x must be [b, c, ..], it is {x}")));
    };
    if groups == 0 || !channels.is_multiple_of(groups) {
        let detail = format!("{groups} groups do not divide the channels of x {x}");
        return Err(Error::shape("group_norm", detail));
    }
    if operands[1..].iter().any(|operand| operand.shape != [channels]) {
        let detail = format!("weight and bias must be [{channels}]");
        return Err(Error::shape("group_norm", detail));
    }
    Ok(x.clone())
}

pub(super) fn softmax_type(operands: &[&TensorType]) -> Result<TensorType, Error> {
    expect_kind("softmax", "the operand", operands[0], Kind::Float)?;
    if operands[0].shape.is_empty() {
        return Err(Error::shape("softmax", "the operand is a scalar"));
    }
    Ok(operands[0].clone())
}

pub(super) fn layer_norm_operations(output: &TensorType) -> u64 {
    8 * output.len() as u64
}

pub(super) fn rms_norm_operations(output: &TensorType) -> u64 {
    4 * output.len() as u64
}

pub(super) fn softmax_operations(output: &TensorType) -> u64 {
    11 * output.len() as u64
}

fn moments(row: &[f64]) -> (f64, f64) {
    let n = row.len() as f64;
    let mean = row.iter().sum::<f64>() / n;
    (mean, row.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n)
}

pub(super) fn layer_norm(operands: &[&Array], epsilon: f32) -> Array {
    let (x, weight, bias) = (operands[0], operands[1], operands[2]);
    let mut result = x.clone();
    for row in result.data.chunks_mut(x.last()) {
        let (mean, variance) = moments(row);
        let inverse = 1.0 / (variance + f64::from(epsilon)).sqrt();
        for (j, v) in row.iter_mut().enumerate() {
            *v = (*v - mean) * inverse * weight.data[j] + bias.data[j];
        }
    }
    result
}

fn mean_square(row: &[f64]) -> f64 {
    row.iter().map(|v| v * v).sum::<f64>() / row.len() as f64
}

pub(super) fn rms_norm(operands: &[&Array], epsilon: f32) -> Array {
    let (x, weight) = (operands[0], operands[1]);
    let mut result = x.clone();
    for row in result.data.chunks_mut(x.last()) {
        let inverse = 1.0 / (mean_square(row) + f64::from(epsilon)).sqrt();
        row.iter_mut().zip(&weight.data).for_each(|(v, w)| *v *= inverse * w);
    }
    result
}

/// The rows over which groups are normalised, and of each of their elements the scale and the shift: a layer
/// normalisation of these is the group normalisation.
fn grouped(operands: &[&Array], groups: usize) -> Vec<[Array; 3]> {
    let (x, weight, bias) = (operands[0], operands[1], operands[2]);
    let channels = x.shape[1] / groups;
    let inner: usize = x.shape[2..].iter().product();
    let spread = |of: &Array, group: usize| {
        let own = &of.data[group * channels..][..channels];
        let data: Vec<_> = own.iter().flat_map(|&v| std::iter::repeat_n(v, inner)).collect();
        Array::new([channels * inner], data)
    };
    let rows = x.data.chunks(channels * inner).enumerate();
    rows.map(|(row, values)| {
        let group = row % groups;
        [Array::new([values.len()], values.to_vec()), spread(weight, group), spread(bias, group)]
    })
    .collect()
}

pub(super) fn group_norm(operands: &[&Array], groups: usize, epsilon: f32) -> Array {
    let rows = grouped(operands, groups);
    let rows = rows.iter().flat_map(|row| layer_norm(&row.each_ref(), epsilon).data);
    Array::new(operands[0].shape.clone(), rows.collect())
}

/// Softmax of one row in place.
pub(super) fn softmax_row(row: &mut [f64]) {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|v| *v = (*v - max).exp());
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|v| *v /= sum);
}

pub(super) fn softmax(operands: &[&Array]) -> Array {
    let mut result = operands[0].clone();
    result.data.chunks_mut(operands[0].last()).for_each(softmax_row);
    result
}

pub(super) fn layer_norm_error(
    operands: &[&Array],
    output: &Array,
    epsilon: f32,
    u: f64,
) -> Vec<f64> {
    let (x, weight, bias) = (operands[0], operands[1], operands[2]);
    let width = x.last();
    let rows = x.data.chunks(width).zip(output.data.chunks(width));
    rows.flat_map(|(row, out)| {
        let (mean, variance) = moments(row);
        let inverse = 1.0 / (variance + f64::from(epsilon)).sqrt();
        let magnitude = row.iter().map(|v| v.abs()).sum::<f64>() / width as f64;
        let centring = sum_error(width, magnitude, u) + u * mean.abs();
        let deviation = variance.sqrt();
        out.iter()
            .enumerate()
            .map(move |(j, y)| {
                let centred = row[j] - mean;
                // Of the variance: the error of the mean, relative to the deviation, and that of the sum of squares.
                let scale = 2.0 * centring * inverse * inverse * deviation
                    + 8.0 * (width as f64).sqrt() * u * (deviation * inverse).powi(2)
                    + 8.0 * u;
                let normalised = centring * inverse
                    + (centred * inverse).abs() * scale
                    + u * row[j].abs() * inverse;
                normalised * weight.data[j].abs() + 4.0 * u * (y.abs() + bias.data[j].abs())
            })
            .collect::<Vec<_>>()
    })
    .collect()
}

/// The mean square is a sum without cancellation: half its relative error is that of its root.
pub(super) fn rms_norm_error(operands: &[&Array], output: &Array, u: f64) -> Vec<f64> {
    let width = operands[0].last();
    let relative = 0.5 * sum_error(width + 2, 1.0, u) + 8.0 * u;
    output.data.iter().map(|y| relative * y.abs()).collect()
}

pub(super) fn group_norm_error(
    operands: &[&Array],
    output: &Array,
    groups: usize,
    epsilon: f32,
    u: f64,
) -> Vec<f64> {
    let rows = grouped(operands, groups);
    let width = rows.first().map_or(1, |[values, ..]| values.data.len());
    let outputs = output.data.chunks(width);
    let bounds = rows.iter().zip(outputs).flat_map(|(row, out)| {
        let out = Array::new([width], out.to_vec());
        layer_norm_error(&row.each_ref(), &out, epsilon, u)
    });
    bounds.collect()
}

/// The relative error of softmax over a row of `n` scores of at most `range` below their maximum,
/// when each score carries an absolute error of `score_error`.
pub(super) fn softmax_relative(n: usize, range: f64, score_error: f64, u: f64) -> f64 {
    let exponential = 16.0 + 4.0 * range.min(100.0);
    2.0 * score_error + (2.0 * exponential + 8.0 * (n as f64).sqrt() + 8.0) * u
}

pub(super) fn softmax_error(operands: &[&Array], output: &Array, u: f64) -> Vec<f64> {
    let width = operands[0].last();
    let rows = operands[0].data.chunks(width).zip(output.data.chunks(width));
    rows.flat_map(|(row, out)| {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let min = row.iter().copied().fold(f64::INFINITY, f64::min);
        let difference = u * (max.abs().max(min.abs()) + (max - min));
        let relative = softmax_relative(width, max - min, difference, u);
        // Below the smallest number of the format results become zero.
        out.iter().map(|y| relative * y + tiny(u)).collect::<Vec<_>>()
    })
    .collect()
}

/// The smallest normal number of the format with this unit roundoff.
pub(super) fn tiny(u: f64) -> f64 {
    if u > 1e-5 { 6.2e-5 } else { 1.2e-38 }
}
