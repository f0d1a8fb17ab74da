//! Steps that multiply matrices: a dense layer over packed weights, a batched product, and the packing of a
//! right operand that is only known at run time.

use super::gemm::{self, Part, Partition, Start, Strides};
use super::kernel::{Context, Kernel};
use super::level::Level;
use super::memory::Slot;
use crate::Activation;

/// `activation(a · b + bias + residual)` for one or more pairs of matrices.
pub(super) struct Product {
    /// `m × k` each, one after the other.
    pub(super) a: Slot,
    /// Packed; all of them take the same room.
    pub(super) b: Slot,
    /// Whether it is in bf16.
    pub(super) halves: bool,
    /// `m × n` each, one after the other.
    pub(super) c: Slot,
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    /// For each pair the numbers of its left and of its right matrix.
    pub(super) pairs: Vec<(usize, usize)>,
    pub(super) bias: Option<Slot>,
    pub(super) residual: Option<Slot>,
    pub(super) activation: Activation,
    pub(super) partition: Partition,
    pub(super) level: Level,
}

impl Kernel for Product {
    fn tasks(&self) -> usize {
        self.pairs.len() * self.partition.tasks()
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let (m, n, k) = (self.m, self.n, self.k);
        let pair = task / self.partition.tasks();
        let (left, right) = self.pairs[pair];
        let panels = n.div_ceil(gemm::panel_width(self.level));
        let (rows, panels) = self.partition.task(task % self.partition.tasks(), m, panels);
        let packed = gemm::packed_len(self.level, k, n, self.halves);
        // SAFETY: operands are only read in this step; tasks differ in rows or in panels of `c`.
        unsafe {
            let floats = |slot| context.memory.floats(slot);
            let first = (pair * m + rows.start) * n;
            let part = Part {
                a: &floats(self.a)[(left * m + rows.start) * k..],
                stride_a: k,
                left_packed: false,
                rows: rows.len(),
                k,
                packed: &floats(self.b)[right * packed..][..packed],
                halves: self.halves,
                panels,
                n,
                c: context.memory.pointer(self.c).add(first),
                stride_c: n,
                start: self.bias.map_or(Start::Zero, |bias| Start::Columns(floats(bias))),
                residual: self.residual.map(|slot| &floats(slot)[first..]),
                activation: self.activation,
            };
            part.run(self.level);
        }
    }
}

/// Packs right operands for a [`Product`] of the next step.
pub(super) struct Pack {
    pub(super) from: Slot,
    pub(super) to: Slot,
    pub(super) matrices: usize,
    pub(super) k: usize,
    pub(super) n: usize,
    pub(super) strides: Strides,
    pub(super) level: Level,
}

impl Pack {
    fn panels(&self) -> usize {
        self.n.div_ceil(gemm::panel_width(self.level))
    }
}

impl Kernel for Pack {
    fn tasks(&self) -> usize {
        self.matrices * self.panels()
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let (matrix, panel) = (task / self.panels(), task % self.panels());
        let width = gemm::panel_width(self.level);
        let len = width * self.k;
        // SAFETY: the operand is only read; every task has a panel of its own.
        let (from, to) = unsafe {
            let from = context.memory.floats(self.from);
            (from, context.memory.part(self.to, task * len..(task + 1) * len))
        };
        let from = &from[matrix * self.k * self.n..][..self.k * self.n];
        gemm::pack_panel(from, self.strides, panel * width..self.n, width, to);
    }
}
