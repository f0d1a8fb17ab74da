//! Convolution as a product: the filters `[o, c·kh·kw]` are the left operand and are read where they are, the windows
//! of the image are the right one and are packed for each task (`windows`). The result is `[o, h'·w']` as it should be.

use super::gemm::{self, Part, Start};
use super::kernel::{Context, Kernel};
use super::level::Level;
use super::lower::After;
use super::memory::Slot;
use super::windows::{Geometry, PackWindows};
use crate::Activation;
use std::ops::Range;

/// Panels of one task: filters pass by them while both are in the second-level cache.
const PANELS: usize = 8;
/// Filters that pass by the panels at once.
const ROW_BLOCK: usize = 144;
/// Tasks that a step should have at least, if its sizes allow.
const TASKS: usize = 16;

/// `activation(x ∗ weight + bias + residual)`.
pub(super) struct Conv {
    image: Slot,
    filters: Slot,
    bias: Option<Slot>,
    to: Slot,
    after: After,
    geometry: Geometry,
    groups: usize,
    /// Columns of one task.
    columns: usize,
    level: Level,
}

impl Conv {
    pub(super) fn new(
        [image, filters]: [Slot; 2],
        bias: Option<Slot>,
        to: Slot,
        geometry: Geometry,
        groups: usize,
        after: After,
        level: Level,
    ) -> Self {
        let width = gemm::panel_width(level);
        let panels = geometry.positions_len().div_ceil(width);
        let least = panels * geometry.batch * groups / TASKS;
        let columns = least.clamp(1, PANELS) * width;
        Self { image, filters, bias, to, after, geometry, groups, columns, level }
    }

    /// Filters of one group.
    fn filters_per_group(&self) -> usize {
        self.geometry.channels[1] / self.groups
    }

    /// The depth of the product.
    fn depth(&self) -> usize {
        self.geometry.channels[0] / self.groups * self.geometry.taps()
    }

    fn depth_block(&self) -> usize {
        gemm::depth_block(self.depth(), gemm::panel_width(self.level))
    }

    fn column_blocks(&self) -> usize {
        self.geometry.positions_len().div_ceil(self.columns)
    }
}

impl Kernel for Conv {
    fn tasks(&self) -> usize {
        self.geometry.batch * self.groups * self.column_blocks()
    }

    fn scratch(&self) -> usize {
        self.columns * self.depth_block()
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, scratch: &mut [f32]) {
        let g = &self.geometry;
        let (matrix, block) = (task / self.column_blocks(), task % self.column_blocks());
        let (image, group) = (matrix / self.groups, matrix % self.groups);
        let columns = block * self.columns..((block + 1) * self.columns).min(g.positions_len());
        let inner = g.channels[0] / self.groups * g.plane_len();
        let first = (image * self.groups + group) * inner;
        // SAFETY: operands are only read in this step.
        let from = unsafe { &context.memory.floats(self.image)[first..first + inner] };
        let (depth, step) = (self.depth(), self.depth_block());
        for start in (0..depth).step_by(step) {
            let rows = start..(start + step).min(depth);
            let width = gemm::panel_width(self.level);
            let len = columns.len().next_multiple_of(width) * rows.len();
            let packed = &mut scratch[..len];
            self.level.run(PackWindows {
                geometry: g,
                image: from,
                rows: rows.clone(),
                columns: columns.clone(),
                to: packed,
            });
            // SAFETY: passed on.
            unsafe { self.multiply(context, [image, group], &columns, rows, packed) };
        }
    }
}

impl Conv {
    /// Multiplies one block of the depth.
    ///
    /// # Safety
    /// These columns of the group's part of the result are the task's; operands are only read.
    unsafe fn multiply(
        &self,
        context: &Context<'_>,
        [image, group]: [usize; 2],
        columns: &Range<usize>,
        depth: Range<usize>,
        packed: &[f32],
    ) {
        let (g, count, whole) = (&self.geometry, self.filters_per_group(), self.depth());
        let positions = g.positions_len();
        let ends = depth.end == whole;
        // SAFETY: operands are only read in this step.
        let floats = |slot| unsafe { context.memory.floats(slot) };
        for first in (0..count).step_by(ROW_BLOCK) {
            let rows = first..(first + ROW_BLOCK).min(count);
            let filter = group * count + rows.start;
            let out = (image * g.channels[1] + filter) * positions + columns.start;
            let residual = self.after.other.filter(|_| ends).map(|slot| &floats(slot)[out..]);
            let start = match self.bias {
                _ if depth.start > 0 => Start::Result,
                Some(bias) => Start::Rows(&floats(bias)[filter..][..rows.len()]),
                None => Start::Zero,
            };
            // SAFETY: the columns are the task's.
            unsafe {
                let part = Part {
                    a: &floats(self.filters)[filter * whole + depth.start..],
                    stride_a: whole,
                    rows: rows.len(),
                    k: depth.len(),
                    packed,
                    panels: 0..columns.len().div_ceil(gemm::panel_width(self.level)),
                    n: columns.len(),
                    c: context.memory.pointer(self.to).add(out),
                    stride_c: positions,
                    start,
                    residual,
                    activation: if ends { self.after.activation } else { Activation::Identity },
                };
                part.run(self.level);
            }
        }
    }
}
