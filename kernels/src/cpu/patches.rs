//! An image as the right operand of a product: row (i, j, channel) of the window, column position. It is packed for
//! one block of rows and some panels at a time, so that no such copy of the whole image is ever made.

use super::gemm::VECTORS;
use super::windows::Geometry;
use pulp::{MemMask, Simd, WithSimd};
use std::ops::Range;

/// Columns of the widest panel of any level.
const MOST_COLUMNS: usize = 32;
/// Rows of positions in a panel, up to which it is copied in vectors.
const MOST_RUNS: usize = 4;
/// What stands for a place in the padding: no image has it.
const PADDING: usize = usize::MAX;

/// Packs a part of an image for a product.
pub(super) struct Patches<'a> {
    pub(super) geometry: &'a Geometry,
    /// The channels that the product sums over, plane after plane.
    pub(super) image: &'a [f32],
    /// The rows (i, j, channel) to be packed.
    pub(super) rows: Range<usize>,
    /// The positions to be packed; the first begins a panel.
    pub(super) columns: Range<usize>,
    /// The panels of these rows, one after the other.
    pub(super) to: &'a mut [f32],
}

impl WithSimd for Patches<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = VECTORS * S::F32_LANES;
        let plane = self.geometry.plane_len();
        let channels = self.image.len() / plane;
        let panels = self.to.chunks_exact_mut(width * self.rows.len());
        for (first, panel) in self.columns.clone().step_by(width).zip(panels) {
            let columns = Columns::new(self.geometry, first..self.columns.end.min(first + width));
            let mut row = self.rows.start;
            let mut rest = panel;
            while row < self.rows.end {
                let tap = row / channels;
                let end = ((tap + 1) * channels).min(self.rows.end);
                let (to, behind) = rest.split_at_mut((end - row) * width);
                let from = &self.image[row % channels * plane..][..(end - row) * plane];
                columns.copy(simd, tap, from, to);
                (row, rest) = (end, behind);
            }
        }
    }
}

/// The columns of one panel.
struct Columns<'a> {
    geometry: &'a Geometry,
    count: usize,
    /// Positions side by side: the first column, their number, the row and the column of the first position.
    runs: [(usize, usize, [usize; 2]); MOST_COLUMNS],
    run_count: usize,
    /// Where the first element of each window lies, if all that they show is in the image.
    firsts: Option<[usize; MOST_COLUMNS]>,
}

/// Vectors of a panel that are put together from the places where they lie in a plane: for each vector some masks
/// and where its first lane would be.
struct Pieces<S: Simd> {
    pieces: [[(MemMask<S::m32s>, isize); MOST_RUNS]; VECTORS],
    counts: [usize; VECTORS],
}

impl<'a> Columns<'a> {
    #[inline(always)]
    fn new(geometry: &'a Geometry, columns: Range<usize>) -> Self {
        let line = geometry.positions[1];
        let mut runs = [(0, 0, [0; 2]); MOST_COLUMNS];
        let mut run_count = 0;
        let mut column = columns.start;
        while column < columns.end {
            let at = [column / line, column % line];
            let len = (line - at[1]).min(columns.end - column);
            runs[run_count] = (column - columns.start, len, at);
            run_count += 1;
            column += len;
        }
        let mut new = Self { geometry, count: columns.len(), runs, run_count, firsts: None };
        if geometry.window.padding == [[0, 0]; 2] {
            new.firsts = Some(new.offsets([0, 0]));
        }
        new
    }

    /// Copies one element of the window from every plane of `from` to a row of `to`.
    #[inline(always)]
    fn copy<S: Simd>(&self, simd: S, tap: usize, from: &[f32], to: &mut [f32]) {
        let g = self.geometry;
        let width = VECTORS * S::F32_LANES;
        let tap = [tap / g.window.size[1], tap % g.window.size[1]];
        let planes = from.chunks_exact(g.plane_len()).zip(to.chunks_exact_mut(width));
        let stride = g.window.stride[1];
        if let Some(start) = self.whole::<S>(tap) {
            match stride {
                1 => planes.for_each(|(plane, to)| {
                    let vectors = S::as_simd_f32s(&plane[start..start + width]).0;
                    S::as_mut_simd_f32s(to).0.copy_from_slice(vectors);
                }),
                2 => planes.for_each(|(plane, to)| {
                    let pairs = plane[start..start + 2 * width - 1].chunks(2);
                    to.iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
                }),
                _ => planes.for_each(|(plane, to)| {
                    let from = plane[start..].iter().step_by(stride);
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                }),
            }
        } else if let Some(firsts) = self.firsts.filter(|_| stride > 1) {
            let dilation = g.window.dilation;
            let step = tap[0] * dilation[0] * g.plane[1] + tap[1] * dilation[1];
            planes.for_each(|(plane, to)| {
                let plane = &plane[step..];
                let (to, padding) = to.split_at_mut(self.count);
                to.iter_mut().zip(&firsts).for_each(|(to, first)| *to = plane[*first]);
                padding.fill(0.0);
            });
        } else if stride == 1 && self.run_count <= MOST_RUNS {
            let pieces = self.pieces(simd, tap);
            // SAFETY: the pieces are those of this plane's geometry.
            planes.for_each(|(plane, to)| unsafe { pieces.copy(simd, plane, to) });
        } else {
            let offsets = self.offsets(tap);
            planes.for_each(|(plane, to)| {
                for (to, &offset) in to.iter_mut().zip(&offsets) {
                    *to = plane.get(offset).copied().unwrap_or(0.0);
                }
            });
        }
    }

    /// Where the first column lies, if all columns fill the panel, are in one row and in the image.
    #[inline(always)]
    fn whole<S: Simd>(&self, tap: [usize; 2]) -> Option<usize> {
        if self.run_count > 1 || self.count < VECTORS * S::F32_LANES {
            return None;
        }
        let (_, len, [row, column]) = self.runs[0];
        let y = self.geometry.at(0, row, tap[0])?;
        self.geometry.at(1, column + len - 1, tap[1])?;
        Some(y * self.geometry.plane[1] + self.geometry.at(1, column, tap[1])?)
    }

    /// The parts of each run that are in the image: columns of the panel, and where the first one lies.
    #[inline(always)]
    fn parts(&self, tap: [usize; 2]) -> impl Iterator<Item = (Range<usize>, usize)> {
        let g = self.geometry;
        let inside = g.inside(1, tap[1]);
        self.runs[..self.run_count].iter().filter_map(move |&(first, len, [row, column])| {
            let (start, end) = (inside.start.max(column), inside.end.min(column + len));
            let y = g.at(0, row, tap[0]).filter(|_| start < end)?;
            let place = y * g.plane[1] + g.at(1, start, tap[1])?;
            Some((first + start - column..first + end - column, place))
        })
    }

    #[inline(always)]
    fn offsets(&self, tap: [usize; 2]) -> [usize; MOST_COLUMNS] {
        let mut offsets = [PADDING; MOST_COLUMNS];
        for (columns, place) in self.parts(tap) {
            let places = (place..).step_by(self.geometry.window.stride[1]);
            offsets[columns].iter_mut().zip(places).for_each(|(offset, place)| *offset = place);
        }
        offsets
    }

    #[inline(always)]
    fn pieces<S: Simd>(&self, simd: S, tap: [usize; 2]) -> Pieces<S> {
        let none = (MemMask::new(simd.mask_between_m32s(0, 0).mask()), 0);
        let mut pieces = [[none; MOST_RUNS]; VECTORS];
        let mut counts = [0; VECTORS];
        for (columns, place) in self.parts(tap) {
            for v in 0..VECTORS {
                let lanes = v * S::F32_LANES..(v + 1) * S::F32_LANES;
                let (start, end) = (columns.start.max(lanes.start), columns.end.min(lanes.end));
                if start < end {
                    let lane = |column: usize| (column - lanes.start) as u32;
                    let mask = simd.mask_between_m32s(lane(start), lane(end)).mask();
                    let first = place.cast_signed() + lanes.start.cast_signed()
                        - columns.start.cast_signed();
                    pieces[v][counts[v]] = (MemMask::new(mask), first);
                    counts[v] += 1;
                }
            }
        }
        Pieces { pieces, counts }
    }
}

impl<S: Simd> Pieces<S> {
    /// # Safety
    /// The places that the masks show lie within `plane`.
    #[inline(always)]
    unsafe fn copy(&self, simd: S, plane: &[f32], to: &mut [f32]) {
        for (v, to) in S::as_mut_simd_f32s(to).0.iter_mut().enumerate() {
            let mut vector = simd.splat_f32s(0.0);
            for (mask, first) in &self.pieces[v][..self.counts[v]] {
                let from = plane.as_ptr().wrapping_offset(*first);
                // SAFETY: passed on; hidden lanes are not read, and are zero.
                let piece = unsafe { simd.mask_load_ptr_f32s(*mask, from) };
                vector = simd.or_f32s(vector, piece);
            }
            *to = vector;
        }
    }
}
