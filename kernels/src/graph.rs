//! The graph of a model for one binding of its symbolic sizes.
//!
//! The builder that validates it is in `builder`; what the ops mean is in `ops`; what they compute in f64 is in
//! `reference`.

mod builder;
mod split;

pub use builder::Builder;
pub use split::{Part, run_parts, split};

use crate::ops::Op;
use crate::{Error, Tensor, TensorType};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The name of a size that is bound when a graph is built, short enough for a case id: `b`, `s`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Symbol(Cow<'static, str>);

/// The number of independent examples.
pub const BATCH: Symbol = Symbol::new("b");
/// The number of tokens (or frames) of one example.
pub const SEQUENCE: Symbol = Symbol::new("s");

impl Symbol {
    /// A symbol of this name, which has letters only.
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The values of the symbolic sizes, in the order in which they stand in a case id: `b8-s128`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Binding(Vec<(Symbol, usize)>);

impl Binding {
    /// Batch and sequence, the pair that nearly every model has.
    pub fn batch_sequence(batch: usize, sequence: usize) -> Self {
        Self::default().with(BATCH, batch).with(SEQUENCE, sequence)
    }

    /// The same binding with one more symbol, or with another value of it.
    #[must_use]
    pub fn with(mut self, symbol: Symbol, size: usize) -> Self {
        match self.0.iter_mut().find(|(s, _)| *s == symbol) {
            Some(entry) => entry.1 = size,
            None => self.0.push((symbol, size)),
        }
        self
    }

    /// The value of a symbol.
    pub fn get(&self, symbol: &Symbol) -> Result<usize, Error> {
        self.0
            .iter()
            .find(|(s, _)| s == symbol)
            .map(|&(_, size)| size)
            .ok_or_else(|| Error::Unbound { symbol: symbol.to_string() })
    }
}

impl FromStr for Binding {
    type Err = String;

    /// Reads what `Display` writes: `b8-s128`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut binding = Self::default();
        for part in text.split('-').filter(|part| !part.is_empty()) {
            let digits = part.find(|c: char| c.is_ascii_digit()).unwrap_or(part.len());
            let (name, size) = part.split_at(digits);
            let size = size.parse().ok().filter(|_| !name.is_empty());
            let Some(size) = size else {
                return Err(format!("`{part}` of `{text}` is not a name and a size, as b8 is"));
            };
            let symbol = Symbol(Cow::Owned(name.to_owned()));
            if binding.get(&symbol).is_ok() {
                return Err(format!("`{name}` is given twice in `{text}`"));
            }
            binding = binding.with(symbol, size);
        }
        Ok(binding)
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (symbol, size)) in self.0.iter().enumerate() {
            let dash = if i == 0 { "" } else { "-" };
            write!(f, "{dash}{symbol}{size}")?;
        }
        Ok(())
    }
}

/// One size of a declared input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// Bound when the graph is built.
    Symbol(Symbol),
    /// Always this.
    Fixed(usize),
}

impl From<Symbol> for Size {
    fn from(symbol: Symbol) -> Self {
        Self::Symbol(symbol)
    }
}

impl From<usize> for Size {
    fn from(size: usize) -> Self {
        Self::Fixed(size)
    }
}

/// A value of a graph: the output of the node with this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Value(u32);

impl Value {
    /// The index of the node that makes it.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One op, the values it takes and the type of the value it makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// Its operands, all made by earlier nodes.
    pub operands: Vec<Value>,
    /// What it makes.
    pub output: TensorType,
}

/// A validated DAG in topological order, with static shapes and no empty value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    nodes: Vec<Node>,
    inputs: Vec<Value>,
    outputs: Vec<(String, Value)>,
}

impl Graph {
    /// The nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node that makes a value.
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.index()]
    }

    /// Values with their nodes, in topological order.
    pub fn values(&self) -> impl Iterator<Item = (Value, &Node)> {
        (0u32..).map(Value).zip(&self.nodes)
    }

    /// The operand types of a node, in order.
    pub fn operand_types(&self, node: &Node) -> Vec<&TensorType> {
        node.operands.iter().map(|&v| &self.node(v).output).collect()
    }

    /// The inputs in the order of their declaration: name and type.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = (&str, &TensorType)> {
        self.inputs.iter().map(|&value| {
            let node = self.node(value);
            match &node.op {
                Op::Input { name } => (name.as_str(), &node.output),
                other => unreachable!("{} declared as an input", other.name()),
            }
        })
    }

    /// The values of the inputs, in the order of their declaration.
    pub fn input_values(&self) -> &[Value] {
        &self.inputs
    }

    /// The outputs in the order of their declaration: name and value.
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.outputs
    }

    /// The weights that the graph names, each once, with the shapes that it expects.
    pub fn weights(&self) -> impl Iterator<Item = (&str, &TensorType)> {
        self.nodes.iter().filter_map(|node| match &node.op {
            Op::Weight { name } => Some((name.as_str(), &node.output)),
            _ => None,
        })
    }

    /// SHA-256 over the structure: ops, their attributes, their edges, all shapes. Not over weights.
    pub fn digest(&self) -> String {
        let bytes = serde_json::to_vec(self).expect("a graph has only plain data");
        format!("{:x}", HexBytes(&Sha256::digest(bytes)))
    }

    /// Of each node whether it is the same in every run, because no input reaches it.
    pub(crate) fn fixed(&self) -> Vec<bool> {
        let mut fixed: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let all = || node.operands.iter().all(|operand| fixed[operand.index()]);
            let own = if node.op.is_leaf() { node.op.is_fixed() } else { all() };
            fixed.push(own);
        }
        fixed
    }

    /// The part of the graph that makes these of its outputs, in this order, from the inputs that they need.
    pub fn with_outputs(&self, names: &[&str]) -> Result<Self, Error> {
        let find = |name: &&str| {
            let found = self.outputs.iter().find(|(other, _)| other == name);
            found.cloned().ok_or_else(|| {
                let possible: Vec<_> = self.outputs.iter().map(|(name, _)| &**name).collect();
                let detail = format!("there is no `{name}`: there are {}", possible.join(", "));
                Error::shape("output", detail)
            })
        };
        let outputs: Vec<_> = names.iter().map(find).collect::<Result<_, _>>()?;
        if let Some(name) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return Err(Error::shape("output", format!("`{}` is wanted twice", name.1)));
        }
        if outputs.is_empty() {
            return Err(Error::shape("graph", "no output of it is wanted"));
        }
        let needed = needed(&self.nodes, outputs.iter().map(|(_, value)| *value));
        let inputs = self.inputs.iter().copied().filter(|input| needed[input.index()]).collect();
        Ok(without_dead_nodes(Self { nodes: self.nodes.clone(), inputs, outputs }))
    }

    /// The part of the graph that makes these values, which become its outputs in their order.
    pub(crate) fn part(&self, values: &[Value]) -> Self {
        let outputs = values.iter().enumerate().map(|(i, &value)| (i.to_string(), value));
        let nodes = self.nodes.clone();
        without_dead_nodes(Self { nodes, inputs: Vec::new(), outputs: outputs.collect() })
    }

    /// The part of the graph that makes one value, and which of the inputs it takes, by position.
    pub(crate) fn making(&self, value: Value) -> (Self, Vec<usize>) {
        let needed = needed(&self.nodes, std::iter::once(value));
        let taken = |(_, input): &(usize, &Value)| needed[input.index()];
        let (positions, inputs) = self.inputs.iter().enumerate().filter(taken).unzip();
        let (nodes, outputs) = (self.nodes.clone(), vec![("made".to_owned(), value)]);
        (without_dead_nodes(Self { nodes, inputs, outputs }), positions)
    }

    /// The same graph in which these values are weights of these names.
    pub(crate) fn with_weights(&self, names: &BTreeMap<Value, String>) -> Self {
        let mut graph = self.clone();
        for (value, name) in names {
            let node = &mut graph.nodes[value.index()];
            node.op = Op::Weight { name: name.clone() };
            node.operands.clear();
        }
        without_dead_nodes(graph)
    }

    /// Checks inputs that are given at run time: number, shapes, kinds.
    pub fn check_inputs(&self, inputs: &[Tensor]) -> Result<(), Error> {
        if inputs.len() != self.inputs.len() {
            let names: Vec<_> = self.inputs().map(|(name, _)| name).collect();
            return Err(Error::Input {
                name: names.join(", "),
                expected: format!("{} inputs", names.len()),
                found: inputs.len().to_string(),
            });
        }
        for ((name, expected), found) in self.inputs().zip(inputs) {
            if found.shape() != expected.shape || found.kind() != expected.kind {
                return Err(Error::Input {
                    name: name.to_owned(),
                    expected: expected.to_string(),
                    found: found.tensor_type().to_string(),
                });
            }
        }
        Ok(())
    }
}

struct HexBytes<'a>(&'a [u8]);

impl fmt::LowerHex for HexBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Of each node whether one of these values is it or is made from it.
fn needed(nodes: &[Node], values: impl Iterator<Item = Value>) -> Vec<bool> {
    let mut needed = vec![false; nodes.len()];
    values.for_each(|value| needed[value.index()] = true);
    // Operands come before the nodes that take them, so one pass from the end sees every use.
    for index in (0..nodes.len()).rev() {
        if needed[index] {
            nodes[index].operands.iter().for_each(|operand| needed[operand.index()] = true);
        }
    }
    needed
}

fn without_dead_nodes(graph: Graph) -> Graph {
    let outputs = graph.outputs.iter().map(|(_, value)| *value);
    let live = needed(&graph.nodes, outputs.chain(graph.inputs.iter().copied()));
    let mut moved = vec![Value(0); live.len()];
    let mut nodes = Vec::new();
    for (index, mut node) in graph.nodes.into_iter().enumerate().filter(|(i, _)| live[*i]) {
        moved[index] = Value(u32::try_from(nodes.len()).expect("fewer than before"));
        node.operands.iter_mut().for_each(|v| *v = moved[v.index()]);
        nodes.push(node);
    }
    let inputs = graph.inputs.into_iter().map(|v| moved[v.index()]).collect();
    let outputs = graph.outputs.into_iter().map(|(name, v)| (name, moved[v.index()])).collect();
    Graph { nodes, inputs, outputs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Weights, evaluate};

    /// `left` takes `x`; `right` takes `y` and a weight; `both` takes all of these.
    fn fork() -> Graph {
        let mut builder = Builder::new(Binding::default());
        let [x, y] = ["x", "y"].map(|n| builder.input(n, Kind::Float, &[2.into()]).unwrap());
        let weight = builder.weight("w", &[2]).unwrap();
        let left = builder.add(x, x).unwrap();
        let right = builder.add(y, weight).unwrap();
        let both = builder.add(left, right).unwrap();
        for (name, value) in [("left", left), ("right", right), ("both", both)] {
            builder.output(name, value).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn wanted_outputs_keep_what_they_need_alone() {
        let weights = Weights::given([("w".to_owned(), Tensor::f32([2], vec![10.0, 20.0]))]);
        let [x, y] = [[1.0, 2.0], [3.0, 4.0]].map(|v| Tensor::f32([2], v.to_vec()));
        let check =
            |wanted: &[&str], inputs: &[Tensor], names: &[&str], nodes, expected: &[f64]| {
                let graph = fork().with_outputs(wanted).unwrap();
                assert!(graph.outputs().iter().map(|(name, _)| name).eq(wanted));
                assert!(graph.inputs().map(|(name, _)| name).eq(names.iter().copied()));
                assert_eq!(graph.nodes().len(), nodes);
                let outputs = evaluate(&graph, &weights, inputs).unwrap();
                let values: Vec<_> = outputs.iter().flat_map(|a| a.data.iter().copied()).collect();
                assert_eq!(values, expected);
            };
        let (left, right) = ([2.0, 4.0], [13.0, 24.0]);
        check(&["left"], std::slice::from_ref(&x), &["x"], 2, &left);
        check(&["right"], std::slice::from_ref(&y), &["y"], 3, &right);
        check(&["right", "left"], &[x, y], &["x", "y"], 5, &[right, left].concat());
        assert_eq!(fork().with_outputs(&["left", "right", "both"]).unwrap(), fork());
    }

    #[test]
    fn outputs_that_cannot_be_had_are_refused() {
        let check = |wanted: &[&str], says: &str| {
            let error = fork().with_outputs(wanted).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        };
        check(&["left", "middle"], "there is no `middle`: there are left, right, both");
        check(&["left", "left"], "`left` is wanted twice");
        check(&[], "no output of it is wanted");
    }
}
