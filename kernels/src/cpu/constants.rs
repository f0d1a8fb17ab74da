//! The weights and constants of a CPU program: which forms its steps need of each, where these lie, and their
//! making. What the steps do with them is made in `lower`.

use super::filters::Filters;
use super::gemm::{self, Strides};
use super::level::Level;
use super::memory::{ALIGNMENT, Floats, Place, Slot};
use super::schedule::Schedule;
use super::thin;
use crate::ops::broadcast_offsets;
use crate::{Error, Graph, Node, Op, Tensor, Weights};
use std::collections::BTreeMap;

/// The sizes of a product, and how its right operand lies in memory.
#[derive(Clone, Debug)]
pub(super) struct Matrices {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) pairs: Vec<(usize, usize)>,
    /// Right operands, one after the other.
    pub(super) rights: usize,
    pub(super) strides: Strides,
}

impl Matrices {
    pub(super) fn of(graph: &Graph, node: &Node) -> Self {
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

    pub(super) fn packed_len(&self, level: Level) -> usize {
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

/// What is given and the same in every run, each in the forms in which it is used.
pub(super) struct Constants {
    plain: BTreeMap<usize, Slot>,
    packed: BTreeMap<PackedKey, (Slot, Matrices)>,
    filters: BTreeMap<(usize, Filters), Slot>,
    len: usize,
}

impl Constants {
    pub(super) fn new(graph: &Graph, schedule: &Schedule, level: Level) -> Self {
        let mut constants = Self {
            plain: BTreeMap::new(),
            packed: BTreeMap::new(),
            filters: BTreeMap::new(),
            len: 0,
        };
        let is_constant = |index: usize| graph.nodes()[index].op.is_fixed();
        for node in graph.nodes().iter().filter(|node| !matches!(node.op, Op::Reshape { .. })) {
            for (position, operand) in node.operands.iter().enumerate() {
                let index = schedule.home[operand.index()];
                let product = matches!(node.op, Op::Linear { .. } | Op::MatMul { .. });
                if !is_constant(index) {
                    continue;
                }
                if product && position == 1 {
                    constants.add_packed(index, Matrices::of(graph, node), level);
                } else if position == 1 && is_packed_conv(graph, node) {
                    constants.add_filters(index, Filters::of(graph, node), level);
                } else {
                    constants.add_plain(index, graph);
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

    /// Where a constant lies as it is.
    pub(super) fn plain(&self, index: usize) -> Slot {
        self.plain[&index]
    }

    /// Where a constant lies packed as the right operand of these products, if it is a constant.
    pub(super) fn packed(&self, index: usize, matrices: &Matrices) -> Option<Slot> {
        self.packed.get(&matrices.key(index)).map(|(slot, _)| *slot)
    }

    /// Where a constant lies packed as these filters, if it is a constant.
    pub(super) fn filters(&self, index: usize, filters: Filters) -> Option<Slot> {
        self.filters.get(&(index, filters)).copied()
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

    fn add_filters(&mut self, index: usize, filters: Filters, level: Level) {
        if !self.filters.contains_key(&(index, filters)) {
            let slot = self.reserve(filters.packed_len(level));
            self.filters.insert((index, filters), slot);
        }
    }

    /// Reads every constant once and writes it in its forms.
    pub(super) fn fill(
        &self,
        graph: &Graph,
        weights: &Weights,
        level: Level,
    ) -> Result<Floats, Error> {
        let mut floats = Floats::zeroed(self.len, "the weights")?;
        for (index, node) in graph.nodes().iter().enumerate() {
            let values = match &node.op {
                Op::Weight { name } => elements(weights.tensor(name, &node.output)?),
                Op::Scalar { value } => vec![*value],
                Op::Constant { tensor } => elements(Tensor::clone(tensor)),
                _ => continue,
            };
            if let Some(slot) = self.plain.get(&index) {
                floats.as_mut_slice()[slot.offset..][..slot.len].copy_from_slice(&values);
            }
            let filters = self.filters.iter().filter(|((of, _), _)| *of == index);
            for ((_, filters), slot) in filters {
                let to = &mut floats.as_mut_slice()[slot.offset..][..slot.len];
                filters.pack(level, &values, to);
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

/// Whether a node is a convolution that is computed as a product.
pub(super) fn is_packed_conv(graph: &Graph, node: &Node) -> bool {
    matches!(node.op, Op::Conv { .. }) && Filters::of(graph, node).count > thin::MOST_FILTERS
}

/// The elements as a program keeps them: indices keep their bits.
fn elements(tensor: Tensor) -> Vec<f32> {
    match tensor.indices() {
        Some(indices) => indices.iter().map(|&i| f32::from_bits(i.cast_unsigned())).collect(),
        None => tensor.into_f32(),
    }
}
