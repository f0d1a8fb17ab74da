//! Gather: rows of a table by index, as an embedding does.

use super::{Array, Cost, expect_kind};
use crate::{Error, Kind, Precision, TensorType};

pub(super) fn output_type(operands: &[&TensorType]) -> Result<TensorType, Error> {
    let (table, indices) = (operands[0], operands[1]);
    expect_kind("gather", "the table", table, Kind::Float)?;
    expect_kind("gather", "the indices", indices, Kind::Index)?;
    let &[_, width] = table.shape.as_slice() else {
        return Err(Error::shape("gather", format!("the table must be [v, d], it is {table}")));
    };
    let mut shape = indices.shape.clone();
    shape.push(width);
    Ok(TensorType::float(shape))
}

/// Only the rows that are taken are read.
pub(super) fn cost(operands: &[&TensorType], output: &TensorType, precision: Precision) -> Cost {
    let bytes = output.bytes(precision);
    Cost { operations: 0, bytes_read: bytes + operands[1].bytes(precision), bytes_written: bytes }
}

pub(super) fn reference(operands: &[&Array], shape: Vec<usize>) -> Result<Array, Error> {
    let (table, indices) = (operands[0], operands[1]);
    let (rows, width) = (table.shape[0], table.shape[1]);
    let mut data = Vec::with_capacity(indices.data.len() * width);
    for &index in &indices.data {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        let row = if index >= 0.0 && index < rows as f64 {
            index as usize
        } else {
            return Err(Error::bad_index(index, rows));
        };
        data.extend_from_slice(&table.data[row * width..][..width]);
    }
    Ok(Array::new(shape, data))
}
