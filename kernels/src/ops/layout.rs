//! Ops that move elements and compute nothing: reshape, transpose, slice, concat. They are exact.

use super::{Array, Cost};
use crate::{Error, Precision, TensorType};
use std::ops::Range;

pub(super) fn reshape_type(operands: &[&TensorType], shape: &[usize]) -> Result<TensorType, Error> {
    let x = operands[0];
    let len = shape.iter().try_fold(1usize, |len, &size| len.checked_mul(size));
    if len != Some(x.len()) {
        return Err(Error::shape("reshape", format!("{x} has not the elements of {shape:?}")));
    }
    Ok(TensorType { shape: shape.to_vec(), kind: x.kind })
}

pub(super) fn transpose_type(
    operands: &[&TensorType],
    order: &[usize],
) -> Result<TensorType, Error> {
    let x = operands[0];
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..x.shape.len()) {
        return Err(Error::shape("transpose", format!("{order:?} does not order the axes of {x}")));
    }
    Ok(TensorType { shape: order.iter().map(|&axis| x.shape[axis]).collect(), kind: x.kind })
}

pub(super) fn slice_type(
    operands: &[&TensorType],
    axis: usize,
    range: Range<usize>,
) -> Result<TensorType, Error> {
    let x = operands[0];
    if axis >= x.shape.len() || range.start >= range.end || range.end > x.shape[axis] {
        return Err(Error::shape("slice", format!("{x} has no {range:?} on axis {axis}")));
    }
    let mut shape = x.shape.clone();
    shape[axis] = range.len();
    Ok(TensorType { shape, kind: x.kind })
}

pub(super) fn concat_type(operands: &[&TensorType], axis: usize) -> Result<TensorType, Error> {
    let first = operands[0];
    if axis >= first.shape.len() {
        return Err(Error::shape("concat", format!("{first} has no axis {axis}")));
    }
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    for part in operands {
        let same = part.kind == first.kind
            && part.shape.len() == first.shape.len()
            && (0..shape.len()).all(|i| i == axis || part.shape[i] == first.shape[i]);
        if !same {
            return Err(Error::shape("concat", format!("{first} and {part} on axis {axis}")));
        }
        // A sum that overflows is refused by its size, as every value that is too large.
        shape[axis] = shape[axis].saturating_add(part.shape[axis]);
    }
    Ok(TensorType { shape, kind: first.kind })
}

/// Only the kept part is read.
pub(super) fn slice_cost(output: &TensorType, precision: Precision) -> Cost {
    let bytes = output.bytes(precision);
    Cost { operations: 0, bytes_read: bytes, bytes_written: bytes }
}

/// Elements from `axis` on.
fn block(shape: &[usize], axis: usize) -> usize {
    shape[axis..].iter().product()
}

pub(super) fn transpose(operands: &[&Array], order: &[usize], shape: Vec<usize>) -> Array {
    let x = operands[0];
    let mut offsets = vec![0];
    for &axis in order {
        let stride = block(&x.shape, axis + 1);
        let size = x.shape[axis];
        offsets =
            offsets.iter().flat_map(|base| (0..size).map(move |i| base + i * stride)).collect();
    }
    Array::new(shape, offsets.into_iter().map(|offset| x.data[offset]).collect())
}

pub(super) fn slice(operands: &[&Array], axis: usize, start: usize, shape: Vec<usize>) -> Array {
    let x = operands[0];
    let inner = block(&x.shape, axis + 1);
    let kept = start * inner..(start + shape[axis]) * inner;
    let data = x.data.chunks(block(&x.shape, axis)).flat_map(|c| c[kept.clone()].to_vec());
    Array::new(shape, data.collect())
}

pub(super) fn concat(operands: &[&Array], axis: usize, shape: Vec<usize>) -> Array {
    let outer: usize = shape[..axis].iter().product();
    let mut data = Vec::with_capacity(shape.iter().product());
    for i in 0..outer {
        for part in operands {
            let size = block(&part.shape, axis);
            data.extend_from_slice(&part.data[i * size..][..size]);
        }
    }
    Array::new(shape, data)
}
