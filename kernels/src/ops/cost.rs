//! What an op costs: floating-point operations, and bytes moved if every operand is read once.

use super::Op;
use crate::{Graph, Node, Precision, TensorType, Value};
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

impl Graph {
    /// The cost of a node in a precision.
    pub fn node_cost(&self, node: &Node, precision: Precision) -> Cost {
        let mut cost = node.op.cost(&self.operand_types(node), &node.output, precision);
        let kept = node.op.kept_operand(precision).map(|position| node.operands[position]);
        if let Some(weight) = kept.filter(|&weight| self.is_fixed(weight)) {
            // Of a table only the rows that are looked up are read.
            let is_table = matches!(node.op, Op::Gather);
            let read = if is_table { &node.output } else { &self.node(weight).output };
            cost.bytes_read -= read.len() as u64 * precision.bytes() as u64;
            cost.bytes_read += read.len() as u64 * precision.weight_bytes() as u64;
        }
        cost
    }

    /// Whether no input reaches a value.
    fn is_fixed(&self, value: Value) -> bool {
        let node = self.node(value);
        let all = || node.operands.iter().all(|&operand| self.is_fixed(operand));
        if node.op.is_leaf() { node.op.is_fixed() } else { all() }
    }

    /// The cost of a run: of all nodes together but those that are computed before it, from weights alone.
    pub fn cost(&self, precision: Precision) -> Cost {
        let fixed = self.fixed();
        let run = self.nodes().iter().zip(fixed).filter(|(_, fixed)| !fixed);
        run.map(|(node, _)| self.node_cost(node, precision)).sum()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Binding, Builder, Kind};

    /// Bytes read by a lookup of 3 rows and by a dense layer over them.
    fn bytes_read(precision: Precision) -> [u64; 2] {
        let mut b = Builder::new(Binding::default());
        let ids = b.input("ids", Kind::Index, &[3.into()]).unwrap();
        let table = b.weight("table", &[100, 8]).unwrap();
        let weight = b.weight("weight", &[4, 8]).unwrap();
        let x = b.gather(table, ids).unwrap();
        let y = b.linear(x, weight, None, Activation::Identity).unwrap();
        b.output("y", y).unwrap();
        let graph = b.finish().unwrap();
        [x, y].map(|value| graph.node_cost(graph.node(value), precision).bytes_read)
    }

    #[test]
    fn weights_are_read_in_their_own_size() {
        let (ids, rows, weight) = (12, 24, 32);
        assert_eq!(bytes_read(Precision::F32), [ids + 4 * rows, 4 * rows + 4 * weight]);
        assert_eq!(bytes_read(Precision::F16), [ids + 2 * rows, 2 * rows + 2 * weight]);
        assert_eq!(bytes_read(Precision::Bf16), [ids + 2 * rows, 4 * rows + 2 * weight]);
        assert_eq!(bytes_read(Precision::Int8), [ids + rows, 4 * rows + weight]);
    }
}
