//! Steps over single elements: functions of one, functions of broadcast pairs, indices as floats, reductions
//! of an axis.

use super::kernel::{Context, ELEMENTS, Kernel, chunk, chunks};
use super::math;
use super::memory::Slot;
use crate::{BinaryOp, Reduction, UnaryOp};
use pulp::{Simd, WithSimd};

/// A function of each element.
pub(super) struct Unary {
    pub(super) op: UnaryOp,
    pub(super) from: Slot,
    pub(super) to: Slot,
}

impl Kernel for Unary {
    fn tasks(&self) -> usize {
        chunks(self.to.len, ELEMENTS)
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let range = chunk(self.to.len, ELEMENTS, task);
        // SAFETY: the operand is only read; every task has elements of its own.
        let (from, to) = unsafe {
            (&context.memory.floats(self.from)[range.clone()], context.memory.part(self.to, range))
        };
        to.copy_from_slice(from);
        context.level.run(UnaryRow { op: self.op, row: to });
    }
}

struct UnaryRow<'a> {
    op: UnaryOp,
    row: &'a mut [f32],
}

impl WithSimd for UnaryRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        math::unary(simd, self.op, self.row);
    }
}

/// Indices as floats.
pub(super) struct ToFloat {
    pub(super) from: Slot,
    pub(super) to: Slot,
}

impl Kernel for ToFloat {
    fn tasks(&self) -> usize {
        1
    }

    unsafe fn run(&self, context: &Context<'_>, _: usize, _: &mut [f32]) {
        // SAFETY: the operand is only read; there is one task.
        let (from, to) = unsafe {
            (context.memory.indices(self.from), context.memory.part(self.to, 0..self.to.len))
        };
        #[expect(clippy::cast_precision_loss, reason = "rounding to f32 is what the op does")]
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = from as f32);
    }
}

/// How one operand of a broadcast pair is read along the innermost run of axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    /// Element by element.
    Row,
    /// One element for the whole run.
    Single,
}

/// A function of each broadcast pair: rows of `width` elements, each from given places of both operands.
pub(super) struct Binary {
    pub(super) op: BinaryOp,
    pub(super) left: Slot,
    pub(super) right: Slot,
    pub(super) to: Slot,
    pub(super) width: usize,
    pub(super) inner: [Inner; 2],
    /// For every row of the result where its row of each operand begins.
    pub(super) starts: [Vec<usize>; 2],
    pub(super) block: usize,
}

impl Kernel for Binary {
    fn tasks(&self) -> usize {
        chunks(self.starts[0].len(), self.block)
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let rows = chunk(self.starts[0].len(), self.block, task);
        let range = rows.start * self.width..rows.end * self.width;
        // SAFETY: operands are only read; every task has rows of its own.
        unsafe {
            context.level.run(BinaryRows {
                op: self.op,
                operands: [context.memory.floats(self.left), context.memory.floats(self.right)],
                inner: self.inner,
                starts: [&self.starts[0][rows.clone()], &self.starts[1][rows]],
                width: self.width,
                out: context.memory.part(self.to, range),
            });
        }
    }
}

struct BinaryRows<'a> {
    op: BinaryOp,
    operands: [&'a [f32]; 2],
    inner: [Inner; 2],
    starts: [&'a [usize]; 2],
    width: usize,
    out: &'a mut [f32],
}

impl WithSimd for BinaryRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // A single right element is widened to pieces of rows; a left one fills the row itself.
        let mut widened = [0.0; 64];
        for (i, out) in self.out.chunks_exact_mut(self.width).enumerate() {
            let [left, right] = [0, 1].map(|o| &self.operands[o][self.starts[o][i]..]);
            match self.inner[0] {
                Inner::Row => out.copy_from_slice(&left[..self.width]),
                Inner::Single => out.fill(left[0]),
            }
            match self.inner[1] {
                Inner::Row => math::binary(simd, self.op, out, &right[..self.width]),
                Inner::Single => {
                    widened.fill(right[0]);
                    for piece in out.chunks_mut(widened.len()) {
                        let len = piece.len();
                        math::binary(simd, self.op, piece, &widened[..len]);
                    }
                }
            }
        }
    }
}

/// Reduction of the middle one of three axes: `[outer, size, inner]` to `[outer, inner]`.
pub(super) struct Reduce {
    pub(super) op: Reduction,
    pub(super) from: Slot,
    pub(super) to: Slot,
    pub(super) size: usize,
    pub(super) inner: usize,
    /// Outer lines per task.
    pub(super) block: usize,
}

impl Kernel for Reduce {
    fn tasks(&self) -> usize {
        chunks(self.to.len / self.inner, self.block)
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let outer = chunk(self.to.len / self.inner, self.block, task);
        // SAFETY: the operand is only read; every task has lines of its own.
        let (from, to) = unsafe {
            let range = outer.start * self.inner..outer.end * self.inner;
            (context.memory.floats(self.from), context.memory.part(self.to, range))
        };
        let line = self.size * self.inner;
        let from = &from[outer.start * line..outer.end * line];
        context.level.run(ReduceLines { op: self, from, to });
    }
}

struct ReduceLines<'a> {
    op: &'a Reduce,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for ReduceLines<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (size, inner) = (self.op.size, self.op.inner);
        for (line, out) in self.from.chunks_exact(size * inner).zip(self.to.chunks_exact_mut(inner))
        {
            if inner == 1 {
                out[0] = match self.op.op {
                    Reduction::Sum | Reduction::Mean => math::sum(simd, line),
                    Reduction::Max => math::max(simd, line),
                };
            } else {
                out.copy_from_slice(&line[..inner]);
                for row in line[inner..].chunks_exact(inner) {
                    match self.op.op {
                        Reduction::Sum | Reduction::Mean => math::add_assign(simd, out, row),
                        Reduction::Max => math::binary(simd, BinaryOp::Max, out, row),
                    }
                }
            }
            if self.op.op == Reduction::Mean {
                #[expect(clippy::cast_precision_loss, reason = "axes are shorter than 2^24")]
                math::scale(simd, out, 1.0 / size as f32);
            }
        }
    }
}
