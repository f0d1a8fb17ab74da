//! Folding: what depends on weights and constants alone is computed once, in f64, before a device prepares a graph.
//!
//! So a family writes a frozen batch normalisation, a weight norm or a table of position biases as the ops that
//! they are, and no run pays for them.

use crate::{Array, Error, Graph, Kind, Op, Tensor, Value, Weights, evaluate};
use std::collections::{BTreeMap, VecDeque};

/// The same graph with every value that no input reaches given as a weight, and the weights with these values.
///
/// Values keep their names: `conv.weight (folded 12)`, after the first weight that went into them. A reshaped weight
/// stays a reshape, which costs nothing.
pub fn fold(graph: &Graph, weights: &Weights) -> Result<(Graph, Weights), Error> {
    let values = foldable(graph);
    if values.is_empty() {
        return Ok((graph.clone(), weights.clone()));
    }
    graph.weights().try_for_each(|(name, of)| weights.check(name, of))?;
    let computed = graph.part(&values);
    let arrays = evaluate(&computed, weights, &[])?;
    let mut names = BTreeMap::new();
    let mut tensors = Vec::new();
    for (value, array) in values.into_iter().zip(arrays) {
        let name = format!("{} (folded {})", origin(graph, value), value.index());
        tensors.push((name.clone(), tensor(array, graph.node(value).output.kind)));
        names.insert(value, name);
    }
    Ok((graph.with_weights(&names), weights.with(tensors)))
}

/// A value as devices take it.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32, and indices were i32 before")]
fn tensor(array: Array, kind: Kind) -> Tensor {
    match kind {
        Kind::Float => Tensor::f32(array.shape, array.data.iter().map(|&v| v as f32).collect()),
        Kind::Index => Tensor::i32(array.shape, array.data.iter().map(|&v| v as i32).collect()),
    }
}

/// The computed values that depend on nothing that is given at run time and that something else needs.
fn foldable(graph: &Graph) -> Vec<Value> {
    let fixed = graph.fixed();
    let mut plain = vec![false; graph.nodes().len()];
    for (value, node) in graph.values() {
        let shaped = matches!(node.op, Op::Reshape { .. }) && plain[node.operands[0].index()];
        plain[value.index()] = node.op.is_leaf() || shaped;
    }
    let mut needed = vec![false; graph.nodes().len()];
    for (_, node) in graph.values().filter(|(value, _)| !fixed[value.index()]) {
        node.operands.iter().for_each(|operand| needed[operand.index()] = true);
    }
    graph.outputs().iter().for_each(|(_, value)| needed[value.index()] = true);
    let folds = |value: &Value| {
        let index = value.index();
        fixed[index] && needed[index] && !plain[index]
    };
    graph.values().map(|(value, _)| value).filter(folds).collect()
}

/// The first weight that a value depends on, or its op.
fn origin(graph: &Graph, value: Value) -> String {
    let mut queue = VecDeque::from([value]);
    while let Some(value) = queue.pop_front() {
        let node = graph.node(value);
        if let Op::Weight { name } = &node.op {
            return name.clone();
        }
        queue.extend(&node.operands);
    }
    graph.node(value).op.name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, BinaryOp, Binding, Builder, Data};

    /// `x · (w ∘ scale)ᵀ + slice(positions)`, and a reshaped weight that is added as it is.
    fn graph() -> (Graph, Weights) {
        let mut b = Builder::new(Binding::default());
        let x = b.input("x", Kind::Float, &[2.into(), 3.into()]).unwrap();
        let w = b.weight("w", &[2, 3]).unwrap();
        let scale = b.constant(Tensor::f32([2, 1], vec![2.0, -1.0])).unwrap();
        let scaled = b.binary(BinaryOp::Mul, w, scale).unwrap();
        let y = b.linear(x, scaled, None, Activation::Identity).unwrap();
        let positions = b.weight("positions", &[4, 2]).unwrap();
        let first = b.slice(positions, 0, 1, 3).unwrap();
        let y = b.add(y, first).unwrap();
        let flat = b.weight("flat", &[2, 1]).unwrap();
        let flat = b.reshape(flat, &[2]).unwrap();
        let y = b.add(y, flat).unwrap();
        b.output("y", y).unwrap();
        b.output("scaled", scaled).unwrap();
        (b.finish().unwrap(), Weights::seeded(7))
    }

    #[test]
    fn a_folded_graph_computes_the_same_with_fewer_ops() {
        let (graph, weights) = graph();
        let x = Tensor::f32([2, 3], vec![0.5, -1.0, 2.0, 3.0, 0.25, -0.125]);
        let (folded, given) = fold(&graph, &weights).unwrap();
        let expected = evaluate(&graph, &weights, std::slice::from_ref(&x)).unwrap();
        let found = evaluate(&folded, &given, &[x]).unwrap();
        for (expected, found) in expected.iter().zip(&found) {
            let differences = expected.data.iter().zip(&found.data).map(|(a, b)| (a - b).abs());
            assert!(differences.fold(0.0, f64::max) < 1e-7);
        }
        let names: Vec<_> = folded.weights().map(|(name, _)| name).collect();
        assert_eq!(names, ["w (folded 3)", "positions (folded 6)", "flat"]);
        let ops: Vec<_> = folded.nodes().iter().map(|node| node.op.name()).collect();
        let expected = ["input", "weight", "linear", "weight", "add", "weight", "reshape", "add"];
        assert_eq!(ops, expected);
        assert_eq!(fold(&folded, &given).unwrap().0, folded);
    }

    #[test]
    fn a_weight_that_is_not_there_is_told_as_ever() {
        let (graph, _) = graph();
        let error = fold(&graph, &Weights::given([])).unwrap_err();
        assert!(matches!(error, Error::MissingWeight { .. }), "{error}");
    }

    #[test]
    fn indices_stay_indices() {
        let mut b = Builder::new(Binding::default());
        let x = b.input("x", Kind::Float, &[1.into(), 2.into()]).unwrap();
        let ids = b.constant(Tensor::i32([3], vec![2, 0, 1])).unwrap();
        let ids = b.slice(ids, 0, 0, 2).unwrap();
        let rows = b.gather(x, ids).unwrap();
        b.output("rows", rows).unwrap();
        let graph = b.finish().unwrap();
        let (folded, given) = fold(&graph, &Weights::seeded(1)).unwrap();
        let (name, of) = folded.weights().next().unwrap();
        assert_eq!(name, "slice (folded 2)");
        assert_eq!(given.tensor(name, of).unwrap().data(), &Data::I32(vec![2, 0]));
    }
}
