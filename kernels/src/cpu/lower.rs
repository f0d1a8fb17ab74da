//! From a graph and its weights to the steps of a CPU program: every op becomes kernels over planned memory.

use super::attention::Attention;
use super::bytes::{self, ByteProduct, Quantise};
use super::constants::Constants;
use super::conv::Conv;
use super::decode::{FewQueries, MOST_QUERIES};
use super::dense::{Pack, Product};
use super::elementwise::{Binary, Inner, Reduce, ToFloat, Unary};
use super::filters::{Filters, PackFilters};
use super::forms::{Form, Format, Matrices, is_packed_conv};
use super::gemm::Partition;
use super::kernel::{ELEMENTS, Kernel};
use super::level::Level;
use super::memory::{Floats, Slot};
use super::movement::{Blocks, Gather, Permute};
use super::pool::MaxPool;
use super::rows::{GroupNorm, Rotary, RowOp, Rows};
use super::schedule::{Id, Item, Schedule, Work};
use super::thin::ThinConv;
use super::windows::Geometry;
use crate::ops::{bias_operand, broadcast_offsets};
use crate::{
    Activation, BinaryOp, Error, Graph, Node, Op, Precision, Reduction, TensorType, Value, Weights,
};
use std::collections::BTreeMap;

/// Everything that a program needs to run.
pub(super) struct Lowered {
    pub(super) kernels: Vec<Box<dyn Kernel>>,
    /// What each step is called and covers.
    pub(super) steps: Vec<StepFacts>,
    pub(super) arena: Floats,
    pub(super) constants: Floats,
    pub(super) inputs: Vec<Slot>,
    pub(super) outputs: Vec<Slot>,
}

/// What is known of a step before it runs.
pub(super) struct StepFacts {
    /// The op, and the weight that it uses.
    pub(super) name: String,
    /// The nodes that it computes.
    pub(super) nodes: Vec<Value>,
    /// Bytes of the values that live meanwhile.
    pub(super) live_bytes: u64,
}

/// Lowers a graph for a level of instructions.
pub(super) fn lower(
    graph: &Graph,
    weights: &Weights,
    level: Level,
    precision: Precision,
) -> Result<Lowered, Error> {
    graph.weights().try_for_each(|(name, of)| weights.check(name, of))?;
    let schedule = Schedule::new(graph, precision);
    let constants = Constants::new(graph, &schedule, level, precision);
    let (slots, len) = schedule.place(graph, |id| match id {
        Id::Value(index) => graph.nodes()[index].output.len(),
        Id::Packed(index) => {
            let node = &graph.nodes()[schedule.product(index)];
            match node.op {
                Op::Conv { .. } => Filters::of(graph, node).packed_len(level),
                _ => {
                    let matrices = Matrices::of(graph, node);
                    if schedule.quantises(graph, node) {
                        bytes::quantised_len(matrices.m, matrices.k)
                    } else {
                        matrices.packed_len(level)
                    }
                }
            }
        }
    });
    // Before the kernels, whose tables of offsets grow with the same sizes: what does not fit is refused here.
    let arena = Floats::zeroed(len, "the values of the graph")?;
    let lowering =
        Lowering { graph, schedule: &schedule, constants: &constants, slots, level, precision };
    let kernels = schedule.items.iter().map(|item| lowering.kernel(item)).collect();
    let steps = lowering.facts();
    let inputs = graph.input_values().iter().map(|&v| lowering.slot(v)).collect();
    let outputs = graph.outputs().iter().map(|(_, v)| lowering.slot(*v)).collect();
    let constants = constants.fill(graph, weights)?;
    Ok(Lowered { kernels, steps, arena, constants, inputs, outputs })
}

/// What a step does with its product: `activation(product + other)`.
#[derive(Clone, Copy)]
pub(super) struct After {
    pub(super) other: Option<Slot>,
    pub(super) activation: Activation,
}

impl Default for After {
    fn default() -> Self {
        Self { other: None, activation: Activation::Identity }
    }
}

/// What the kernels of the steps are made from.
struct Lowering<'a> {
    graph: &'a Graph,
    schedule: &'a Schedule,
    constants: &'a Constants,
    slots: BTreeMap<Id, Slot>,
    level: Level,
    precision: Precision,
}

impl Lowering<'_> {
    fn slot(&self, value: Value) -> Slot {
        self.slot_of(self.schedule.home[value.index()])
    }

    fn slot_of(&self, home: usize) -> Slot {
        let constant = || self.constants.find(home, Form::Plain);
        let slot = self.slots.get(&Id::Value(home)).copied().or_else(constant);
        slot.expect("a value is computed, or a constant that is kept as it is")
    }

    /// Where an operand lies in the form in which its op takes it, if it is a constant.
    fn constant(&self, node: &Node, position: usize) -> Option<(Form, Slot)> {
        let form = Form::of(self.graph, node, position, self.precision);
        let home = self.schedule.home[node.operands[position].index()];
        Some((form, self.constants.find(home, form)?))
    }

    fn node(&self, index: usize) -> &Node {
        &self.graph.nodes()[index]
    }

    fn facts(&self) -> Vec<StepFacts> {
        let bytes = |id: Id| (self.slots[&id].len * size_of::<f32>()) as u64;
        let live = self.schedule.live(self.graph, bytes);
        let values: Vec<_> = self.graph.values().map(|(value, _)| value).collect();
        let facts = |(item, live_bytes): (&Item, u64)| StepFacts {
            name: self.name(item),
            nodes: self
                .schedule
                .covers(self.graph, item)
                .into_iter()
                .map(|node| values[node])
                .collect(),
            live_bytes,
        };
        self.schedule.items.iter().zip(live).map(facts).collect()
    }

    fn name(&self, item: &Item) -> String {
        let node = match item.work {
            Work::Fused(fusion) => self.node(fusion.product),
            Work::Pack | Work::Quantise | Work::Compute | Work::Join(_) => self.node(item.node),
        };
        let weight = node.operands.iter().find_map(|&v| match &self.graph.node(v).op {
            Op::Weight { name } => Some(name),
            _ => None,
        });
        match weight {
            Some(weight) => format!("{} {weight}", node.op.name()),
            None => node.op.name().to_owned(),
        }
    }

    fn kernel(&self, item: &Item) -> Box<dyn Kernel> {
        let node = self.node(item.node);
        let to = self.slots[&Id::Value(item.node)];
        match item.work {
            Work::Pack => {
                let product = self.node(self.schedule.product(item.node));
                match product.op {
                    Op::Conv { .. } => Box::new(self.pack_filters(item.node, product)),
                    _ => Box::new(self.pack(item.node, product)),
                }
            }
            Work::Quantise => {
                let product = self.node(self.schedule.product(item.node));
                let (from, k) =
                    (self.slot(product.operands[0]), Matrices::of(self.graph, product).k);
                let to = self.slots[&Id::Packed(item.node)];
                Box::new(Quantise { from, to, k, block: ELEMENTS / k })
            }
            Work::Fused(fusion) => {
                let product = self.node(fusion.product);
                let other = fusion.other.map(|other| self.slot_of(self.schedule.home[other]));
                let after = After { other, activation: fusion.activation };
                self.multiply(item.node, product, to, after)
            }
            Work::Join(part) => Box::new(self.join(node, part, to)),
            Work::Compute => self.compute(item.node, node, to),
        }
    }

    fn compute(&self, index: usize, node: &Node, to: Slot) -> Box<dyn Kernel> {
        let operand = |i: usize| self.slot(node.operands[i]);
        let types = self.graph.operand_types(node);
        match &node.op {
            Op::Linear { activation, .. } | Op::Conv { activation, .. } => {
                self.multiply(index, node, to, After { other: None, activation: *activation })
            }
            Op::MatMul { .. } => self.multiply(index, node, to, After::default()),
            Op::Attention { .. } => match self.attention(node, to) {
                few if few.queries <= MOST_QUERIES => Box::new(FewQueries(few)),
                attention => Box::new(attention),
            },
            Op::Gather => Box::new(self.gather(node, to)),
            Op::LayerNorm { epsilon } => {
                let op =
                    RowOp::LayerNorm { weight: operand(1), bias: operand(2), epsilon: *epsilon };
                Box::new(rows(op, operand(0), to, types[0]))
            }
            Op::RmsNorm { epsilon } => {
                let op = RowOp::RmsNorm { weight: operand(1), epsilon: *epsilon };
                Box::new(rows(op, operand(0), to, types[0]))
            }
            Op::GroupNorm { groups, epsilon } => Box::new(GroupNorm {
                from: operand(0),
                weight: operand(1),
                bias: operand(2),
                to,
                groups: *groups,
                channels: types[0].shape[1],
                inner: types[0].shape[2..].iter().product(),
                epsilon: *epsilon,
            }),
            Op::Rotary { heads } => Box::new(Rotary {
                from: operand(0),
                angles: [operand(1), operand(2)],
                to,
                heads: *heads,
                width: types[0].shape[2],
                block: ELEMENTS / types[0].shape[2],
            }),
            Op::MaxPool { .. } => {
                Box::new(MaxPool { from: operand(0), to, geometry: self.geometry(node) })
            }
            Op::Softmax => Box::new(rows(RowOp::Softmax, operand(0), to, types[0])),
            Op::Unary(op) => Box::new(Unary { op: *op, from: operand(0), to }),
            Op::Binary(op) => {
                Box::new(binary(*op, [operand(0), operand(1)], to, &types, &node.output))
            }
            Op::Reduce { op, axis, .. } => Box::new(reduce(*op, *axis, operand(0), to, types[0])),
            Op::Transpose { order } => Box::new(permute(order, operand(0), to, types[0])),
            Op::Slice { .. } => Box::new(self.part(node, to)),
            Op::ToFloat => Box::new(ToFloat { from: operand(0), to }),
            Op::Concat { .. } | Op::Reshape { .. } => unreachable!("scheduled otherwise"),
            Op::Input { .. } | Op::Weight { .. } | Op::Scalar { .. } | Op::Constant { .. } => {
                unreachable!("leaves are not scheduled")
            }
        }
    }

    fn multiply(&self, index: usize, node: &Node, to: Slot, after: After) -> Box<dyn Kernel> {
        match node.op {
            Op::Conv { .. } if is_packed_conv(self.graph, node) => {
                Box::new(self.conv(index, node, to, after))
            }
            Op::Conv { .. } => Box::new(self.thin_conv(node, to, after)),
            _ if self.schedule.quantises(self.graph, node) => {
                Box::new(self.byte_product(index, node, to, after))
            }
            _ => Box::new(self.product(index, node, to, after)),
        }
    }

    fn product(&self, index: usize, node: &Node, to: Slot, after: After) -> Product {
        let matrices = Matrices::of(self.graph, node);
        let constant = self.constant(node, 1);
        let halves = constant.is_some_and(|(form, _)| form.format() == Some(Format::Bf16));
        let b = constant.map_or_else(|| self.slots[&Id::Packed(index)], |(_, slot)| slot);
        let bias = node.operands.get(2).map(|&bias| self.slot(bias));
        let After { other: residual, activation } = after;
        let Matrices { m, n, k, pairs, .. } = matrices;
        let partition = Partition::new(self.level, m, n, k);
        let a = self.slot(node.operands[0]);
        let level = self.level;
        Product {
            a,
            b,
            halves,
            c: to,
            m,
            n,
            k,
            pairs,
            bias,
            residual,
            activation,
            partition,
            level,
        }
    }

    fn geometry(&self, node: &Node) -> Geometry {
        let (Op::Conv { window, .. } | Op::MaxPool { window }) = node.op else {
            unreachable!("asked for windows only")
        };
        Geometry::new(window, &self.graph.operand_types(node)[0].shape, &node.output.shape)
    }

    fn conv(&self, index: usize, node: &Node, to: Slot, after: After) -> Conv {
        let constant = self.constant(node, 1);
        let format = constant.and_then(|(form, _)| form.format()).unwrap_or(Format::F32);
        let packed = constant.map_or_else(|| self.slots[&Id::Packed(index)], |(_, slot)| slot);
        let bias = node.operands.get(2).map(|&bias| self.slot(bias));
        let slots = [self.slot(node.operands[0]), packed, to];
        let filters = (Filters::of(self.graph, node), format);
        Conv::new(slots, bias, self.geometry(node), filters, after, self.level)
    }

    fn byte_product(&self, index: usize, node: &Node, to: Slot, after: After) -> ByteProduct {
        let Matrices { m, n, k, .. } = Matrices::of(self.graph, node);
        let (_, b) = self.constant(node, 1).expect("only constants are kept as integers");
        let bias = node.operands.get(2).map(|&bias| self.slot(bias));
        ByteProduct { a: self.slots[&Id::Packed(index)], b, c: to, m, n, k, bias, after }
    }

    fn gather(&self, node: &Node, to: Slot) -> Gather {
        let shape = &self.graph.operand_types(node)[0].shape;
        let constant = self.constant(node, 0);
        Gather {
            table: constant.map_or_else(|| self.slot(node.operands[0]), |(_, slot)| slot),
            rows: shape[0],
            format: constant.and_then(|(form, _)| form.format()).unwrap_or(Format::F32),
            indices: self.slot(node.operands[1]),
            to,
            width: shape[1],
        }
    }

    fn thin_conv(&self, node: &Node, to: Slot, after: After) -> ThinConv {
        ThinConv {
            image: self.slot(node.operands[0]),
            filters: self.slot(node.operands[1]),
            bias: node.operands.get(2).map(|&bias| self.slot(bias)),
            to,
            after,
            geometry: self.geometry(node),
            groups: Filters::of(self.graph, node).groups,
        }
    }

    fn pack_filters(&self, index: usize, node: &Node) -> PackFilters {
        let (from, to) = (self.slot(node.operands[1]), self.slots[&Id::Packed(index)]);
        PackFilters { filters: Filters::of(self.graph, node), from, to }
    }

    fn pack(&self, index: usize, node: &Node) -> Pack {
        let Matrices { n, k, rights, strides, .. } = Matrices::of(self.graph, node);
        let (from, to) = (self.slot(node.operands[1]), self.slots[&Id::Packed(index)]);
        Pack { from, to, matrices: rights, k, n, strides, level: self.level }
    }

    fn attention(&self, node: &Node, out: Slot) -> Attention {
        let Op::Attention { heads, kv_heads, scale, causal, mask, bias } = node.op else {
            unreachable!("asked for attention only")
        };
        let types = self.graph.operand_types(node);
        let operand = |i: usize| self.slot(node.operands[i]);
        let bias_at = bias_operand(mask);
        Attention {
            query: operand(0),
            key: operand(1),
            value: operand(2),
            out,
            mask: mask.then(|| operand(3)),
            bias: bias.then(|| {
                let shape = &types[bias_at].shape;
                (operand(bias_at), [shape[0], shape[1]])
            }),
            batch: types[0].shape[0],
            queries: types[0].shape[1],
            keys: types[1].shape[1],
            heads,
            group: heads / kv_heads,
            width: types[0].shape[2] / heads,
            scale,
            causal,
            level: self.level,
        }
    }

    fn part(&self, node: &Node, to: Slot) -> Blocks {
        let Op::Slice { axis, start, .. } = node.op else { unreachable!("asked for slices only") };
        let shape = &self.graph.operand_types(node)[0].shape;
        let inner: usize = shape[axis + 1..].iter().product();
        let len = node.output.shape[axis] * inner;
        Blocks {
            from: self.slot(node.operands[0]),
            to,
            len,
            count: to.len / len,
            from_start: start * inner,
            from_stride: shape[axis] * inner,
            to_start: 0,
            to_stride: len,
        }
    }

    fn join(&self, node: &Node, part: usize, to: Slot) -> Blocks {
        let Op::Concat { axis } = node.op else { unreachable!("asked for joins only") };
        let types = self.graph.operand_types(node);
        let inner: usize = node.output.shape[axis + 1..].iter().product();
        let before: usize = types[..part].iter().map(|of| of.shape[axis]).sum();
        let len = types[part].shape[axis] * inner;
        Blocks {
            from: self.slot(node.operands[part]),
            to,
            len,
            count: types[part].len() / len,
            from_start: 0,
            from_stride: len,
            to_start: before * inner,
            to_stride: node.output.shape[axis] * inner,
        }
    }
}

fn rows(op: RowOp, from: Slot, to: Slot, of: &TensorType) -> Rows {
    let width = of.shape[of.shape.len() - 1];
    Rows { op, from, to, width, block: ELEMENTS / width }
}

fn reduce(op: Reduction, axis: usize, from: Slot, to: Slot, of: &TensorType) -> Reduce {
    let size = of.shape[axis];
    let inner = of.shape[axis + 1..].iter().product();
    Reduce { op, from, to, size, inner, block: ELEMENTS / (size * inner) }
}

fn permute(order: &[usize], from: Slot, to: Slot, of: &TensorType) -> Permute {
    let stride = |axis: usize| of.shape[axis + 1..].iter().product::<usize>();
    let (outer, last) = match order.split_last() {
        Some((&last, outer)) => (outer, Some(last)),
        None => (order, None),
    };
    let mut starts = vec![0];
    for &axis in outer {
        let step = |base: &usize| {
            let base = *base;
            (0..of.shape[axis]).map(move |i| base + i * stride(axis))
        };
        starts = starts.iter().flat_map(step).collect();
    }
    let width = last.map_or(1, |axis| of.shape[axis]);
    Permute { from, to, width, stride: last.map_or(1, stride), starts }
}

/// Finds the longest run of innermost axes along which each operand is either read on or stands still.
fn binary(
    op: BinaryOp,
    operands: [Slot; 2],
    to: Slot,
    types: &[&TensorType],
    output: &TensorType,
) -> Binary {
    let rank = output.shape.len();
    let padded = |of: &TensorType| {
        let mut shape = vec![1; rank - of.shape.len()];
        shape.extend(&of.shape);
        shape
    };
    let shapes = [padded(types[0]), padded(types[1])];
    let mode = |operand: usize, axis: usize| match (shapes[operand][axis], output.shape[axis]) {
        (_, 1) => None,
        (1, _) => Some(Inner::Single),
        _ => Some(Inner::Row),
    };
    let mut inner = [None, None];
    let mut split = rank;
    while split > 0 {
        let modes = [mode(0, split - 1), mode(1, split - 1)];
        let agrees = |i: usize| modes[i].is_none() || inner[i].is_none() || inner[i] == modes[i];
        if !(agrees(0) && agrees(1)) {
            break;
        }
        inner = [inner[0].or(modes[0]), inner[1].or(modes[1])];
        split -= 1;
    }
    let width: usize = output.shape[split..].iter().product();
    let inner = inner.map(|mode| mode.unwrap_or(Inner::Row));
    let starts = [0, 1].map(|i| {
        let run = if inner[i] == Inner::Row { width } else { 1 };
        let rows = broadcast_offsets(&shapes[i][..split], &output.shape[..split]);
        rows.into_iter().map(|row| row * run).collect()
    });
    Binary {
        op,
        left: operands[0],
        right: operands[1],
        to,
        width,
        inner,
        starts,
        block: ELEMENTS / width,
    }
}
