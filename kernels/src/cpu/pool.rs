//! The maximum of every window: first over the rows of a window, whole lines at a time, then along the line.

use super::kernel::{Context, Kernel};
use super::math;
use super::memory::Slot;
use super::windows::Geometry;
use crate::BinaryOp;
use pulp::{Simd, WithSimd};

/// The maximum of every window of every plane.
pub(super) struct MaxPool {
    pub(super) from: Slot,
    pub(super) to: Slot,
    pub(super) geometry: Geometry,
}

impl Kernel for MaxPool {
    fn tasks(&self) -> usize {
        self.geometry.batch * self.geometry.channels[0]
    }

    fn scratch(&self) -> usize {
        self.geometry.plane[1]
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, scratch: &mut [f32]) {
        let g = &self.geometry;
        let (plane, out) = (g.plane_len(), g.positions_len());
        // SAFETY: the operand is only read; every task has a plane of its own.
        let (from, to) = unsafe {
            let from = context.memory.floats(self.from);
            (from, context.memory.part(self.to, task * out..(task + 1) * out))
        };
        let from = &from[task * plane..(task + 1) * plane];
        context.level.run(Maxima { geometry: g, from, to, line: &mut scratch[..g.plane[1]] });
    }
}

struct Maxima<'a> {
    geometry: &'a Geometry,
    from: &'a [f32],
    to: &'a mut [f32],
    line: &'a mut [f32],
}

impl WithSimd for Maxima<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (g, line) = (self.geometry, self.line);
        let [kernel_rows, kernel_columns] = g.window.size;
        let (stride, width) = (g.window.stride[1], g.plane[1]);
        for (position, out) in self.to.chunks_exact_mut(g.positions[1]).enumerate() {
            line.fill(f32::NEG_INFINITY);
            for y in (0..kernel_rows).filter_map(|i| g.at(0, position, i)) {
                math::binary(simd, BinaryOp::Max, line, &self.from[y * width..(y + 1) * width]);
            }
            out.fill(f32::NEG_INFINITY);
            for j in 0..kernel_columns {
                let inside = g.inside(1, j);
                let Some(first) = inside.clone().next().and_then(|column| g.at(1, column, j))
                else {
                    continue;
                };
                let line = &line[first..];
                if stride == 1 {
                    let line = &line[..inside.len()];
                    math::binary(simd, BinaryOp::Max, &mut out[inside], line);
                } else {
                    let line = line.iter().step_by(stride);
                    out[inside].iter_mut().zip(line).for_each(|(out, &x)| *out = out.max(x));
                }
            }
        }
    }
}
