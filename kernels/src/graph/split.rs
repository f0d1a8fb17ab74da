//! A graph in parts that run one after the other, so that what one device lacks can run elsewhere.

use super::{Graph, Node, Value};
use crate::ops::Op;
use crate::{Error, Tensor};
use std::collections::BTreeMap;

/// A part of a graph, which is a graph of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Whether its nodes are those that were said to be supported, or those between.
    pub supported: bool,
    /// The part. Values that cross are named after their numbers in the whole graph; its inputs keep their names.
    pub graph: Graph,
    /// Which values of the whole graph are its inputs, in the order of its own.
    pub inputs: Vec<Value>,
    /// Which values of the whole graph are its outputs, in the order of its own.
    pub outputs: Vec<Value>,
}

/// Cuts a graph into parts of nodes that are alike in `supported`, as few as can be had by taking all that can run
/// before the next part begins. Each part needs only values of parts before it. Weights and constants are in every
/// part that uses them; `supported` is asked of computed nodes, and of given ones that are outputs themselves.
pub fn split(graph: &Graph, supported: impl Fn(Value) -> bool) -> Vec<Part> {
    let is_output = |value: Value| graph.outputs.iter().any(|(_, output)| *output == value);
    let kinds: Vec<_> = graph
        .values()
        .map(|(value, node)| {
            let placed = !node.op.is_leaf() || (node.op.is_fixed() && is_output(value));
            placed.then(|| supported(value))
        })
        .collect();
    let ways = [true, false].map(|first| runs(graph, &kinds, first));
    let fewest = ways.into_iter().min_by_key(Vec::len).unwrap_or_default();
    let parts = fewest.iter().map(|(kind, values)| part(graph, *kind, values));
    parts.collect()
}

/// The numbers of the nodes of each run, which begin with one kind.
fn runs(graph: &Graph, kinds: &[Option<bool>], first: bool) -> Vec<(bool, Vec<Value>)> {
    let mut done: Vec<_> = kinds.iter().map(Option::is_none).collect();
    let mut runs = Vec::new();
    let mut kind = first;
    while done.contains(&false) {
        let mut run = Vec::new();
        // One pass in topological order takes all that depends on what is done and on the run itself.
        for (value, node) in graph.values() {
            let index = value.index();
            let ready = || node.operands.iter().all(|operand| done[operand.index()]);
            if !done[index] && kinds[index] == Some(kind) && ready() {
                done[index] = true;
                run.push(value);
            }
        }
        if !run.is_empty() {
            runs.push((kind, run));
        }
        kind = !kind;
    }
    runs
}

/// The part that computes these values, which are in topological order.
fn part(graph: &Graph, supported: bool, values: &[Value]) -> Part {
    let own = |value: Value| values.binary_search(&value).is_ok();
    let leaves_here = |value: Value| {
        let is_output = graph.outputs.iter().any(|(_, output)| *output == value);
        let elsewhere =
            graph.values().any(|(user, node)| node.operands.contains(&value) && !own(user));
        // What is given needs no carrying.
        is_output || (elsewhere && !graph.node(value).op.is_leaf())
    };
    let outputs: Vec<_> = values.iter().copied().filter(|&value| leaves_here(value)).collect();
    let mut making =
        Making { graph, own, nodes: Vec::new(), inputs: Vec::new(), moved: BTreeMap::new() };
    values.iter().for_each(|&value| making.place(value));
    let Making { nodes, inputs, moved, .. } = making;
    let named = outputs.iter().map(|value| (crossing(*value), moved[value]));
    let named = named.collect();
    let own_inputs = inputs.iter().map(|value| moved[value]).collect();
    Part { supported, graph: Graph { nodes, inputs: own_inputs, outputs: named }, inputs, outputs }
}

/// The name of a value of the whole graph where it crosses.
fn crossing(value: Value) -> String {
    format!("value {}", value.index())
}

/// A part in the making.
struct Making<'g, F> {
    graph: &'g Graph,
    /// Whether a value is computed here.
    own: F,
    nodes: Vec<Node>,
    /// Of the whole graph.
    inputs: Vec<Value>,
    /// Where values of the whole graph are here.
    moved: BTreeMap<Value, Value>,
}

impl<F: Fn(Value) -> bool> Making<'_, F> {
    /// Places a value that is computed here, or that is given, after what it needs.
    fn place(&mut self, value: Value) {
        if self.moved.contains_key(&value) {
            return;
        }
        let mut node = self.graph.node(value).clone();
        let is_input = matches!(node.op, Op::Input { .. });
        if !node.op.is_fixed() && !(self.own)(value) {
            if !is_input {
                node.op = Op::Input { name: crossing(value) };
            }
            node.operands.clear();
            self.inputs.push(value);
        }
        node.operands.clone().into_iter().for_each(|operand| self.place(operand));
        node.operands.iter_mut().for_each(|operand| *operand = self.moved[operand]);
        let here = u32::try_from(self.nodes.len()).expect("no more than in the whole graph");
        self.moved.insert(value, Value(here));
        self.nodes.push(node);
    }
}

/// Runs the parts of a graph one after the other. `run` is given the number of a part and its inputs and gives its
/// outputs; the result is in the order of the whole graph's outputs.
pub fn run_parts(
    graph: &Graph,
    parts: &[Part],
    inputs: &[Tensor],
    mut run: impl FnMut(usize, &[Tensor]) -> Result<Vec<Tensor>, Error>,
) -> Result<Vec<Tensor>, Error> {
    graph.check_inputs(inputs)?;
    let given = graph.input_values().iter().copied().zip(inputs.iter().cloned());
    let mut known: BTreeMap<Value, Tensor> = given.collect();
    for (number, part) in parts.iter().enumerate() {
        let own: Vec<_> = part.inputs.iter().map(|value| known[value].clone()).collect();
        let outputs = run(number, &own)?;
        if outputs.len() != part.outputs.len() {
            let detail = format!(
                "part {number} gave {} outputs, it has {}",
                outputs.len(),
                part.outputs.len()
            );
            return Err(Error::Device { device: "a part of a graph".into(), detail });
        }
        known.extend(part.outputs.iter().copied().zip(outputs));
    }
    Ok(graph.outputs.iter().map(|(_, value)| known[value].clone()).collect())
}
