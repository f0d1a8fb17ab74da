//! Convolution as a product: the filters are the left operand, packed in tiles (`filters`), the windows of the image
//! are the right one, packed for each task (`patches`). The result is `[o, h'·w']` as it should be.

use super::filters::Filters;
use super::forms::Format;
use super::gemm::{self, Part, Start};
use super::kernel::{Context, Kernel};
use super::level::Level;
use super::lower::After;
use super::memory::Slot;
use super::patches::Patches;
use super::windows::Geometry;
use crate::Activation;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Bytes of panels that stay in the second-level cache while filters pass by.
const PANEL_BYTES: usize = 224 * 1024;
/// Panels of one task at most.
const PANELS: usize = 32;
/// Filters of one task at least, if a step has few tasks.
const ROWS: usize = 128;
/// Filters in bf16 that are widened at once: whole tiles at every level.
const ROW_BLOCK: usize = 96;
/// Tasks that a step should have at least, if its sizes allow.
const TASKS: usize = 8;

/// `activation(x ∗ weight + bias + residual)`.
pub(super) struct Conv {
    image: Slot,
    packed: Slot,
    filters: Filters,
    /// Whether the filters are in bf16.
    halves: bool,
    bias: Option<Slot>,
    to: Slot,
    after: After,
    geometry: Geometry,
    /// Columns and filters of one task.
    columns: usize,
    rows: usize,
    level: Level,
}

impl Conv {
    pub(super) fn new(
        [image, packed, to]: [Slot; 3],
        bias: Option<Slot>,
        geometry: Geometry,
        (filters, format): (Filters, Format),
        after: After,
        level: Level,
    ) -> Self {
        let width = gemm::panel_width(level);
        let panels = geometry.positions_len().div_ceil(width);
        let bytes = gemm::depth_block(filters.depth(), width) * width * size_of::<f32>();
        let most = (PANEL_BYTES / bytes).clamp(1, PANELS);
        // All blocks of one size, so that none is short.
        let blocks = panels.div_ceil(most);
        let columns = panels.div_ceil(blocks) * width;
        let tasks = blocks * geometry.batch * filters.groups;
        let row_blocks = TASKS.div_ceil(tasks).min(filters.count.div_ceil(ROWS));
        let rows = filters.count.div_ceil(row_blocks).next_multiple_of(gemm::tile_rows(level));
        let halves = format == Format::Bf16;
        Self { image, packed, filters, halves, bias, to, after, geometry, columns, rows, level }
    }

    fn depth_block(&self) -> usize {
        gemm::depth_block(self.filters.depth(), gemm::panel_width(self.level))
    }

    fn column_blocks(&self) -> usize {
        self.geometry.positions_len().div_ceil(self.columns)
    }

    fn row_blocks(&self) -> usize {
        self.filters.count.div_ceil(self.rows)
    }
}

/// What a task computes: some filters of one group at some positions of one image.
struct Block {
    image: usize,
    group: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Kernel for Conv {
    fn tasks(&self) -> usize {
        let matrices = self.geometry.batch * self.filters.groups;
        matrices * self.column_blocks() * self.row_blocks()
    }

    fn scratch(&self) -> usize {
        let wide = if self.halves { ROW_BLOCK } else { 0 };
        (self.columns + wide) * self.depth_block()
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, scratch: &mut [f32]) {
        let g = &self.geometry;
        let (task, row) = (task / self.row_blocks(), task % self.row_blocks() * self.rows);
        let (matrix, column) =
            (task / self.column_blocks(), task % self.column_blocks() * self.columns);
        let block = Block {
            image: matrix / self.filters.groups,
            group: matrix % self.filters.groups,
            rows: row..(row + self.rows).min(self.filters.count),
            columns: column..(column + self.columns).min(g.positions_len()),
        };
        let inner = self.filters.channels * g.plane_len();
        // SAFETY: operands are only read in this step.
        let from = unsafe { &context.memory.floats(self.image)[matrix * inner..][..inner] };
        let (depth, step) = (self.filters.depth(), self.depth_block());
        let (patches, wide) = scratch.split_at_mut(self.columns * step);
        for start in (0..depth).step_by(step) {
            let rows = start..(start + step).min(depth);
            let width = gemm::panel_width(self.level);
            let len = block.columns.len().next_multiple_of(width) * rows.len();
            let packed = &mut patches[..len];
            self.level.run(Patches {
                geometry: g,
                image: from,
                rows: rows.clone(),
                columns: block.columns.clone(),
                to: packed,
            });
            // SAFETY: passed on.
            unsafe { self.multiply(context, &block, rows, packed, wide) };
        }
    }
}

impl Conv {
    /// Multiplies one block of the depth.
    ///
    /// # Safety
    /// The block of the result is the task's; operands are only read.
    unsafe fn multiply(
        &self,
        context: &Context<'_>,
        block: &Block,
        depth: Range<usize>,
        packed: &[f32],
        wide: &mut [f32],
    ) {
        let (g, count, whole) = (&self.geometry, self.filters.count, self.filters.depth());
        let positions = g.positions_len();
        let ends = depth.end == whole;
        let step = if self.halves { ROW_BLOCK } else { self.rows };
        // SAFETY: operands are only read in this step.
        let floats = |slot| unsafe { context.memory.floats(slot) };
        for first in block.rows.clone().step_by(step) {
            let rows = first..(first + step).min(block.rows.end);
            let filter = block.group * count + rows.start;
            let out = (block.image * g.channels[1] + filter) * positions + block.columns.start;
            let start = match self.bias {
                _ if depth.start > 0 => Start::Result,
                Some(bias) => Start::Rows(&floats(bias)[filter..][..rows.len()]),
                None => Start::Zero,
            };
            let residual = self.after.other.filter(|_| ends);
            let tiles = block.group * self.filters.group_len(self.level) + rows.start * whole;
            let (a, stride_a) = if self.halves {
                (self.widen(floats(self.packed), tiles, rows.len(), &depth, wide), depth.len())
            } else {
                let first = tiles + depth.start * gemm::tile_rows(self.level);
                (&floats(self.packed)[first..], whole)
            };
            // SAFETY: the block is the task's.
            unsafe {
                let part = Part {
                    a,
                    stride_a,
                    left_packed: true,
                    rows: rows.len(),
                    k: depth.len(),
                    packed,
                    halves: false,
                    panels: 0..block.columns.len().div_ceil(gemm::panel_width(self.level)),
                    n: block.columns.len(),
                    c: context.memory.pointer(self.to).add(out),
                    stride_c: positions,
                    start,
                    residual: residual.map(|slot| &floats(slot)[out..]),
                    activation: if ends { self.after.activation } else { Activation::Identity },
                };
                part.run(self.level);
            }
        }
    }

    /// One block of the depth of the tiles from this element on, as f32.
    fn widen<'a>(
        &self,
        packed: &[f32],
        tiles: usize,
        rows: usize,
        depth: &Range<usize>,
        wide: &'a mut [f32],
    ) -> &'a [f32] {
        let (tile, whole) = (gemm::tile_rows(self.level), self.filters.depth());
        let halves: &[u16] = pulp::bytemuck::cast_slice(packed);
        let count = rows.div_ceil(tile);
        let wide = &mut wide[..count * tile * depth.len()];
        for (index, to) in wide.chunks_exact_mut(tile * depth.len()).enumerate() {
            let from = &halves[tiles + (index * whole + depth.start) * tile..][..to.len()];
            self.level.run(Widen { from, to });
        }
        wide
    }
}

/// Halves as floats.
struct Widen<'a> {
    from: &'a [u16],
    to: &'a mut [f32],
}

impl WithSimd for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (to, &from) in self.to.iter_mut().zip(self.from) {
            *to = f32::from_bits(u32::from(from) << 16);
        }
    }
}
