//! Steps over rows of the last axis: layer normalisation and softmax.

use super::kernel::{Context, Kernel, chunk, chunks};
use super::math;
use super::memory::Slot;
use pulp::{Simd, WithSimd};

/// What is done with each row.
#[derive(Clone, Copy)]
pub(super) enum RowOp {
    /// With the slots of scale and shift.
    LayerNorm {
        weight: Slot,
        bias: Slot,
        epsilon: f32,
    },
    Softmax,
}

/// One function of each row of `width` elements.
pub(super) struct Rows {
    pub(super) op: RowOp,
    pub(super) from: Slot,
    pub(super) to: Slot,
    pub(super) width: usize,
    /// Rows per task.
    pub(super) block: usize,
}

impl Kernel for Rows {
    fn tasks(&self) -> usize {
        chunks(self.from.len / self.width, self.block)
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let rows = chunk(self.from.len / self.width, self.block, task);
        let range = rows.start * self.width..rows.end * self.width;
        // SAFETY: operands are only read; every task has rows of its own.
        let (from, to) = unsafe {
            (&context.memory.floats(self.from)[range.clone()], context.memory.part(self.to, range))
        };
        let width = self.width;
        match self.op {
            RowOp::LayerNorm { weight, bias, epsilon } => {
                // SAFETY: as above.
                let (weight, bias) =
                    unsafe { (context.memory.floats(weight), context.memory.floats(bias)) };
                context.level.run(LayerNorm { from, to, width, weight, bias, epsilon });
            }
            RowOp::Softmax => {
                to.copy_from_slice(from);
                context.level.run(Softmax { rows: to, width });
            }
        }
    }
}

struct LayerNorm<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
    width: usize,
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
}

impl WithSimd for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.from.chunks_exact(self.width);
        for (row, out) in rows.zip(self.to.chunks_exact_mut(self.width)) {
            math::layer_norm(simd, row, self.weight, self.bias, self.epsilon, out);
        }
    }
}

struct Softmax<'a> {
    rows: &'a mut [f32],
    width: usize,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for row in self.rows.chunks_exact_mut(self.width) {
            let largest = math::max(simd, row);
            let sum = math::exponentials(simd, row, largest);
            math::scale(simd, row, 1.0 / sum);
        }
    }
}
