//! Convolution with few filters for each group, down to one for each channel: too thin for a product, so that each
//! line of the result is the sum of lines of the image, shifted and scaled.

use super::kernel::{Context, Kernel};
use super::lower::After;
use super::math;
use super::memory::Slot;
use super::windows::Geometry;
use pulp::{Simd, WithSimd};

/// Filters of a group, up to which lines are faster than a product.
pub(super) const MOST_FILTERS: usize = 3;

/// `activation(x ∗ weight + bias + residual)`; a task has one plane of the result.
pub(super) struct ThinConv {
    pub(super) image: Slot,
    /// `[o, c/groups, kh, kw]`, as the op has them.
    pub(super) filters: Slot,
    pub(super) bias: Option<Slot>,
    pub(super) to: Slot,
    pub(super) after: After,
    pub(super) geometry: Geometry,
    pub(super) groups: usize,
}

impl Kernel for ThinConv {
    fn tasks(&self) -> usize {
        self.geometry.batch * self.geometry.channels[1]
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let g = &self.geometry;
        let (image, out) = (task / g.channels[1], task % g.channels[1]);
        let channels = g.channels[0] / self.groups;
        let group = out / (g.channels[1] / self.groups);
        let (plane, positions) = (g.plane_len(), g.positions_len());
        let first = (image * g.channels[0] + group * channels) * plane;
        let (depth, range) = (channels * g.taps(), task * positions..(task + 1) * positions);
        // SAFETY: operands are only read; every task has a plane of its own.
        unsafe {
            let floats = |slot| context.memory.floats(slot);
            context.level.run(Lines {
                op: self,
                from: &floats(self.image)[first..first + channels * plane],
                filter: &floats(self.filters)[out * depth..][..depth],
                bias: self.bias.map_or(0.0, |bias| floats(bias)[out]),
                residual: self.after.other.map(|other| &floats(other)[range.clone()]),
                to: context.memory.part(self.to, range),
            });
        }
    }
}

struct Lines<'a> {
    op: &'a ThinConv,
    from: &'a [f32],
    filter: &'a [f32],
    bias: f32,
    residual: Option<&'a [f32]>,
    to: &'a mut [f32],
}

impl WithSimd for Lines<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let g = &self.op.geometry;
        let ([kernel_rows, kernel_columns], stride) = (g.window.size, g.window.stride[1]);
        for (position, out) in self.to.chunks_exact_mut(g.positions[1]).enumerate() {
            out.fill(self.bias);
            let planes = self.from.chunks_exact(g.plane_len());
            for (plane, filter) in planes.zip(self.filter.chunks_exact(g.taps())) {
                for i in 0..kernel_rows {
                    let Some(y) = g.at(0, position, i) else { continue };
                    let line = &plane[y * g.plane[1]..][..g.plane[1]];
                    for j in 0..kernel_columns {
                        let inside = g.inside(1, j);
                        let Some(first) = g.at(1, inside.start, j) else { continue };
                        let (factor, line) = (filter[i * kernel_columns + j], &line[first..]);
                        let out = &mut out[inside.clone()];
                        if stride == 1 {
                            math::add_scaled(simd, out, factor, &line[..inside.len()]);
                        } else {
                            let line = line.iter().step_by(stride);
                            out.iter_mut().zip(line).for_each(|(out, x)| *out += factor * x);
                        }
                    }
                }
            }
            if let Some(residual) = self.residual {
                math::add_assign(simd, out, &residual[position * g.positions[1]..][..out.len()]);
            }
            math::activate(simd, self.op.after.activation, out);
        }
    }
}
