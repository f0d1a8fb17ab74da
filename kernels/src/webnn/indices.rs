//! The indices of gathers. WebNN takes the nearest row for an index that a table does not have, and the last rows for
//! negative ones; here such an index is an error, so the host looks at all indices before a run.
//!
//! It can: indices are given, fixed, or moved from such, never computed. What is moved is moved on the host as well, so
//! that only indices count that reach a gather.

use crate::{Error, Graph, Op, Tensor, Value, Weights, evaluate};
use serde::{Deserialize, Serialize};

/// What reaches one gather, and the number of rows that its table has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct IndexCheck {
    /// Its one output are the indices.
    graph: Graph,
    /// Which inputs of the whole graph are its own, by position.
    inputs: Vec<usize>,
    rows: usize,
}

impl IndexCheck {
    /// The checks of a graph, each once.
    pub(super) fn all(graph: &Graph) -> Vec<Self> {
        let mut seen: Vec<(Value, usize)> = Vec::new();
        for node in graph.nodes().iter().filter(|node| matches!(node.op, Op::Gather)) {
            let rows = graph.node(node.operands[0]).output.shape[0];
            let indices = node.operands[1];
            match seen.iter_mut().find(|(other, _)| *other == indices) {
                Some((_, least)) => *least = rows.min(*least),
                None => seen.push((indices, rows)),
            }
        }
        let check = |(indices, rows): (Value, usize)| {
            let (graph, inputs) = graph.making(indices);
            Self { graph, inputs, rows }
        };
        seen.into_iter().map(check).collect()
    }

    /// Whether the indices are the same in every run.
    pub(super) const fn is_fixed(&self) -> bool {
        self.inputs.is_empty()
    }

    /// An error for the first index that the table does not have. `inputs` are those of the whole graph.
    pub(super) fn check(&self, weights: &Weights, inputs: &[Tensor]) -> Result<(), Error> {
        let own: Vec<_> = self.inputs.iter().map(|&at| inputs[at].clone()).collect();
        let rows = self.rows as f64;
        for indices in evaluate(&self.graph, weights, &own)? {
            if let Some(bad) = indices.data.iter().find(|index| !(0.0..rows).contains(*index)) {
                return Err(Error::bad_index(bad, self.rows));
            }
        }
        Ok(())
    }
}
