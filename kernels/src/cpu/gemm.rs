//! The matrix product of the CPU device: register tiles over a right operand that is packed into panels.
//!
//! A panel holds `width` columns of the right operand, `[k][width]`, padded with zeros. A tile keeps some rows
//! of one panel's columns of the result in registers (Goto and van de Geijn, "Anatomy of high-performance
//! matrix multiplication", TOMS 34(3), 2008). The left operand is read where it is. Weights are packed once.

use super::elementary;
use super::level::Level;
use super::math;
use crate::Activation;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Vectors of columns in a panel.
pub(super) const VECTORS: usize = 2;
/// Bytes of one panel that stay in the first-level cache while rows pass by.
const PANEL_CACHE_BYTES: usize = 24 * 1024;
/// Rows whose left operand stays in the second-level cache while panels pass by.
const ROW_BLOCK: usize = 144;
/// Operations that make a task worth handing to a thread.
const TASK_OPERATIONS: usize = 3_000_000;
/// Bytes of panels that do so when there are few rows: what is read, not what is computed, takes the time.
const TASK_BYTES: usize = 256 * 1024;

/// Columns of a panel.
pub(super) const fn panel_width(level: Level) -> usize {
    VECTORS * level.lanes()
}

/// Floats that a packed right operand of `k` rows and `n` columns takes.
pub(super) const fn packed_len(level: Level, k: usize, n: usize) -> usize {
    let width = panel_width(level);
    n.div_ceil(width) * width * k
}

/// Where the elements of a right operand of `n` columns are: column `j`, row `p` at `j·column + p·row`.
#[derive(Clone, Copy, Debug)]
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
    for (p, row) in panel.chunks_exact_mut(width).enumerate() {
        for (j, slot) in row.iter_mut().enumerate() {
            let column = columns.start + j;
            *slot = if column < columns.end {
                from[column * strides.column + p * strides.row]
            } else {
                0.0
            };
        }
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

/// A part of a product: some rows of the left operand times some panels of the right one.
pub(super) struct Part<'a> {
    /// The rows of the left operand, `stride_a` apart; or its tiles, see `left_packed`.
    pub(super) a: &'a [f32],
    pub(super) stride_a: usize,
    /// Whether the left operand is packed: `tile_rows` rows each are `[k][row]`, the last ones padded, and `stride_a`
    /// is the whole depth.
    pub(super) left_packed: bool,
    pub(super) rows: usize,
    /// The depth of the product.
    pub(super) k: usize,
    /// All panels of the right operand.
    pub(super) packed: &'a [f32],
    /// Those of this part.
    pub(super) panels: Range<usize>,
    /// All columns of the result.
    pub(super) n: usize,
    /// The first of the rows of the result, `stride_c` apart.
    pub(super) c: *mut f32,
    pub(super) stride_c: usize,
    pub(super) start: Start<'a>,
    /// Added before the activation: the same rows of a matrix like the result.
    pub(super) residual: Option<&'a [f32]>,
    pub(super) activation: Activation,
}

impl Part<'_> {
    /// Computes the part.
    ///
    /// # Safety
    /// For every row, the columns of the panels must be valid for writes at `c`, and nobody else may
    /// touch them meanwhile.
    pub(super) unsafe fn run(self, level: Level) {
        let needed = if self.left_packed {
            let tile = tile_rows(level);
            (self.rows - 1) / tile * tile * self.stride_a + tile * self.k
        } else {
            (self.rows - 1) * self.stride_a + self.k
        };
        assert!(self.a.len() >= needed);
        let residual_needed = (self.rows - 1) * self.stride_c + self.n;
        assert!(self.residual.is_none_or(|residual| residual.len() >= residual_needed));
        assert!(self.packed.len() >= self.panels.end * panel_width(level) * self.k);
        match self.start {
            Start::Columns(bias) => assert_eq!(bias.len(), self.n),
            Start::Rows(bias) => assert_eq!(bias.len(), self.rows),
            Start::Zero | Start::Result => {}
        }
        level.run(self);
    }
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = VECTORS * S::F32_LANES;
        // A panel that serves one tile only needs no place in the cache.
        let reused = self.rows > tile_rows_of::<S>();
        let depth = if reused { depth_block(self.k, width) } else { self.k };
        for first in (0..self.k).step_by(depth) {
            let block = first..(first + depth).min(self.k);
            for panel in self.panels.clone() {
                self.panel(simd, panel, block.clone());
            }
        }
        if !matches!(self.activation, Activation::Identity | Activation::Relu) {
            self.finish(simd);
        }
    }
}

impl Part<'_> {
    /// All rows of one panel for one block of the depth.
    #[inline(always)]
    fn panel<S: Simd>(&self, simd: S, panel: usize, block: Range<usize>) {
        let width = VECTORS * S::F32_LANES;
        let packed = &self.packed[(panel * self.k + block.start) * width..][..block.len() * width];
        let columns = panel * width..((panel + 1) * width).min(self.n);
        let is_last = block.end == self.k;
        let rectifies = is_last && self.activation == Activation::Relu;
        // Of a packed tile an element of the depth has all rows.
        let step = if self.left_packed { tile_rows_of::<S>() } else { 1 };
        let mut row = 0;
        while row < self.rows {
            let count = tile_rows_of::<S>().min(self.rows - row);
            // SAFETY: `run` has checked the operands; its caller answers for the result.
            unsafe {
                let at = row * self.stride_c + columns.start;
                let residual = self.residual.filter(|_| is_last);
                let tile = Tile {
                    a: self.a.as_ptr().add(row * self.stride_a + block.start * step),
                    stride_a: self.stride_a,
                    packed: packed.as_ptr(),
                    depth: block.len(),
                    c: self.c.add(at),
                    stride_c: self.stride_c,
                    columns: columns.len(),
                    residual: residual.map(|residual| residual.as_ptr().add(at)),
                    rectifies,
                };
                let start = match self.start {
                    _ if block.start > 0 => Start::Result,
                    Start::Columns(bias) => Start::Columns(&bias[columns.clone()]),
                    Start::Rows(bias) => Start::Rows(&bias[row..row + count]),
                    other => other,
                };
                if self.left_packed {
                    tile.run_rows::<S, true>(simd, count, start);
                } else {
                    tile.run_rows::<S, false>(simd, count, start);
                }
            }
            row += count;
        }
    }

    /// The activation over the finished part, while it is in the cache; tiles do the rectifier themselves.
    #[inline(always)]
    fn finish<S: Simd>(&self, simd: S) {
        let width = VECTORS * S::F32_LANES;
        let first = self.panels.start * width;
        let columns = (self.panels.end * width).min(self.n) - first;
        for row in 0..self.rows {
            // SAFETY: these are the columns of the panels, which are ours (see `run`).
            let out = unsafe {
                std::slice::from_raw_parts_mut(self.c.add(row * self.stride_c + first), columns)
            };
            math::activate(simd, self.activation, out);
        }
    }
}

/// The depth that is done at once: the same for all blocks, so that none is short.
#[inline(always)]
pub(super) fn depth_block(k: usize, width: usize) -> usize {
    let most = PANEL_CACHE_BYTES / (width * size_of::<f32>());
    k.div_ceil(k.div_ceil(most))
}

/// Rows of a tile: what fits the registers beside one row of the panel and one broadcast element.
const fn tile_rows_of<S: Simd>() -> usize {
    match (S::REGISTER_COUNT, S::F32_LANES) {
        (32.., _) => 12,
        (_, 8..) => 6,
        _ => 4,
    }
}

pub(super) const fn tile_rows(level: Level) -> usize {
    match level {
        Level::Portable => 4,
        Level::Avx2 => 6,
        Level::Avx512 => 12,
    }
}

/// What a product begins with.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    Zero,
    /// One element for each column.
    Columns(&'a [f32]),
    /// One element for each row.
    Rows(&'a [f32]),
    /// What earlier blocks of the depth have left in the result.
    Result,
}

/// Some rows of one panel's columns.
struct Tile {
    a: *const f32,
    stride_a: usize,
    packed: *const f32,
    depth: usize,
    c: *mut f32,
    stride_c: usize,
    columns: usize,
    /// Added at the end, with rows as far apart as those of the result.
    residual: Option<*const f32>,
    /// Whether what is negative becomes zero at the very end.
    rectifies: bool,
}

impl Tile {
    /// # Safety
    /// All pointers are valid for `rows` rows, `depth` and `columns`.
    #[inline(always)]
    unsafe fn run_rows<S: Simd, const PACKED: bool>(&self, simd: S, rows: usize, start: Start<'_>) {
        // SAFETY: passed on.
        unsafe {
            match rows {
                1 => self.run::<S, 1, PACKED>(simd, start),
                2 => self.run::<S, 2, PACKED>(simd, start),
                3 => self.run::<S, 3, PACKED>(simd, start),
                4 => self.run::<S, 4, PACKED>(simd, start),
                5 if tile_rows_of::<S>() >= 6 => self.run::<S, 5, PACKED>(simd, start),
                6 if tile_rows_of::<S>() >= 6 => self.run::<S, 6, PACKED>(simd, start),
                7 if tile_rows_of::<S>() >= 12 => self.run::<S, 7, PACKED>(simd, start),
                8 if tile_rows_of::<S>() >= 12 => self.run::<S, 8, PACKED>(simd, start),
                9 if tile_rows_of::<S>() >= 12 => self.run::<S, 9, PACKED>(simd, start),
                10 if tile_rows_of::<S>() >= 12 => self.run::<S, 10, PACKED>(simd, start),
                11 if tile_rows_of::<S>() >= 12 => self.run::<S, 11, PACKED>(simd, start),
                12 if tile_rows_of::<S>() >= 12 => self.run::<S, 12, PACKED>(simd, start),
                other => unreachable!("a tile of {other} rows"),
            }
        }
    }

    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const PACKED: bool>(
        &self,
        simd: S,
        start: Start<'_>,
    ) {
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        let whole = self.columns == VECTORS * S::F32_LANES;
        // SAFETY: `load` and `store` stay within `columns`, the products within `depth` and `ROWS`.
        unsafe {
            match start {
                Start::Zero => {}
                Start::Columns(bias) => {
                    let first = load(simd, bias.as_ptr(), self.columns, whole);
                    sums = [first; ROWS];
                }
                Start::Rows(bias) => {
                    for (sum, &value) in sums.iter_mut().zip(bias) {
                        *sum = [simd.splat_f32s(value); VECTORS];
                    }
                }
                Start::Result => {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = load(simd, self.c.add(i * self.stride_c), self.columns, whole);
                    }
                }
            }
            self.multiply::<S, ROWS, PACKED>(simd, &mut sums);
            if let Some(residual) = self.residual {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let from = residual.add(i * self.stride_c);
                    let added = load(simd, from, self.columns, whole);
                    *sum = [0, 1].map(|v| simd.add_f32s(sum[v], added[v]));
                }
            }
            if self.rectifies {
                for sum in &mut sums {
                    *sum = sum.map(|x| elementary::relu(simd, x));
                }
            }
            for (i, sum) in sums.iter().enumerate() {
                store(simd, self.c.add(i * self.stride_c), self.columns, whole, *sum);
            }
        }
    }
}

impl Tile {
    /// Adds the products over the depth.
    ///
    /// # Safety
    /// The left and the right operand are valid for `ROWS` rows (`PACKED`: a whole tile) and the depth.
    #[inline(always)]
    unsafe fn multiply<S: Simd, const ROWS: usize, const PACKED: bool>(
        &self,
        simd: S,
        sums: &mut [[S::f32s; VECTORS]; ROWS],
    ) {
        // SAFETY: the products stay within `depth` and `ROWS`.
        unsafe {
            // One pointer per row and one common index: the inner loop has no other arithmetic on addresses.
            let apart = if PACKED { 0 } else { self.stride_a };
            let rows: [*const f32; ROWS] = std::array::from_fn(|i| self.a.add(i * apart));
            let mut tile = self.a;
            let mut right: *const S::f32s = self.packed.cast();
            for p in 0..self.depth {
                let [first, second] = [right.read_unaligned(), right.add(1).read_unaligned()];
                right = right.add(VECTORS);
                for (i, sum) in sums.iter_mut().enumerate() {
                    let left = if PACKED { *tile.add(i) } else { *rows[i].add(p) };
                    let left = simd.splat_f32s(left);
                    sum[0] = simd.mul_add_e_f32s(left, first, sum[0]);
                    sum[1] = simd.mul_add_e_f32s(left, second, sum[1]);
                }
                if PACKED {
                    tile = tile.add(tile_rows_of::<S>());
                }
            }
        }
    }
}

/// The columns that vector `v` holds when only `columns` are there.
#[inline(always)]
fn lanes_of<S: Simd>(v: usize, columns: usize) -> Range<usize> {
    (v * S::F32_LANES).min(columns)..((v + 1) * S::F32_LANES).min(columns)
}

/// # Safety
/// `columns` elements at `from` are valid for reads; `whole` says that they fill all vectors.
#[inline(always)]
unsafe fn load<S: Simd>(
    simd: S,
    from: *const f32,
    columns: usize,
    whole: bool,
) -> [S::f32s; VECTORS] {
    if whole {
        let from = from.cast::<S::f32s>();
        // SAFETY: all vectors are filled.
        return unsafe { [from.read_unaligned(), from.add(1).read_unaligned()] };
    }
    // SAFETY: exactly the valid elements.
    let slice = unsafe { std::slice::from_raw_parts(from, columns) };
    let [first, second] = [lanes_of::<S>(0, columns), lanes_of::<S>(1, columns)];
    [simd.partial_load_f32s(&slice[first]), simd.partial_load_f32s(&slice[second])]
}

/// # Safety
/// `columns` elements at `to` are valid for writes; `whole` says that they fill all vectors.
#[inline(always)]
unsafe fn store<S: Simd>(
    simd: S,
    to: *mut f32,
    columns: usize,
    whole: bool,
    values: [S::f32s; VECTORS],
) {
    if whole {
        for (v, value) in values.into_iter().enumerate() {
            // SAFETY: all vectors are filled.
            unsafe { to.cast::<S::f32s>().add(v).write_unaligned(value) };
        }
        return;
    }
    // SAFETY: exactly the valid elements.
    let slice = unsafe { std::slice::from_raw_parts_mut(to, columns) };
    for (v, value) in values.into_iter().enumerate() {
        simd.partial_store_f32s(&mut slice[lanes_of::<S>(v, columns)], value);
    }
}
