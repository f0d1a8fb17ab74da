//! The reference interpreter: a graph in f64, one node after the other. It is the truth that devices are
//! checked against, so it is plain; rows run in parallel only to be patient with real models.

use crate::{Array, Error, Graph, Op, Tensor, Weights};
use sha2::{Digest, Sha256};

/// The sources of what is computed here.
const SOURCES: [&str; 12] = [
    include_str!("reference.rs"),
    include_str!("ops/mod.rs"),
    include_str!("ops/array.rs"),
    include_str!("ops/attention.rs"),
    include_str!("ops/conv.rs"),
    include_str!("ops/elementwise.rs"),
    include_str!("ops/gather.rs"),
    include_str!("ops/layout.rs"),
    include_str!("ops/linear.rs"),
    include_str!("ops/normalise.rs"),
    include_str!("ops/reduce.rs"),
    include_str!("ops/rotary.rs"),
];

/// SHA-256 over the sources of the reference: outputs that are kept on disk hold only for the same text.
pub fn reference_version() -> String {
    let mut hasher = Sha256::new();
    SOURCES.iter().for_each(|text| hasher.update(text));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The outputs of a graph in f64, in the order of [`Graph::outputs`].
///
/// `inputs` are in the order of [`Graph::inputs`]. Values are freed after their last use.
pub fn evaluate(graph: &Graph, weights: &Weights, inputs: &[Tensor]) -> Result<Vec<Array>, Error> {
    let mut last_use = vec![0; graph.nodes().len()];
    for (value, node) in graph.values() {
        node.operands.iter().for_each(|operand| last_use[operand.index()] = value.index());
    }
    graph.outputs().iter().for_each(|(_, value)| last_use[value.index()] = usize::MAX);
    let values = interpret(graph, weights, inputs, |index, at| last_use[index] <= at)?;
    let take = |index: usize| values[index].clone().expect("an output is never freed");
    Ok(graph.outputs().iter().map(|(_, value)| take(value.index())).collect())
}

/// All values of a graph in f64, in the order of its nodes: to find the op where a device goes wrong.
pub fn evaluate_all(
    graph: &Graph,
    weights: &Weights,
    inputs: &[Tensor],
) -> Result<Vec<Array>, Error> {
    let values = interpret(graph, weights, inputs, |_, _| false)?;
    Ok(values.into_iter().flatten().collect())
}

fn interpret(
    graph: &Graph,
    weights: &Weights,
    inputs: &[Tensor],
    is_dead: impl Fn(usize, usize) -> bool,
) -> Result<Vec<Option<Array>>, Error> {
    graph.check_inputs(inputs)?;
    let mut values: Vec<Option<Array>> = Vec::with_capacity(graph.nodes().len());
    for (value, node) in graph.values() {
        let array = match &node.op {
            Op::Input { .. } => {
                let position = graph.input_values().iter().position(|v| *v == value);
                Array::from(&inputs[position.expect("inputs are listed")])
            }
            Op::Weight { name } => Array::from(&weights.tensor(name, &node.output)?),
            op => {
                let operands: Vec<_> = node
                    .operands
                    .iter()
                    .map(|v| values[v.index()].as_ref().expect("used before it is freed"))
                    .collect();
                op.reference(&operands, &node.output)?
            }
        };
        values.push(Some(array));
        for operand in &node.operands {
            if is_dead(operand.index(), value.index()) {
                values[operand.index()] = None;
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_covers_every_file_of_the_ops() {
        let text = include_str!("reference.rs");
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let named = text.contains(&format!("include_str!(\"ops/{name}\")"));
            // What an op costs has no part in what it computes.
            assert!(named || name == "cost.rs", "{name} is not in SOURCES");
        }
    }
}
