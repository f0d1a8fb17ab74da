//! The filters of a convolution as the left operand of a product: for each group tiles of filters, of which each
//! element of the depth (i, j, channel) has all; the last tile of a group is filled up with zeros.

use super::gemm;
use super::kernel::{Context, Kernel};
use super::level::Level;
use super::memory::Slot;
use crate::{Graph, Node, Op};

/// The sizes of filters `[groups · count, channels, taps]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Filters {
    pub(super) groups: usize,
    /// Filters of a group.
    pub(super) count: usize,
    /// Channels that each of them sees.
    pub(super) channels: usize,
    /// Elements of a window.
    pub(super) taps: usize,
}

impl Filters {
    /// Those of a convolution.
    pub(super) fn of(graph: &Graph, node: &Node) -> Self {
        let Op::Conv { groups, .. } = node.op else { unreachable!("asked for filters only") };
        let shape = &graph.operand_types(node)[1].shape;
        let taps = shape[2] * shape[3];
        Self { groups, count: shape[0] / groups, channels: shape[1], taps }
    }

    /// The depth of the product.
    pub(super) fn depth(&self) -> usize {
        self.channels * self.taps
    }

    /// Floats that one packed group takes.
    pub(super) fn group_len(&self, level: Level) -> usize {
        self.count.next_multiple_of(gemm::tile_rows(level)) * self.depth()
    }

    /// Floats that all of them take.
    pub(super) fn packed_len(&self, level: Level) -> usize {
        self.groups * self.group_len(level)
    }

    /// Packs one group.
    pub(super) fn pack_group(&self, level: Level, from: &[f32], to: &mut [f32]) {
        let (tile, depth) = (gemm::tile_rows(level), self.depth());
        for (filters, to) in from.chunks(tile * depth).zip(to.chunks_exact_mut(tile * depth)) {
            for (p, to) in to.chunks_exact_mut(tile).enumerate() {
                let (tap, channel) = (p / self.channels, p % self.channels);
                to.fill(0.0);
                for (to, filter) in to.iter_mut().zip(filters.chunks_exact(depth)) {
                    *to = filter[channel * self.taps + tap];
                }
            }
        }
    }

    /// Packs all of them.
    pub(super) fn pack(&self, level: Level, from: &[f32], to: &mut [f32]) {
        let from = from.chunks_exact(self.count * self.depth());
        let to = to.chunks_exact_mut(self.group_len(level));
        from.zip(to).for_each(|(from, to)| self.pack_group(level, from, to));
    }
}

/// Packs filters that are only known at run time; a task has one group.
pub(super) struct PackFilters {
    pub(super) filters: Filters,
    pub(super) from: Slot,
    pub(super) to: Slot,
}

impl Kernel for PackFilters {
    fn tasks(&self) -> usize {
        self.filters.groups
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let len = self.filters.group_len(context.level);
        let own = self.filters.count * self.filters.depth();
        // SAFETY: the operand is only read; every task has a group of its own.
        let (from, to) = unsafe {
            let from = &context.memory.floats(self.from)[task * own..][..own];
            (from, context.memory.part(self.to, task * len..(task + 1) * len))
        };
        self.filters.pack_group(context.level, from, to);
    }
}
