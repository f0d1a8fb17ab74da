//! The right operand of a product in panels, and how a product is cut into tasks of rows and panels.

use super::gemm::{VECTORS, tile_rows};
use super::level::Level;
use half::bf16;
use std::ops::Range;

/// Bytes of panels that do so when there are few rows: what is read, not what is computed, takes the time.
const TASK_BYTES: usize = 256 * 1024;
/// Operations that make a task worth handing to a thread.
const TASK_OPERATIONS: usize = 3_000_000;
/// Rows whose left operand stays in the second-level cache while panels pass by.
const ROW_BLOCK: usize = 144;
/// Columns of a panel.
pub(super) const fn panel_width(level: Level) -> usize {
    VECTORS * level.lanes()
}

/// Floats that a packed right operand of `k` rows and `n` columns takes, whole or in halves.
pub(super) const fn packed_len(level: Level, k: usize, n: usize, halves: bool) -> usize {
    let width = panel_width(level);
    n.div_ceil(width) * width * if halves { k.div_ceil(2) } else { k }
}

/// Where the elements of a right operand of `n` columns are: column `j`, row `p` at `j·column + p·row`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strides {
    pub(super) column: usize,
    pub(super) row: usize,
}

/// Packs the columns of one panel, beginning with `first`, of a right operand with `n` columns.
pub(super) fn pack_panel(
    from: &[f32],
    strides: Strides,
    columns: Range<usize>,
    width: usize,
    panel: &mut [f32],
) {
    let count = columns.len().min(width);
    if count < width {
        panel.fill(0.0);
    }
    if strides.column == 1 {
        for (p, row) in panel.chunks_exact_mut(width).enumerate() {
            row[..count].copy_from_slice(&from[columns.start + p * strides.row..][..count]);
        }
        return;
    }
    let depth = panel.len() / width;
    for j in 0..count {
        let from = from[(columns.start + j) * strides.column..].iter().step_by(strides.row);
        let to = panel[j..].iter_mut().step_by(width).take(depth);
        to.zip(from).for_each(|(to, from)| *to = *from);
    }
}

/// Packs a whole right operand of `k` rows and `n` columns.
pub(super) fn pack(
    level: Level,
    from: &[f32],
    strides: Strides,
    k: usize,
    n: usize,
    to: &mut [f32],
) {
    let width = panel_width(level);
    for (index, panel) in to.chunks_exact_mut(width * k).enumerate() {
        pack_panel(from, strides, index * width..n, width, panel);
    }
}

/// Packs a right operand in bf16: in the place of each float two rows of a column, the first in the lower half.
pub(super) fn pack_halves(
    level: Level,
    from: &[f32],
    strides: Strides,
    k: usize,
    n: usize,
    to: &mut [f32],
) {
    let width = panel_width(level);
    for (index, panel) in to.chunks_exact_mut(width * k.div_ceil(2)).enumerate() {
        for (at, slot) in panel.iter_mut().enumerate() {
            let (row, column) = (at / width * 2, index * width + at % width);
            let half = |row: usize| {
                let is_there = row < k && column < n;
                let value = is_there.then(|| from[column * strides.column + row * strides.row]);
                u32::from(bf16::from_f32(value.unwrap_or(0.0)).to_bits())
            };
            *slot = f32::from_bits(half(row) | half(row + 1) << 16);
        }
    }
}

/// How a product is cut into tasks: blocks of rows times groups of panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    row_block: usize,
    row_blocks: usize,
    panel_group: usize,
    panel_groups: usize,
}

impl Partition {
    pub(super) fn new(level: Level, m: usize, n: usize, k: usize) -> Self {
        let width = panel_width(level);
        let panels = n.div_ceil(width);
        let blocks = m.div_ceil(ROW_BLOCK);
        let tile = tile_rows(level);
        let row_block = m.div_ceil(blocks).next_multiple_of(tile).min(m);
        let operations = 2 * row_block * width * k;
        let bytes = width * k * size_of::<f32>();
        let most = if m <= tile { TASK_BYTES / bytes.max(1) } else { panels };
        let panel_group = (TASK_OPERATIONS / operations.max(1)).min(most).clamp(1, panels);
        Self {
            row_block,
            row_blocks: m.div_ceil(row_block),
            panel_group,
            panel_groups: panels.div_ceil(panel_group),
        }
    }

    pub(super) const fn tasks(&self) -> usize {
        self.row_blocks * self.panel_groups
    }

    /// The rows and the panels of a task.
    pub(super) fn task(
        &self,
        task: usize,
        m: usize,
        panels: usize,
    ) -> (Range<usize>, Range<usize>) {
        let row = task / self.panel_groups * self.row_block;
        let panel = task % self.panel_groups * self.panel_group;
        (row..(row + self.row_block).min(m), panel..(panel + self.panel_group).min(panels))
    }
}
