//! From a graph and its weights to the steps of a CPU program: every op becomes kernels over planned memory.

use super::attention::Attention;
use super::dense::{Pack, Product};
use super::elementwise::{Binary, Inner, Reduce, ToFloat, Unary};
use super::gemm::{self, Partition, Strides};
use super::kernel::{ELEMENTS, Kernel};
use super::level::Level;
use super::memory::{ALIGNMENT, Floats, Place, Slot};
use super::movement::{Blocks, Gather, Permute};
use super::rows::{RowOp, Rows};
use super::schedule::{Id, Item, Schedule, Work};
use crate::ops::{bias_operand, broadcast_offsets};
use crate::{Activation, BinaryOp, Error, Graph, Node, Op, Reduction, TensorType, Value, Weights};
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
pub(super) fn lower(graph: &Graph, weights: &Weights, level: Level) -> Result<Lowered, Error> {
    graph.weights().try_for_each(|(name, of)| weights.check(name, of))?;
    let schedule = Schedule::new(graph);
    let constants = Constants::new(graph, &schedule, level);
    let matrices = |node: usize| Matrices::of(graph, &graph.nodes()[node]);
    let (slots, len) = schedule.place(graph, |id| match id {
        Id::Value(index) => graph.nodes()[index].output.len(),
        Id::Packed(index) => {
            let product = schedule.product(index);
            matrices(product).packed_len(level)
        }
    });
    // Before the kernels, whose tables of offsets grow with the same sizes: what does not fit is refused here.
    let arena = Floats::zeroed(len, "the values of the graph")?;
    let lowering = Lowering { graph, schedule: &schedule, constants: &constants, slots, level };
    let kernels = schedule.items.iter().map(|item| lowering.kernel(item)).collect();
    let steps = lowering.facts();
    let inputs = graph.input_values().iter().map(|&v| lowering.slot(v)).collect();
    let outputs = graph.outputs().iter().map(|(_, v)| lowering.slot(*v)).collect();
    let constants = constants.fill(graph, weights, level)?;
    Ok(Lowered { kernels, steps, arena, constants, inputs, outputs })
}

/// The sizes of a product, and how its right operand lies in memory.
#[derive(Clone, Debug)]
struct Matrices {
    m: usize,
    n: usize,
    k: usize,
    pairs: Vec<(usize, usize)>,
    /// Right operands, one after the other.
    rights: usize,
    strides: Strides,
}

impl Matrices {
    fn of(graph: &Graph, node: &Node) -> Self {
        let types = graph.operand_types(node);
        let (a, b) = (&types[0].shape, &types[1].shape);
        let k = a[a.len() - 1];
        match node.op {
            Op::MatMul { transpose_right } => {
                let m = a[a.len() - 2];
                let n = node.output.shape[node.output.shape.len() - 1];
                let lead = &node.output.shape[..node.output.shape.len() - 2];
                let lefts = broadcast_offsets(&a[..a.len() - 2], lead);
                let rights = broadcast_offsets(&b[..b.len() - 2], lead);
                let strides = if transpose_right {
                    Strides { column: k, row: 1 }
                } else {
                    Strides { column: 1, row: n }
                };
                let count = b[..b.len() - 2].iter().product();
                let pairs = lefts.into_iter().zip(rights).collect();
                Self { m, n, k, pairs, rights: count, strides }
            }
            _ => {
                let strides = Strides { column: k, row: 1 };
                let (m, n) = (types[0].len() / k, b[0]);
                Self { m, n, k, pairs: vec![(0, 0)], rights: 1, strides }
            }
        }
    }

    fn packed_len(&self, level: Level) -> usize {
        self.rights * gemm::packed_len(level, self.k, self.n)
    }

    /// What tells the forms apart in which the weight of node `weight` is packed.
    fn key(&self, weight: usize) -> PackedKey {
        (weight, self.k, self.n, self.strides.row)
    }
}

/// The node of a weight, then the rows and the columns that it is taken to have, and the stride of its rows: the
/// same elements may be several matrices, by a reshape or because two ops read them differently.
type PackedKey = (usize, usize, usize, usize);

/// The weights and scalars of a graph, each in the form in which it is used.
struct Constants {
    plain: BTreeMap<usize, Slot>,
    packed: BTreeMap<PackedKey, (Slot, Matrices)>,
    len: usize,
}

impl Constants {
    fn new(graph: &Graph, schedule: &Schedule, level: Level) -> Self {
        let mut constants = Self { plain: BTreeMap::new(), packed: BTreeMap::new(), len: 0 };
        let is_constant =
            |index: usize| matches!(graph.nodes()[index].op, Op::Weight { .. } | Op::Scalar { .. });
        for node in graph.nodes().iter().filter(|node| !matches!(node.op, Op::Reshape { .. })) {
            for (position, operand) in node.operands.iter().enumerate() {
                let index = schedule.home[operand.index()];
                let product = matches!(node.op, Op::Linear { .. } | Op::MatMul { .. });
                match &graph.nodes()[index].op {
                    Op::Weight { .. } if product && position == 1 => {
                        constants.add_packed(index, Matrices::of(graph, node), level);
                    }
                    _ if is_constant(index) => constants.add_plain(index, graph),
                    _ => {}
                }
            }
        }
        for (_, value) in graph.outputs() {
            let index = schedule.home[value.index()];
            if is_constant(index) {
                constants.add_plain(index, graph);
            }
        }
        constants
    }

    fn reserve(&mut self, len: usize) -> Slot {
        let slot = Slot { place: Place::Constants, offset: self.len, len };
        self.len += len.next_multiple_of(ALIGNMENT);
        slot
    }

    fn add_plain(&mut self, index: usize, graph: &Graph) {
        if !self.plain.contains_key(&index) {
            let slot = self.reserve(graph.nodes()[index].output.len());
            self.plain.insert(index, slot);
        }
    }

    fn add_packed(&mut self, index: usize, matrices: Matrices, level: Level) {
        let key = matrices.key(index);
        if !self.packed.contains_key(&key) {
            let slot = self.reserve(matrices.packed_len(level));
            self.packed.insert(key, (slot, matrices));
        }
    }

    /// Reads every constant once and writes it in its forms.
    fn fill(&self, graph: &Graph, weights: &Weights, level: Level) -> Result<Floats, Error> {
        let mut floats = Floats::zeroed(self.len, "the weights")?;
        for (index, node) in graph.nodes().iter().enumerate() {
            let values = match &node.op {
                Op::Weight { name } => weights.tensor(name, &node.output)?.into_f32(),
                Op::Scalar { value } => vec![*value],
                _ => continue,
            };
            if let Some(slot) = self.plain.get(&index) {
                floats.as_mut_slice()[slot.offset..][..slot.len].copy_from_slice(&values);
            }
            let forms = self.packed.range((index, 0, 0, 0)..(index + 1, 0, 0, 0));
            for (slot, matrices) in forms.map(|(_, form)| form) {
                let (k, n) = (matrices.k, matrices.n);
                let size = gemm::packed_len(level, k, n);
                let to = floats.as_mut_slice()[slot.offset..][..slot.len].chunks_exact_mut(size);
                for (from, to) in values.chunks_exact(k * n).zip(to) {
                    gemm::pack(level, from, matrices.strides, k, n, to);
                }
            }
        }
        Ok(floats)
    }
}

/// What the kernels of the steps are made from.
struct Lowering<'a> {
    graph: &'a Graph,
    schedule: &'a Schedule,
    constants: &'a Constants,
    slots: BTreeMap<Id, Slot>,
    level: Level,
}

impl Lowering<'_> {
    fn slot(&self, value: Value) -> Slot {
        self.slot_of(self.schedule.home[value.index()])
    }

    fn slot_of(&self, home: usize) -> Slot {
        let constant = || self.constants.plain[&home];
        self.slots.get(&Id::Value(home)).copied().unwrap_or_else(constant)
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
            nodes: self.schedule.covers(item).into_iter().map(|node| values[node]).collect(),
            live_bytes,
        };
        self.schedule.items.iter().zip(live).map(facts).collect()
    }

    fn name(&self, item: &Item) -> String {
        let node = match item.work {
            Work::AddTo { linear, .. } => self.node(linear),
            Work::Pack | Work::Compute | Work::Join(_) => self.node(item.node),
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
                let product = self.schedule.product(item.node);
                Box::new(self.pack(item.node, self.node(product)))
            }
            Work::AddTo { linear, other } => {
                let residual = self.slot_of(self.schedule.home[other]);
                Box::new(self.product(item.node, self.node(linear), to, Some(residual)))
            }
            Work::Join(part) => Box::new(self.join(node, part, to)),
            Work::Compute => self.compute(item.node, node, to),
        }
    }

    fn compute(&self, index: usize, node: &Node, to: Slot) -> Box<dyn Kernel> {
        let operand = |i: usize| self.slot(node.operands[i]);
        let types = self.graph.operand_types(node);
        match &node.op {
            Op::Linear { .. } | Op::MatMul { .. } => Box::new(self.product(index, node, to, None)),
            Op::Attention { .. } => Box::new(self.attention(node, to)),
            Op::Gather => Box::new(Gather {
                table: operand(0),
                indices: operand(1),
                to,
                width: types[0].shape[1],
            }),
            Op::LayerNorm { epsilon } => {
                let op =
                    RowOp::LayerNorm { weight: operand(1), bias: operand(2), epsilon: *epsilon };
                Box::new(rows(op, operand(0), to, types[0]))
            }
            Op::Softmax => Box::new(rows(RowOp::Softmax, operand(0), to, types[0])),
            Op::Unary(op) => Box::new(Unary { op: *op, from: operand(0), to }),
            Op::Binary(op) => {
                Box::new(binary(*op, [operand(0), operand(1)], to, &types, &node.output))
            }
            Op::Reduce { op, axis, .. } => Box::new(reduce(*op, *axis, operand(0), to, types[0])),
            Op::Transpose { order } => Box::new(permute(order, operand(0), to, types[0])),
            Op::Slice { axis, start, .. } => {
                let inner: usize = types[0].shape[axis + 1..].iter().product();
                let len = node.output.shape[*axis] * inner;
                Box::new(Blocks {
                    from: operand(0),
                    to,
                    len,
                    count: to.len / len,
                    from_start: start * inner,
                    from_stride: types[0].shape[*axis] * inner,
                    to_start: 0,
                    to_stride: len,
                })
            }
            Op::ToFloat => Box::new(ToFloat { from: operand(0), to }),
            Op::Concat { .. } | Op::Reshape { .. } => unreachable!("scheduled otherwise"),
            Op::Input { .. } | Op::Weight { .. } | Op::Scalar { .. } => {
                unreachable!("leaves are not scheduled")
            }
        }
    }

    fn product(&self, index: usize, node: &Node, to: Slot, residual: Option<Slot>) -> Product {
        let matrices = Matrices::of(self.graph, node);
        let right = self.schedule.home[node.operands[1].index()];
        let constant = self.constants.packed.get(&matrices.key(right));
        let b = constant.map_or_else(|| self.slots[&Id::Packed(index)], |(slot, _)| *slot);
        let (bias, activation) = match node.op {
            Op::Linear { bias, activation } => {
                (bias.then(|| self.slot(node.operands[2])), activation)
            }
            _ => (None, Activation::Identity),
        };
        let Matrices { m, n, k, pairs, .. } = matrices;
        let partition = Partition::new(self.level, m, n, k);
        let a = self.slot(node.operands[0]);
        let level = self.level;
        Product { a, b, c: to, m, n, k, pairs, bias, residual, activation, partition, level }
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
