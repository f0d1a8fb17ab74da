//! The innermost loops of the matrix product: some rows of one panel's columns in registers. What is cut into tiles,
//! and in which order they are done, is `gemm`'s affair.

use super::elementary;
use super::level::Level;
use pulp::Simd;
use std::ops::Range;

/// Vectors of columns in a panel.
pub(super) const VECTORS: usize = 2;
/// How the operands of a tile lie in memory.
pub(super) const PLAIN: u8 = 0;
pub(super) const LEFT_TILES: u8 = 1;
const RIGHT_HALVES: u8 = 2;
/// Rows that multiply bf16 as it is; more of them share its floats.
pub(super) const FEW_ROWS: usize = 4;

/// Rows of a tile: what fits the registers beside one row of the panel and one broadcast element.
pub(super) const fn tile_rows_of<S: Simd>() -> usize {
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

/// Some rows of one panel's columns, for one block of the depth.
pub(super) struct Tile {
    pub(super) a: *const f32,
    pub(super) stride_a: usize,
    pub(super) packed: *const f32,
    pub(super) depth: usize,
    pub(super) c: *mut f32,
    pub(super) stride_c: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Added at the end, with rows as far apart as those of the result.
    pub(super) residual: Option<*const f32>,
    /// Whether what is negative becomes zero at the very end.
    pub(super) rectifies: bool,
}

impl Tile {
    /// With operands in this form, which is not `RIGHT_HALVES`.
    ///
    /// # Safety
    /// All pointers are valid for `rows`, `depth` and `columns`; with `LEFT_TILES` the left one for a whole tile.
    #[inline(always)]
    pub(super) unsafe fn run_whole<S: Simd, const FORM: u8>(&self, simd: S, start: Start<'_>) {
        // SAFETY: passed on.
        unsafe {
            match self.rows {
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

    /// With a right operand in bf16, for few rows.
    ///
    /// # Safety
    /// As above; the right operand has half as many rows, rounded up.
    #[inline(always)]
    pub(super) unsafe fn run_right_halves<S: Simd>(&self, simd: S, start: Start<'_>) {
        // SAFETY: passed on.
        unsafe {
            match self.rows {
                1 => self.run::<S, 1, RIGHT_HALVES>(simd, start),
                2 => self.run::<S, 2, RIGHT_HALVES>(simd, start),
                3 => self.run::<S, 3, RIGHT_HALVES>(simd, start),
                FEW_ROWS => self.run::<S, FEW_ROWS, RIGHT_HALVES>(simd, start),
                other => unreachable!("{other} rows are not few"),
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
