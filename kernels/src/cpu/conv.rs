//! Convolution as a product: the filters are the left operand, packed in tiles (`filters`), the windows of the image
//! are the right one, packed for each task (`patches`). The result is `[o, h'·w']` as it should be.

use super::filters::Filters;
use super::gemm::{self, Part, Start};
use super::kernel::{Context, Kernel};
use super::level::Level;
use super::lower::After;
use super::memory::Slot;
use super::patches::Patches;
use super::windows::Geometry;
use crate::Activation;
use std::ops::Range;

/// Bytes of panels that stay in the second-level cache while filters pass by.
const PANEL_BYTES: usize = 224 * 1024;
/// Panels of one task at most.
const PANELS: usize = 32;
/// Filters that pass by the panels at once.
const ROW_BLOCK: usize = 144;
/// Tasks that a step should have at least, if its sizes allow.
const TASKS: usize = 16;

/// `activation(x ∗ weight + bias + residual)`.
pub(super) struct Conv {
    image: Slot,
    packed: Slot,
    filters: Filters,
    bias: Option<Slot>,
    to: Slot,
    after: After,
    geometry: Geometry,
    /// Columns of one task.
    columns: usize,
    level: Level,
}

impl Conv {
    pub(super) fn new(
        [image, packed, to]: [Slot; 3],
        bias: Option<Slot>,
        geometry: Geometry,
        filters: Filters,
        after: After,
        level: Level,
    ) -> Self {
        let width = gemm::panel_width(level);
        let panels = geometry.positions_len().div_ceil(width);
        let bytes = gemm::depth_block(filters.depth(), width) * width * size_of::<f32>();
        let most = (PANEL_BYTES / bytes).clamp(1, PANELS);
        let shared = panels * geometry.batch * filters.groups / TASKS;
        let columns = shared.clamp(1, most) * width;
        Self { image, packed, filters, bias, to, after, geometry, columns, level }
    }

    fn depth_block(&self) -> usize {
        gemm::depth_block(self.filters.depth(), gemm::panel_width(self.level))
    }

    fn column_blocks(&self) -> usize {
        self.geometry.positions_len().div_ceil(self.columns)
    }
}

impl Kernel for Conv {
    fn tasks(&self) -> usize {
        self.geometry.batch * self.filters.groups * self.column_blocks()
    }

    fn scratch(&self) -> usize {
        self.columns * self.depth_block()
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, scratch: &mut [f32]) {
        let g = &self.geometry;
        let (matrix, block) = (task / self.column_blocks(), task % self.column_blocks());
        let (image, group) = (matrix / self.filters.groups, matrix % self.filters.groups);
        let columns = block * self.columns..((block + 1) * self.columns).min(g.positions_len());
        let inner = self.filters.channels * g.plane_len();
        let first = matrix * inner;
        // SAFETY: operands are only read in this step.
        let from = unsafe { &context.memory.floats(self.image)[first..first + inner] };
        let (depth, step) = (self.filters.depth(), self.depth_block());
        for start in (0..depth).step_by(step) {
            let rows = start..(start + step).min(depth);
            let width = gemm::panel_width(self.level);
            let len = columns.len().next_multiple_of(width) * rows.len();
            let packed = &mut scratch[..len];
            self.level.run(Patches {
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
        let (g, count, whole) = (&self.geometry, self.filters.count, self.filters.depth());
        let group_len = self.filters.group_len(self.level);
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
            let tiles = group * group_len + rows.start * whole;
            // SAFETY: the columns are the task's.
            unsafe {
                let part = Part {
                    a: &floats(self.packed)[tiles + depth.start * gemm::tile_rows(self.level)..],
                    stride_a: whole,
                    left_packed: true,
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
