//! Builds a graph node by node; each method checks its operands. What a graph is stands in `graph`.

use super::{Binding, Graph, Node, Size, Value, without_dead_nodes};
use crate::ops::{Activation, BinaryOp, Op, Reduction, UnaryOp, Window};
use crate::{Error, Kind, Tensor, TensorType};
use std::sync::Arc;

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
