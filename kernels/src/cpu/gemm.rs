//! The matrix product of the CPU device: register tiles over a right operand that is packed into panels.
//!
//! A panel holds `width` columns of the right operand, `[k][width]`, padded with zeros (`panels`). A tile keeps some rows
//! of one panel's columns of the result in registers (Goto and van de Geijn, "Anatomy of high-performance
//! matrix multiplication", TOMS 34(3), 2008). The left operand is read where it is. Weights are packed once.

use super::elementary;
use super::level::Level;
use super::math;
pub(super) use super::panels::{
    Partition, Strides, pack, pack_halves, pack_panel, packed_len, panel_width,
};
use crate::Activation;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Vectors of columns in a panel.
pub(super) const VECTORS: usize = 2;
/// Bytes of one panel that stay in the first-level cache while rows pass by.
const PANEL_CACHE_BYTES: usize = 24 * 1024;

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
    /// Whether these hold bf16, see `pack_halves`.
    pub(super) halves: bool,
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
        assert!(!(self.left_packed && self.halves), "one operand is packed for the whole product");
        let packed = packed_len(level, self.k, self.panels.end * panel_width(level), self.halves);
        assert!(self.packed.len() >= packed);
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
            if self.left_packed {
                // A tile stays, panels pass by: the rows of the result are written on and on.
                for row in (0..self.rows).step_by(tile_rows_of::<S>()) {
                    for panel in self.panels.clone() {
                        self.tile::<S, LEFT_TILES>(simd, row, panel, block.clone());
                    }
                }
                continue;
            }
            for panel in self.panels.clone() {
                for row in (0..self.rows).step_by(tile_rows_of::<S>()) {
                    if self.halves {
                        self.tile::<S, RIGHT_HALVES>(simd, row, panel, block.clone());
                    } else {
                        self.tile::<S, PLAIN>(simd, row, panel, block.clone());
                    }
                }
            }
        }
        if !matches!(self.activation, Activation::Identity | Activation::Relu) {
            self.finish(simd);
        }
    }
}

/// How the operands of a tile lie in memory.
const PLAIN: u8 = 0;
const LEFT_TILES: u8 = 1;
const RIGHT_HALVES: u8 = 2;

impl Part<'_> {
    /// One tile for one block of the depth.
    #[inline(always)]
    fn tile<S: Simd, const FORM: u8>(
        &self,
        simd: S,
        row: usize,
        panel: usize,
        block: Range<usize>,
    ) {
        let width = VECTORS * S::F32_LANES;
        // Of a packed tile an element of the depth has all rows; of bf16 two rows take the room of one.
        let step = if FORM == LEFT_TILES { tile_rows_of::<S>() } else { 1 };
        let packed_rows = if FORM == RIGHT_HALVES {
            panel * self.k.div_ceil(2) + block.start / 2
        } else {
            panel * self.k + block.start
        };
        let columns = panel * width..((panel + 1) * width).min(self.n);
        let count = tile_rows_of::<S>().min(self.rows - row);
        let is_last = block.end == self.k;
        let start = match self.start {
            _ if block.start > 0 => Start::Result,
            Start::Columns(bias) => Start::Columns(&bias[columns.clone()]),
            Start::Rows(bias) => Start::Rows(&bias[row..row + count]),
            other => other,
        };
        let at = row * self.stride_c + columns.start;
        let residual = self.residual.filter(|_| is_last);
        // SAFETY: `run` has checked the operands; its caller answers for the result.
        unsafe {
            let tile = Tile {
                a: self.a.as_ptr().add(row * self.stride_a + block.start * step),
                stride_a: self.stride_a,
                packed: self.packed.as_ptr().add(packed_rows * width),
                depth: block.len(),
                c: self.c.add(at),
                stride_c: self.stride_c,
                columns: columns.len(),
                residual: residual.map(|residual| residual.as_ptr().add(at)),
                rectifies: is_last && self.activation == Activation::Relu,
            };
            tile.run_rows::<S, FORM>(simd, count, start);
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
    // Even, because bf16 has rows in pairs.
    k.div_ceil(k.div_ceil(most)).next_multiple_of(2)
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
    unsafe fn run_rows<S: Simd, const FORM: u8>(&self, simd: S, rows: usize, start: Start<'_>) {
        // SAFETY: passed on.
        unsafe {
            match rows {
                1 => self.run::<S, 1, FORM>(simd, start),
                2 => self.run::<S, 2, FORM>(simd, start),
                3 => self.run::<S, 3, FORM>(simd, start),
                4 => self.run::<S, 4, FORM>(simd, start),
                5 if tile_rows_of::<S>() >= 6 => self.run::<S, 5, FORM>(simd, start),
                6 if tile_rows_of::<S>() >= 6 => self.run::<S, 6, FORM>(simd, start),
                7 if tile_rows_of::<S>() >= 12 => self.run::<S, 7, FORM>(simd, start),
                8 if tile_rows_of::<S>() >= 12 => self.run::<S, 8, FORM>(simd, start),
                9 if tile_rows_of::<S>() >= 12 => self.run::<S, 9, FORM>(simd, start),
                10 if tile_rows_of::<S>() >= 12 => self.run::<S, 10, FORM>(simd, start),
                11 if tile_rows_of::<S>() >= 12 => self.run::<S, 11, FORM>(simd, start),
                12 if tile_rows_of::<S>() >= 12 => self.run::<S, 12, FORM>(simd, start),
                other => unreachable!("a tile of {other} rows"),
            }
        }
    }

    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const FORM: u8>(&self, simd: S, start: Start<'_>) {
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
            if FORM == RIGHT_HALVES {
                self.multiply_halves::<S, ROWS>(simd, &mut sums);
            } else {
                self.multiply::<S, ROWS, FORM>(simd, &mut sums);
            }
            if let Some(residual) = self.residual {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let from = residual.add(i * self.stride_c);
                    let added = load(simd, from, self.columns, whole);
                    sum[0] = simd.add_f32s(sum[0], added[0]);
                    sum[1] = simd.add_f32s(sum[1], added[1]);
                }
            }
            if self.rectifies {
                for sum in &mut sums {
                    sum[0] = elementary::relu(simd, sum[0]);
                    sum[1] = elementary::relu(simd, sum[1]);
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
    /// The left and the right operand are valid for `ROWS` rows (`LEFT_TILES`: a whole tile) and the depth.
    #[inline(always)]
    unsafe fn multiply<S: Simd, const ROWS: usize, const FORM: u8>(
        &self,
        simd: S,
        sums: &mut [[S::f32s; VECTORS]; ROWS],
    ) {
        // SAFETY: the products stay within `depth` and `ROWS`.
        unsafe {
            // One pointer per row and one common index: the inner loop has no other arithmetic on addresses.
            let apart = if FORM == LEFT_TILES { 0 } else { self.stride_a };
            let rows: [*const f32; ROWS] = std::array::from_fn(|i| self.a.add(i * apart));
            let mut tile = self.a;
            let mut right: *const S::f32s = self.packed.cast();
            for p in 0..self.depth {
                let [first, second] = [right.read_unaligned(), right.add(1).read_unaligned()];
                right = right.add(VECTORS);
                for (i, sum) in sums.iter_mut().enumerate() {
                    let left = if FORM == LEFT_TILES { *tile.add(i) } else { *rows[i].add(p) };
                    let left = simd.splat_f32s(left);
                    sum[0] = simd.mul_add_e_f32s(left, first, sum[0]);
                    sum[1] = simd.mul_add_e_f32s(left, second, sum[1]);
                }
                if FORM == LEFT_TILES {
                    tile = tile.add(tile_rows_of::<S>());
                }
            }
        }
    }
}

impl Tile {
    /// The same with a right operand in bf16, which is the upper half of an f32.
    ///
    /// # Safety
    /// As of `multiply`, and the right operand has half as many rows, rounded up.
    #[inline(always)]
    unsafe fn multiply_halves<S: Simd, const ROWS: usize>(
        &self,
        simd: S,
        sums: &mut [[S::f32s; VECTORS]; ROWS],
    ) {
        let (shift, upper) = (simd.splat_u32s(16), simd.splat_u32s(0xffff_0000));
        // Few rows have few sums, each of which would wait for its last addition.
        let mut others = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        // SAFETY: the products stay within `depth` and `ROWS`.
        unsafe {
            let rows: [*const f32; ROWS] = std::array::from_fn(|i| self.a.add(i * self.stride_a));
            let mut right: *const S::u32s = self.packed.cast();
            for p in 0..self.depth.div_ceil(2) {
                let words = [right.read_unaligned(), right.add(1).read_unaligned()];
                right = right.add(VECTORS);
                let lower = [
                    simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(words[0], shift)),
                    simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(words[1], shift)),
                ];
                for (sum, row) in sums.iter_mut().zip(rows) {
                    let left = simd.splat_f32s(*row.add(2 * p));
                    sum[0] = simd.mul_add_e_f32s(left, lower[0], sum[0]);
                    sum[1] = simd.mul_add_e_f32s(left, lower[1], sum[1]);
                }
                if 2 * p + 1 == self.depth {
                    break;
                }
                let upper = [
                    simd.transmute_f32s_u32s(simd.and_u32s(words[0], upper)),
                    simd.transmute_f32s_u32s(simd.and_u32s(words[1], upper)),
                ];
                let sums = if ROWS <= 2 { &mut others } else { &mut *sums };
                for (sum, row) in sums.iter_mut().zip(rows) {
                    let left = simd.splat_f32s(*row.add(2 * p + 1));
                    sum[0] = simd.mul_add_e_f32s(left, upper[0], sum[0]);
                    sum[1] = simd.mul_add_e_f32s(left, upper[1], sum[1]);
                }
            }
        }
        for (sum, other) in sums.iter_mut().zip(others) {
            if ROWS <= 2 {
                sum[0] = simd.add_f32s(sum[0], other[0]);
                sum[1] = simd.add_f32s(sum[1], other[1]);
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
