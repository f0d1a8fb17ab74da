//! The graph of a model for one binding of its symbolic sizes, and the builder that validates it.
//!
//! What the ops mean is in `ops`; what they compute in f64 is in `reference`.

use crate::ops::{Activation, BinaryOp, Cost, Op, Reduction, UnaryOp, Window};
use crate::{Error, Kind, Precision, Tensor, TensorType};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

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

    /// The cost of a node in a precision.
    pub fn node_cost(&self, node: &Node, precision: Precision) -> Cost {
        node.op.cost(&self.operand_types(node), &node.output, precision)
    }

    /// The cost of a run: of all nodes together but those that are computed before it, from weights alone.
    pub fn cost(&self, precision: Precision) -> Cost {
        let fixed = self.fixed();
        let run = self.nodes.iter().zip(fixed).filter(|(_, fixed)| !fixed);
        run.map(|(node, _)| self.node_cost(node, precision)).sum()
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

/// Builds a [`Graph`] for one [`Binding`]. Every method checks its operands and gives the new value.
#[derive(Debug)]
pub struct Builder {
    binding: Binding,
    graph: Graph,
}

impl Builder {
    /// A builder whose symbolic sizes have these values.
    pub fn new(binding: Binding) -> Self {
        let graph = Graph { nodes: Vec::new(), inputs: Vec::new(), outputs: Vec::new() };
        Self { binding, graph }
    }

    /// The binding that the graph is built for.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Shape and kind of a value.
    pub fn type_of(&self, value: Value) -> &TensorType {
        &self.graph.node(value).output
    }

    /// Adds a node for any op; the named methods below are shorter.
    pub fn push(&mut self, op: Op, operands: &[Value]) -> Result<Value, Error> {
        let types: Vec<_> = operands.iter().map(|&v| self.type_of(v)).collect();
        let output = op.output_type(&types)?;
        check_size(op.name(), &output.shape)?;
        Ok(self.push_typed(op, operands, output))
    }

    fn push_typed(&mut self, op: Op, operands: &[Value], output: TensorType) -> Value {
        let value = Value(u32::try_from(self.graph.nodes.len()).expect("fewer than 2^32 nodes"));
        self.graph.nodes.push(Node { op, operands: operands.to_vec(), output });
        value
    }

    /// Declares an input; a size of zero is refused.
    pub fn input(&mut self, name: &str, kind: Kind, sizes: &[Size]) -> Result<Value, Error> {
        let shape = sizes
            .iter()
            .map(|size| match size {
                Size::Symbol(symbol) => self.binding.get(symbol),
                Size::Fixed(n) => Ok(*n),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if shape.contains(&0) {
            return Err(Error::shape("input", format!("`{name}` would be empty: {shape:?}")));
        }
        check_size("input", &shape)?;
        let op = Op::Input { name: name.to_owned() };
        let value = self.push_typed(op, &[], TensorType { shape, kind });
        self.graph.inputs.push(value);
        Ok(value)
    }

    /// Names a weight of the checkpoint and the shape it must have. One name gives one value.
    pub fn weight(&mut self, name: &str, shape: &[usize]) -> Result<Value, Error> {
        if shape.contains(&0) {
            return Err(Error::shape("weight", format!("`{name}` would be empty: {shape:?}")));
        }
        check_size("weight", shape)?;
        let output = TensorType::float(shape);
        let named = |op: &Op| matches!(op, Op::Weight { name: other } if other == name);
        if let Some((value, node)) = self.graph.values().find(|(_, node)| named(&node.op)) {
            if node.output != output {
                let detail = format!("`{name}` is {} and {output} in one graph", node.output);
                return Err(Error::shape("weight", detail));
            }
            return Ok(value);
        }
        Ok(self.push_typed(Op::Weight { name: name.to_owned() }, &[], output))
    }

    /// A float scalar that is part of the graph.
    pub fn scalar(&mut self, value: f32) -> Value {
        self.push_typed(Op::Scalar { value }, &[], TensorType::float([]))
    }

    /// A tensor that is part of the graph. Its floats must be finite.
    pub fn constant(&mut self, tensor: Tensor) -> Result<Value, Error> {
        let output = tensor.tensor_type();
        if output.is_empty() {
            return Err(Error::shape("constant", format!("it would be empty: {output}")));
        }
        if tensor.to_f64().iter().any(|v| !v.is_finite()) {
            return Err(Error::shape("constant", "it has an element that is not finite"));
        }
        Ok(self.push_typed(Op::Constant { tensor: Arc::new(tensor) }, &[], output))
    }

    /// Rows of `table` `[v, d]` by `indices` `[..]`: `[.., d]`. An index outside `0..v` is an error at run time.
    pub fn gather(&mut self, table: Value, indices: Value) -> Result<Value, Error> {
        self.push(Op::Gather, &[table, indices])
    }

    /// `activation(x · weightᵀ + bias)`: `x` `[.., k]`, `weight` `[n, k]` as Hugging Face stores it, `bias` `[n]`.
    pub fn linear(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        activation: Activation,
    ) -> Result<Value, Error> {
        let mut operands = vec![x, weight];
        operands.extend(bias);
        self.push(Op::Linear { bias: bias.is_some(), activation }, &operands)
    }

    /// Batched matrix product `[.., m, k] · [.., k, n]`, leading sizes broadcast;
    /// with `transpose_right` the right operand is `[.., n, k]`.
    pub fn matmul(&mut self, a: Value, b: Value, transpose_right: bool) -> Result<Value, Error> {
        self.push(Op::MatMul { transpose_right }, &[a, b])
    }

    /// Convolution over the last two axes: `x` `[b, c, h, w]`, `weight` `[o, c/groups, kh, kw]`, `bias` `[o]`.
    pub fn conv(
        &mut self,
        [x, weight]: [Value; 2],
        bias: Option<Value>,
        window: Window,
        groups: usize,
        activation: Activation,
    ) -> Result<Value, Error> {
        let mut operands = vec![x, weight];
        operands.extend(bias);
        self.push(Op::Conv { window, groups, bias: bias.is_some(), activation }, &operands)
    }

    /// The maximum of every window over the last two axes of `[b, c, h, w]`.
    pub fn max_pool(&mut self, x: Value, window: Window) -> Result<Value, Error> {
        self.push(Op::MaxPool { window }, &[x])
    }

    /// Normalises the last axis to a root mean square of 1, then scales.
    pub fn rms_norm(&mut self, x: Value, weight: Value, epsilon: f32) -> Result<Value, Error> {
        self.push(Op::RmsNorm { epsilon }, &[x, weight])
    }

    /// Normalises groups of channels of `x` `[b, c, ..]`, then scales and shifts each channel.
    pub fn group_norm(
        &mut self,
        x: Value,
        [weight, bias]: [Value; 2],
        groups: usize,
        epsilon: f32,
    ) -> Result<Value, Error> {
        self.push(Op::GroupNorm { groups, epsilon }, &[x, weight, bias])
    }

    /// Rotates the halves of every head of `x` `[b, s, heads·d]` by angles of `[1 or b, s, d/2]`.
    pub fn rotary(
        &mut self,
        x: Value,
        [cosines, sines]: [Value; 2],
        heads: usize,
    ) -> Result<Value, Error> {
        self.push(Op::Rotary { heads }, &[x, cosines, sines])
    }

    /// Normalises the last axis to mean 0 and variance 1, then scales and shifts.
    pub fn layer_norm(
        &mut self,
        x: Value,
        weight: Value,
        bias: Value,
        epsilon: f32,
    ) -> Result<Value, Error> {
        self.push(Op::LayerNorm { epsilon }, &[x, weight, bias])
    }

    /// Softmax over the last axis.
    pub fn softmax(&mut self, x: Value) -> Result<Value, Error> {
        self.push(Op::Softmax, &[x])
    }

    /// One function of every element.
    pub fn unary(&mut self, op: UnaryOp, x: Value) -> Result<Value, Error> {
        self.push(Op::Unary(op), &[x])
    }

    /// One function of every pair of elements; shapes are broadcast as NumPy does.
    pub fn binary(&mut self, op: BinaryOp, a: Value, b: Value) -> Result<Value, Error> {
        self.push(Op::Binary(op), &[a, b])
    }

    /// `a + b`, broadcast.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        self.binary(BinaryOp::Add, a, b)
    }

    /// Reduces one axis; `keep` leaves it with size 1.
    pub fn reduce(
        &mut self,
        op: Reduction,
        x: Value,
        axis: usize,
        keep: bool,
    ) -> Result<Value, Error> {
        self.push(Op::Reduce { op, axis, keep }, &[x])
    }

    /// The same elements under another shape.
    pub fn reshape(&mut self, x: Value, shape: &[usize]) -> Result<Value, Error> {
        self.push(Op::Reshape { shape: shape.to_vec() }, &[x])
    }

    /// Axes in another order: axis `i` of the result is axis `order[i]` of `x`.
    pub fn transpose(&mut self, x: Value, order: &[usize]) -> Result<Value, Error> {
        self.push(Op::Transpose { order: order.to_vec() }, &[x])
    }

    /// `start..end` of one axis.
    pub fn slice(
        &mut self,
        x: Value,
        axis: usize,
        start: usize,
        end: usize,
    ) -> Result<Value, Error> {
        self.push(Op::Slice { axis, start, end }, &[x])
    }

    /// Values of one kind joined along an axis.
    pub fn concat(&mut self, parts: &[Value], axis: usize) -> Result<Value, Error> {
        self.push(Op::Concat { axis }, parts)
    }

    /// Index values as floats.
    pub fn to_float(&mut self, x: Value) -> Result<Value, Error> {
        self.push(Op::ToFloat, &[x])
    }

    /// Names a value as an output. A name is given once.
    pub fn output(&mut self, name: &str, value: Value) -> Result<(), Error> {
        if self.graph.outputs.iter().any(|(other, _)| other == name) {
            return Err(Error::shape("output", format!("the name `{name}` is given twice")));
        }
        self.graph.outputs.push((name.to_owned(), value));
        Ok(())
    }

    /// The graph; without an output it is an error. Nodes that no output needs are dropped.
    pub fn finish(self) -> Result<Graph, Error> {
        if self.graph.outputs.is_empty() {
            return Err(Error::shape("graph", "it has no output"));
        }
        Ok(without_dead_nodes(self.graph))
    }
}

/// Refuses a value whose bytes no address space holds, so that the sizes of one can be multiplied from here on.
fn check_size(op: &'static str, shape: &[usize]) -> Result<(), Error> {
    let bytes = shape.iter().try_fold(size_of::<f32>(), |bytes, &size| bytes.checked_mul(size));
    if bytes.is_some_and(|bytes| isize::try_from(bytes).is_ok()) {
        return Ok(());
    }
    Err(Error::shape(op, format!("{shape:?} has more elements than an address space holds")))
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
    use crate::{Weights, evaluate};

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
        check(&["left"], &[x.clone()], &["x"], 2, &left);
        check(&["right"], &[y.clone()], &["y"], 3, &right);
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
