//! What the constants of a plan hold, and their bytes.

use super::script::DataType;
use crate::bytes::{append, check_fits};
use crate::{Array, Error, Kind, Op, Precision, Tensor, TensorType, Weights};
use half::f16;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Constants of the graph of so many bytes stand in the script.
pub(super) const INLINE_BYTES_MAX: u64 = 64;

/// Where the elements of a constant come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// They stand in the script.
    Inline,
    /// The checkpoint.
    Weight {
        /// The weight's name.
        name: String,
        /// Its type there.
        of: TensorType,
    },
    /// The graph.
    Tensor(Arc<Tensor>),
    /// The order of a causal attention, `[queries, keys]`: one number where a query sees a key, another where not.
    Causal {
        /// Rows.
        queries: usize,
        /// Columns.
        keys: usize,
        /// Where a key is seen, and where it is hidden.
        values: [f32; 2],
    },
}

/// Axes in another order, under a shape of the same elements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permutation {
    /// The shape before.
    pub shape: Vec<usize>,
    /// Axis `i` of the constant is axis `order[i]` of that shape.
    pub order: Vec<usize>,
}

impl Permutation {
    fn applied(&self, values: Vec<f64>) -> Vec<f64> {
        let shape = self.order.iter().map(|&axis| self.shape[axis]).collect::<Vec<_>>();
        let op = Op::Transpose { order: self.order.clone() };
        let values = Array::new(self.shape.clone(), values);
        let moved = op.reference(&[&values], &TensorType::float(shape));
        moved.expect("moving elements cannot fail").data
    }
}

/// What one constant holds. It becomes bytes when a page asks for them, so that host memory has one at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Where its elements come from.
    pub origin: Origin,
    /// How they are moved, if they are.
    pub permuted: Option<Permutation>,
}

impl Content {
    /// Whether this is the same as another, without a look at elements.
    pub(super) fn is(&self, other: &Self) -> bool {
        let same = match (&self.origin, &other.origin) {
            (Origin::Tensor(tensor), Origin::Tensor(other)) => Arc::ptr_eq(tensor, other),
            (origin, other) => origin == other,
        };
        same && self.permuted == other.permuted
    }

    /// The bytes in this format, little-endian, of numbers that are rounded to the precision of the plan; nothing for
    /// what stands in the script. Fails if a weight is missing, is of another type, or does not fit the precision.
    pub(super) fn encode(
        &self,
        weights: &Weights,
        (data_type, precision): (DataType, Precision),
    ) -> Result<Vec<u8>, Error> {
        let permuted = self.permuted.as_ref();
        Ok(match &self.origin {
            Origin::Inline => Vec::new(),
            Origin::Tensor(tensor) => encoded(tensor, permuted, data_type, precision),
            Origin::Weight { name, of } => {
                let tensor = weights.tensor(name, of)?;
                check_fits(weights, name, &tensor, precision)?;
                encoded(&tensor, permuted, data_type, precision)
            }
            Origin::Causal { queries, keys, values: [seen, hidden] } => {
                let sees = |i: usize, j: usize| j + queries <= i + keys;
                let value = |i, j| if sees(i, j) { *seen } else { *hidden };
                let rows = (0..*queries).flat_map(|i| (0..*keys).map(move |j| value(i, j)));
                let tensor = Tensor::f32([*queries, *keys], rows.collect());
                // Its numbers are chosen for its format, whatever the precision.
                encoded(&tensor, permuted, data_type, Precision::F32)
            }
        })
    }
}

/// The number that hides a score in this format: the lowest that there is, as the reference has it for f32.
pub(super) fn hidden(data_type: DataType) -> f64 {
    match data_type {
        DataType::Float16 => f16::MIN.to_f64(),
        _ => f64::from(f32::MIN),
    }
}

/// Refuses a constant of the graph that would become infinite.
pub(super) fn fits(tensor: &Tensor, precision: Precision) -> Result<(), String> {
    if precision != Precision::F16 || tensor.kind() == Kind::Index {
        return Ok(());
    }
    match tensor.to_f64().into_iter().find(|value| !f16::from_f64(*value).is_finite()) {
        None => Ok(()),
        Some(value) => Err(format!("{value} does not fit f16: its largest number is {}", f16::MAX)),
    }
}

/// The bytes of a tensor in a format, its floats rounded to the precision of the plan before.
pub(super) fn encoded(
    tensor: &Tensor,
    permuted: Option<&Permutation>,
    data_type: DataType,
    precision: Precision,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    if permuted.is_none() && DataType::of(tensor.kind(), precision) == data_type {
        append(tensor, precision, &mut bytes);
        return bytes;
    }
    let values = tensor.to_f64();
    let values = match permuted {
        None => values,
        Some(permutation) => permutation.applied(values),
    };
    let halved = tensor.kind() == Kind::Float && precision == Precision::F16;
    for value in values {
        let value = if halved { f16::from_f64(value).to_f64() } else { value };
        put(value, data_type, &mut bytes);
    }
    bytes
}

/// Appends a number in a format. The planner chooses formats that hold what it puts into them.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it fits")]
pub(super) fn put(value: f64, data_type: DataType, bytes: &mut Vec<u8>) {
    match data_type {
        DataType::Float32 => bytes.extend((value as f32).to_le_bytes()),
        DataType::Float16 => bytes.extend(f16::from_f64(value).to_le_bytes()),
        DataType::Int32 => bytes.extend((value as i32).to_le_bytes()),
        DataType::Int64 => bytes.extend((value as i64).to_le_bytes()),
        DataType::Uint8 => bytes.push(value as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_rounded_to_the_precision_and_written_in_the_format() {
        let tensor = Tensor::f32([2, 3], vec![0.1, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let halves = |values: [f32; 6]| values.map(|v| f16::from_f32(v).to_le_bytes()).concat();
        let plain = encoded(&tensor, None, DataType::Float16, Precision::F16);
        assert_eq!(plain, halves([0.1, 2.0, 3.0, 4.0, 5.0, 6.0]));
        let turned = Permutation { shape: vec![2, 3], order: vec![1, 0] };
        let moved = encoded(&tensor, Some(&turned), DataType::Float16, Precision::F16);
        assert_eq!(moved, halves([0.1, 4.0, 2.0, 5.0, 3.0, 6.0]));
        let wide = encoded(&tensor, None, DataType::Float32, Precision::F16);
        assert_eq!(wide[..4], f16::from_f32(0.1).to_f32().to_le_bytes());
        let indices = encoded(&Tensor::i32([1], vec![-7]), None, DataType::Int64, Precision::F16);
        assert_eq!(indices, (-7_i64).to_le_bytes());
    }

    #[test]
    fn a_query_sees_the_keys_before_it_and_its_own() {
        let origin = Origin::Causal { queries: 2, keys: 3, values: [1.0, 0.0] };
        let content = Content { origin, permuted: None };
        let of = (DataType::Uint8, Precision::F32);
        assert_eq!(content.encode(&Weights::seeded(1), of).unwrap(), [1, 1, 0, 1, 1, 1]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let tensor = Tensor::f32([1], vec![7e4]);
        assert!(fits(&tensor, Precision::F32).is_ok());
        assert!(fits(&tensor, Precision::F16).unwrap_err().contains("70000 does not fit f16"));
        assert!(fits(&Tensor::i32([1], vec![70_000]), Precision::F16).is_ok());
    }
}
