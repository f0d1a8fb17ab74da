//! Steps over rows: normalisations of the last axis and of groups of channels, softmax, and rotary positions.

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
    /// With the slot of the scale.
    RmsNorm {
        weight: Slot,
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
            RowOp::RmsNorm { weight, epsilon } => {
                // SAFETY: as above.
                let weight = unsafe { context.memory.floats(weight) };
                context.level.run(RmsNorm { from, to, weight, epsilon });
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

struct RmsNorm<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
    weight: &'a [f32],
    epsilon: f32,
}

impl WithSimd for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.weight.len();
        for (row, out) in self.from.chunks_exact(width).zip(self.to.chunks_exact_mut(width)) {
            math::rms_norm(simd, row, self.weight, self.epsilon, out);
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

/// Normalisation of groups of the channels of `[b, c, ..]`: a task has one group of one example.
pub(super) struct GroupNorm {
    pub(super) from: Slot,
    pub(super) weight: Slot,
    pub(super) bias: Slot,
    pub(super) to: Slot,
    pub(super) groups: usize,
    pub(super) channels: usize,
    /// Elements of one channel.
    pub(super) inner: usize,
    pub(super) epsilon: f32,
}

impl Kernel for GroupNorm {
    fn tasks(&self) -> usize {
        self.from.len / (self.channels / self.groups * self.inner)
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let channels = self.channels / self.groups;
        let range = task * channels * self.inner..(task + 1) * channels * self.inner;
        let own = task % self.groups * channels..(task % self.groups + 1) * channels;
        // SAFETY: operands are only read; every task has a group of its own.
        unsafe {
            let floats = |slot| context.memory.floats(slot);
            context.level.run(Group {
                from: &floats(self.from)[range.clone()],
                to: context.memory.part(self.to, range),
                weight: &floats(self.weight)[own.clone()],
                bias: &floats(self.bias)[own],
                epsilon: self.epsilon,
            });
        }
    }
}

struct Group<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
    /// Scale and shift of each channel.
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
}

impl WithSimd for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let scale = math::centre(simd, self.from, self.epsilon, self.to);
        let channels = self.to.chunks_exact_mut(self.from.len() / self.weight.len());
        for (out, (weight, bias)) in channels.zip(self.weight.iter().zip(self.bias)) {
            math::scale_and_shift(simd, out, scale * weight, *bias);
        }
    }
}

/// Rotates the halves of every head of `[b, s, heads·d]`.
pub(super) struct Rotary {
    pub(super) from: Slot,
    /// Cosines and sines `[1 or b, s, d/2]`.
    pub(super) angles: [Slot; 2],
    pub(super) to: Slot,
    pub(super) heads: usize,
    /// Elements of a row, all heads of one position.
    pub(super) width: usize,
    /// Rows per task.
    pub(super) block: usize,
}

impl Kernel for Rotary {
    fn tasks(&self) -> usize {
        chunks(self.from.len / self.width, self.block)
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let rows = chunk(self.from.len / self.width, self.block, task);
        let range = rows.start * self.width..rows.end * self.width;
        // SAFETY: operands are only read; every task has rows of its own.
        unsafe {
            context.level.run(Rotations {
                op: self,
                first: rows.start,
                from: &context.memory.floats(self.from)[range.clone()],
                angles: self.angles.map(|slot| context.memory.floats(slot)),
                to: context.memory.part(self.to, range),
            });
        }
    }
}

struct Rotations<'a> {
    op: &'a Rotary,
    /// The number of the first row.
    first: usize,
    from: &'a [f32],
    angles: [&'a [f32]; 2],
    to: &'a mut [f32],
}

impl WithSimd for Rotations<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let half = self.op.width / self.op.heads / 2;
        let heads = self.from.chunks_exact(2 * half).zip(self.to.chunks_exact_mut(2 * half));
        for (index, (from, to)) in heads.enumerate() {
            // Angles that all examples share begin again with each.
            let row = (self.first + index / self.op.heads) * half % self.angles[0].len();
            let angles = self.angles.map(|of| &of[row..row + half]);
            math::rotate(simd, from, angles, to);
        }
    }
}
