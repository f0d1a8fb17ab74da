//! What an op costs: floating-point operations, and bytes moved if every operand is read once.

use crate::{Precision, TensorType};
use std::iter::Sum;
use std::ops::Add;

/// Operations and bytes of one op or of a whole graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations; a multiply-add counts as two.
    pub operations: u64,
    /// Bytes read from operands, each once.
    pub bytes_read: u64,
    /// Bytes of the result.
    pub bytes_written: u64,
}

impl Cost {
    /// The cost of an op that reads every operand once and writes its result once.
    pub(crate) fn streaming(
        operations: u64,
        operands: &[&TensorType],
        output: &TensorType,
        precision: Precision,
    ) -> Self {
        Self {
            operations,
            bytes_read: operands.iter().map(|operand| operand.bytes(precision)).sum(),
            bytes_written: output.bytes(precision),
        }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            operations: self.operations + other.operations,
            bytes_read: self.bytes_read + other.bytes_read,
            bytes_written: self.bytes_written + other.bytes_written,
        }
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}
