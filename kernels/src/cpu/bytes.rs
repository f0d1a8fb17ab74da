//! Dense layers with integer weights: `y[j] = s·t[j]·Σ q[p]·w[j][p]`.
//!
//! A weight row `j` is kept as integers in -127..=127 and its factor `t[j]`, its largest magnitude over 127. A row of
//! activations is quantised when it is there, symmetrically: its factor `s` is its largest magnitude over the
//! largest integer of 16 bits whose products with a whole weight row cannot overflow the 32-bit sum. So the weights
//! are what costs accuracy, not the activations. Processors sum pairs of 16-bit products, so that costs no time.

use super::gemm::Start;
use super::kernel::{Context, Kernel, chunk, chunks};
use super::level::Level;
use super::lower::After;
use super::math;
use super::memory::Slot;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// The largest magnitude of a weight.
const MOST: i16 = 127;
/// Columns of a panel, at every level.
const WIDTH: usize = 16;
/// Integers in the place of one float: of weights, and of activations.
const BYTES: usize = 4;
const SHORTS: usize = 2;
/// Rows of a tile.
const ROWS: usize = 4;
/// Rows of a task.
const ROW_BLOCK: usize = 64;
/// Multiplications that make a task worth handing to a thread, and bytes of weights that do so for few rows.
const TASK_PRODUCTS: usize = 2_000_000;
const TASK_BYTES: usize = 128 * 1024;
/// Adding this to a float of magnitude below 2²² leaves the nearest integer in its low bits.
const ROUND: f32 = 12_582_912.0;

/// The largest integer of an activation in a sum over `k`.
fn most_activation(k: usize) -> i32 {
    let sums = i32::MAX / i32::from(MOST);
    i32::try_from(k).map_or(0, |k| sums / k.max(1)).min(i32::from(i16::MAX))
}

/// Whether a layer of this depth leaves ten bits and more to the activations; a deeper one stays in f32.
pub(super) fn holds(k: usize) -> bool {
    most_activation(k) >= 1023
}

/// Floats in whose place the integers of one panel lie.
fn panel_len(k: usize) -> usize {
    k.div_ceil(2) * 2 * WIDTH / BYTES
}

/// Floats that a packed weight `[n, k]` takes: the factors first.
pub(super) fn packed_len(k: usize, n: usize) -> usize {
    let panels = n.div_ceil(WIDTH);
    panels * WIDTH + panels * panel_len(k)
}

/// Floats that quantised rows of activations take: the factors first.
pub(super) fn quantised_len(m: usize, k: usize) -> usize {
    m.next_multiple_of(WIDTH) + m * k.div_ceil(SHORTS)
}

/// The factor of a row of weights.
fn factor(row: &[f32]) -> f32 {
    row.iter().fold(0.0, |max: f32, v| v.abs().max(max)) / f32::from(MOST)
}

#[expect(clippy::cast_possible_truncation, reason = "the factor makes it at most 127")]
fn quantise(value: f32, factor: f32) -> i8 {
    if factor > 0.0 { (value / factor).round() as i8 } else { 0 }
}

/// Packs a weight `[n, k]`: in each panel pairs of rows of the depth, of each the pairs of all columns.
pub(super) fn pack(from: &[f32], k: usize, n: usize, to: &mut [f32]) {
    let (factors, panels) = to.split_at_mut(n.div_ceil(WIDTH) * WIDTH);
    for (factor_of, row) in factors.iter_mut().zip(from.chunks_exact(k)) {
        *factor_of = factor(row);
    }
    for (index, panel) in panels.chunks_exact_mut(panel_len(k)).enumerate() {
        let element = |column: usize, p: usize| {
            let column = index * WIDTH + column;
            let is_there = column < n && p < k;
            let value = is_there.then(|| quantise(from[column * k + p], factors[column]));
            value.unwrap_or(0).to_ne_bytes()[0]
        };
        for (at, to) in panel.iter_mut().enumerate() {
            let (pair, column) = (at / (WIDTH / 2) * 2, at % (WIDTH / 2) * 2);
            *to = f32::from_ne_bytes([
                element(column, pair),
                element(column, pair + 1),
                element(column + 1, pair),
                element(column + 1, pair + 1),
            ]);
        }
    }
}

/// Floats that a table takes: the factors of its rows first.
pub(super) fn table_len(rows: usize, width: usize) -> usize {
    rows + (rows * width).div_ceil(BYTES)
}

/// Writes a table of rows.
pub(super) fn write_table(from: &[f32], width: usize, to: &mut [f32]) {
    let (factors, elements) = to.split_at_mut(from.len() / width);
    for (factor_of, row) in factors.iter_mut().zip(from.chunks_exact(width)) {
        *factor_of = factor(row);
    }
    for (index, to) in elements.iter_mut().enumerate() {
        *to = f32::from_ne_bytes(std::array::from_fn(|i| {
            let at = index * BYTES + i;
            let value = from.get(at).map_or(0, |v| quantise(*v, factors[at / width]));
            value.to_ne_bytes()[0]
        }));
    }
}

/// Quantises rows of activations.
pub(super) struct Quantise {
    pub(super) from: Slot,
    pub(super) to: Slot,
    pub(super) k: usize,
    /// Rows of a task.
    pub(super) block: usize,
}

impl Kernel for Quantise {
    fn tasks(&self) -> usize {
        chunks(self.from.len / self.k, self.block)
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let rows = self.from.len / self.k;
        let own = chunk(rows, self.block, task);
        let (first, len) = (rows.next_multiple_of(WIDTH), self.k.div_ceil(SHORTS));
        // SAFETY: the operand is only read; every task has rows of its own.
        unsafe {
            context.level.run(QuantiseRows {
                from: &context.memory.floats(self.from)[own.start * self.k..own.end * self.k],
                factors: context.memory.part(self.to, own.clone()),
                to: context.memory.part(self.to, first + own.start * len..first + own.end * len),
                k: self.k,
            });
        }
    }
}

struct QuantiseRows<'a> {
    from: &'a [f32],
    factors: &'a mut [f32],
    to: &'a mut [f32],
    k: usize,
}

impl WithSimd for QuantiseRows<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "16 bits")]
    fn with_simd<S: Simd>(self, simd: S) {
        let most = most_activation(self.k) as f32;
        let rows = self.from.chunks_exact(self.k).zip(self.to.chunks_exact_mut(self.k.div_ceil(2)));
        for ((row, to), factor) in rows.zip(self.factors) {
            // The sum of the differences is zero, or not a number if an element is not finite.
            let (largest, zero) = math::largest_magnitude(simd, row);
            *factor = largest / most + zero;
            let inverse = if largest > 0.0 { most / largest } else { 0.0 };
            let integer = |value: f32| ((value * inverse + ROUND).to_bits() as u16).to_ne_bytes();
            let (pairs, last) = row.as_chunks::<2>();
            for (to, pair) in to.iter_mut().zip(pairs) {
                let ([a, b], [c, d]) = (integer(pair[0]), integer(pair[1]));
                *to = f32::from_ne_bytes([a, b, c, d]);
            }
            if let (Some(to), [value]) = (to.get_mut(pairs.len()), last) {
                let [a, b] = integer(*value);
                *to = f32::from_ne_bytes([a, b, 0, 0]);
            }
        }
    }
}

/// `activation(a · b + bias + residual)` with a quantised left operand and an integer right one.
pub(super) struct ByteProduct {
    /// As [`Quantise`] leaves it.
    pub(super) a: Slot,
    pub(super) b: Slot,
    pub(super) c: Slot,
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) bias: Option<Slot>,
    pub(super) after: After,
}

impl ByteProduct {
    fn panels(&self) -> usize {
        self.n.div_ceil(WIDTH)
    }

    /// Panels of a task.
    fn group(&self) -> usize {
        let products = ROW_BLOCK.min(self.m) * WIDTH * self.k;
        let bytes = panel_len(self.k) * BYTES;
        let few = if self.m <= ROWS { TASK_BYTES / bytes } else { usize::MAX };
        (TASK_PRODUCTS / products).min(few).clamp(1, self.panels())
    }
}

impl Kernel for ByteProduct {
    fn tasks(&self) -> usize {
        chunks(self.m, ROW_BLOCK) * chunks(self.panels(), self.group())
    }

    unsafe fn run(&self, context: &Context<'_>, task: usize, _: &mut [f32]) {
        let groups = chunks(self.panels(), self.group());
        let rows = chunk(self.m, ROW_BLOCK, task / groups);
        let panels = chunk(self.panels(), self.group(), task % groups);
        // SAFETY: operands are only read; tasks differ in rows or in columns.
        let (a, b, bias, residual) = unsafe {
            let floats = |slot| context.memory.floats(slot);
            (floats(self.a), floats(self.b), self.bias.map(floats), self.after.other.map(floats))
        };
        let (left_factors, left) = a.split_at(self.m.next_multiple_of(WIDTH));
        let (right_factors, right) = b.split_at(self.panels() * WIDTH);
        let pairs = self.k.div_ceil(2);
        for panel in panels.clone() {
            let packed = &right[panel * panel_len(self.k)..][..panel_len(self.k)];
            let columns = panel * WIDTH..((panel + 1) * WIDTH).min(self.n);
            let right_factors = &right_factors[panel * WIDTH..][..WIDTH];
            for first in rows.clone().step_by(ROWS) {
                let count = ROWS.min(rows.end - first);
                let left = &left[first * pairs..][..count * pairs];
                let sums = tile_sums(context.level, left, packed, pairs);
                for (i, sums) in sums.iter().enumerate().take(count) {
                    let at = (first + i) * self.n + columns.start;
                    // SAFETY: as above.
                    let out = unsafe { context.memory.part(self.c, at..at + columns.len()) };
                    scale(sums, left_factors[first + i], right_factors, out);
                }
            }
        }
        let start = bias.map_or(Start::Zero, Start::Columns);
        let columns = panels.start * WIDTH..(panels.end * WIDTH).min(self.n);
        for row in rows {
            let at = row * self.n + columns.start;
            // SAFETY: as above.
            let out = unsafe { context.memory.part(self.c, at..at + columns.len()) };
            let residual = residual.map(|residual| &residual[at..][..columns.len()]);
            let columns = columns.clone();
            context.level.run(Finish { start, columns, residual, after: self.after, out });
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "one rounding, as of any sum")]
fn scale(sums: &[i32; WIDTH], left: f32, right: &[f32], out: &mut [f32]) {
    for ((out, sum), right) in out.iter_mut().zip(sums).zip(right) {
        *out = *sum as f32 * (left * right);
    }
}

/// What follows the product of one row.
struct Finish<'a> {
    start: Start<'a>,
    columns: Range<usize>,
    residual: Option<&'a [f32]>,
    after: After,
    out: &'a mut [f32],
}

impl WithSimd for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if let Start::Columns(bias) = self.start {
            math::add_assign(simd, self.out, &bias[self.columns]);
        }
        if let Some(residual) = self.residual {
            math::add_assign(simd, self.out, residual);
        }
        math::activate(simd, self.after.activation, self.out);
    }
}

/// The sums of up to [`ROWS`] rows of activations with one panel.
fn tile_sums(level: Level, left: &[f32], panel: &[f32], pairs: usize) -> [[i32; WIDTH]; ROWS] {
    #[cfg(target_arch = "x86_64")]
    if level >= Level::Avx2
        && let Some(simd) = pulp::x86::V3::try_new()
    {
        return match left.len() / pairs {
            1 => simd.vectorize(|| tile_avx2::<1>(simd, left, panel, pairs)),
            2 => simd.vectorize(|| tile_avx2::<2>(simd, left, panel, pairs)),
            3 => simd.vectorize(|| tile_avx2::<3>(simd, left, panel, pairs)),
            _ => simd.vectorize(|| tile_avx2::<4>(simd, left, panel, pairs)),
        };
    }
    let _ = level;
    tile_portable(left, panel, pairs)
}

/// The bytes in the place of floats.
fn bytes_of(floats: &[f32]) -> &[i8] {
    pulp::bytemuck::cast_slice(floats)
}

fn tile_portable(left: &[f32], panel: &[f32], pairs: usize) -> [[i32; WIDTH]; ROWS] {
    let mut sums = [[0; WIDTH]; ROWS];
    for (sums, row) in sums.iter_mut().zip(left.chunks_exact(pairs)) {
        for (pair, weights) in row.iter().zip(bytes_of(panel).as_chunks::<{ 2 * WIDTH }>().0) {
            let [a, b]: [i16; 2] = pulp::cast(*pair);
            for (sum, weight) in sums.iter_mut().zip(weights.as_chunks::<2>().0) {
                *sum += i32::from(a) * i32::from(weight[0]) + i32::from(b) * i32::from(weight[1]);
            }
        }
    }
    sums
}

/// The same in vectors of eight columns, also where wider ones are there.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn tile_avx2<const COUNT: usize>(
    simd: pulp::x86::V3,
    left: &[f32],
    panel: &[f32],
    pairs: usize,
) -> [[i32; WIDTH]; ROWS] {
    let (avx, avx2) = (simd.avx, simd.avx2);
    let mut sums = [[avx._mm256_setzero_si256(); 2]; COUNT];
    let weights = bytes_of(panel).as_chunks::<16>().0.as_chunks::<2>().0;
    for (p, [first, second]) in weights.iter().enumerate().take(pairs) {
        let first = avx2._mm256_cvtepi8_epi16(pulp::cast(*first));
        let second = avx2._mm256_cvtepi8_epi16(pulp::cast(*second));
        for (i, sum) in sums.iter_mut().enumerate() {
            let pair = avx._mm256_set1_epi32(left[i * pairs + p].to_bits().cast_signed());
            sum[0] = avx2._mm256_add_epi32(sum[0], avx2._mm256_madd_epi16(pair, first));
            sum[1] = avx2._mm256_add_epi32(sum[1], avx2._mm256_madd_epi16(pair, second));
        }
    }
    let mut result = [[0; WIDTH]; ROWS];
    for (result, sum) in result.iter_mut().zip(sums) {
        *result = pulp::cast(sum);
    }
    result
}
