//! The matrix product of the CPU device: register tiles over a right operand that is packed into panels.
//!
//! A panel holds `width` columns of the right operand, `[k][width]`, padded with zeros (`panels`). A tile keeps some
//! rows of one panel's columns of the result in registers (`tile`; Goto and van de Geijn, "Anatomy of high-performance
//! matrix multiplication", TOMS 34(3), 2008). The left operand is read where it is, unless it is constant while the
//! right one is not, as filters are. Weights are packed once.

use super::level::Level;
use super::math;
pub(super) use super::panels::{
    Partition, Strides, pack, pack_halves, pack_panel, packed_len, panel_width,
};
use super::tile::{FEW_ROWS, LEFT_TILES, PLAIN, Tile, tile_rows_of};
pub(super) use super::tile::{Start, VECTORS, tile_rows};
use crate::Activation;
use pulp::{Simd, WithSimd};
use std::ops::Range;

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
        let reused = self.rows > if self.halves { FEW_ROWS } else { tile_rows_of::<S>() };
        let depth = if reused { depth_block(self.k, width) } else { self.k };
        if self.halves && reused {
            self.run_widened(simd, depth);
        } else {
            self.run_as_packed(simd, depth);
        }
        if !matches!(self.activation, Activation::Identity | Activation::Relu) {
            self.finish(simd);
        }
    }
}

impl Part<'_> {
    #[inline(always)]
    fn run_as_packed<S: Simd>(&self, simd: S, depth: usize) {
        for first in (0..self.k).step_by(depth) {
            let block = first..(first + depth).min(self.k);
            if self.left_packed {
                // A tile stays, panels pass by: the rows of the result are written on and on.
                for row in (0..self.rows).step_by(tile_rows_of::<S>()) {
                    for panel in self.panels.clone() {
                        let right = self.right::<S>(panel, &block);
                        let (tile, start) = self.tile::<S>(row, panel, right, &block);
                        // SAFETY: `run` has checked the operands; its caller answers for the result.
                        unsafe { tile.run_whole::<S, LEFT_TILES>(simd, start) };
                    }
                }
                continue;
            }
            for panel in self.panels.clone() {
                let right = self.right::<S>(panel, &block);
                if self.halves {
                    let (tile, start) = self.tile::<S>(0, panel, right, &block);
                    // SAFETY: as above.
                    unsafe { tile.run_right_halves(simd, start) };
                    continue;
                }
                for row in (0..self.rows).step_by(tile_rows_of::<S>()) {
                    let (tile, start) = self.tile::<S>(row, panel, right, &block);
                    // SAFETY: as above.
                    unsafe { tile.run_whole::<S, PLAIN>(simd, start) };
                }
            }
        }
    }

    /// With a right operand in bf16 that many tiles want: a block of a panel becomes floats once for all of them.
    #[inline(always)]
    fn run_widened<S: Simd>(&self, simd: S, depth: usize) {
        let width = VECTORS * S::F32_LANES;
        let mut wide = [0.0; PANEL_CACHE_BYTES / size_of::<f32>()];
        for first in (0..self.k).step_by(depth) {
            let block = first..(first + depth).min(self.k);
            let wide = &mut wide[..block.len() * width];
            for panel in self.panels.clone() {
                self.widen(simd, self.right::<S>(panel, &block), wide);
                for row in (0..self.rows).step_by(tile_rows_of::<S>()) {
                    let (tile, start) = self.tile::<S>(row, panel, wide, &block);
                    // SAFETY: `run` has checked the operands; its caller answers for the result.
                    unsafe { tile.run_whole::<S, PLAIN>(simd, start) };
                }
            }
        }
    }
}

impl Part<'_> {
    /// One block of the depth of a panel.
    #[inline(always)]
    fn right<S: Simd>(&self, panel: usize, block: &Range<usize>) -> &[f32] {
        let width = VECTORS * S::F32_LANES;
        // Of bf16 two rows take the room of one.
        let (whole, start, len) = if self.halves {
            (self.k.div_ceil(2), block.start / 2, block.len().div_ceil(2))
        } else {
            (self.k, block.start, block.len())
        };
        &self.packed[(panel * whole + start) * width..][..len * width]
    }

    /// A block of a panel in bf16 as floats.
    #[inline(always)]
    fn widen<S: Simd>(&self, simd: S, from: &[f32], to: &mut [f32]) {
        let (shift, upper) = (simd.splat_u32s(16), simd.splat_u32s(0xffff_0000));
        let (from, _) = S::as_simd_f32s(from);
        let (to, _) = S::as_mut_simd_f32s(to);
        for (from, to) in from.chunks_exact(VECTORS).zip(to.chunks_mut(2 * VECTORS)) {
            let (first, second) = to.split_at_mut(VECTORS);
            for v in 0..VECTORS {
                let words = simd.transmute_u32s_f32s(from[v]);
                let lower = simd.wrapping_dyn_shl_u32s(words, shift);
                first[v] = simd.transmute_f32s_u32s(lower);
                // An odd last row has no other.
                if let Some(to) = second.get_mut(v) {
                    *to = simd.transmute_f32s_u32s(simd.and_u32s(words, upper));
                }
            }
        }
    }

    /// One tile for one block of the depth, and what it begins with.
    #[inline(always)]
    fn tile<S: Simd>(
        &self,
        row: usize,
        panel: usize,
        right: &[f32],
        block: &Range<usize>,
    ) -> (Tile, Start<'_>) {
        let width = VECTORS * S::F32_LANES;
        // Of a packed tile an element of the depth has all rows.
        let step = if self.left_packed { tile_rows_of::<S>() } else { 1 };
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
        let tile = unsafe {
            Tile {
                a: self.a.as_ptr().add(row * self.stride_a + block.start * step),
                stride_a: self.stride_a,
                packed: right.as_ptr(),
                depth: block.len(),
                c: self.c.add(at),
                stride_c: self.stride_c,
                rows: count,
                columns: columns.len(),
                residual: residual.map(|residual| residual.as_ptr().add(at)),
                rectifies: is_last && self.activation == Activation::Relu,
            }
        };
        (tile, start)
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
