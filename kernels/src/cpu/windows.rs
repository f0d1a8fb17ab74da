//! Where windows lie over an image, and the image as the right operand of a product: row (channel, i, j), column
//! position, packed for one block of rows and some panels at a time, so that no copy of the whole image is made.

use crate::Window;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Columns of the widest panel of any level.
const MOST_COLUMNS: usize = 32;

/// The sizes of an image and of the windows that slide over it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) window: Window,
    pub(super) batch: usize,
    /// Of the image and of the result.
    pub(super) channels: [usize; 2],
    /// Height and width of the image.
    pub(super) plane: [usize; 2],
    /// Rows and columns of positions.
    pub(super) positions: [usize; 2],
}

impl Geometry {
    /// `image` is `[b, c, h, w]`, `result` `[b, o, h', w']`.
    pub(super) fn new(window: Window, image: &[usize], result: &[usize]) -> Self {
        Self {
            window,
            batch: image[0],
            channels: [image[1], result[1]],
            plane: [image[2], image[3]],
            positions: [result[2], result[3]],
        }
    }

    /// Elements of one channel of the image.
    pub(super) fn plane_len(&self) -> usize {
        self.plane[0] * self.plane[1]
    }

    /// Elements of one channel of the result.
    pub(super) fn positions_len(&self) -> usize {
        self.positions[0] * self.positions[1]
    }

    /// Elements of a window.
    pub(super) fn taps(&self) -> usize {
        self.window.size[0] * self.window.size[1]
    }

    /// The place in the image under element `k` of the window at `position`; none in the padding.
    pub(super) fn at(&self, axis: usize, position: usize, k: usize) -> Option<usize> {
        let padded = position * self.window.stride[axis] + k * self.window.dilation[axis];
        padded.checked_sub(self.window.padding[axis][0]).filter(|&at| at < self.plane[axis])
    }

    /// The positions along an axis whose element `k` is in the image.
    pub(super) fn inside(&self, axis: usize, k: usize) -> Range<usize> {
        let offset = k * self.window.dilation[axis];
        let (before, stride) = (self.window.padding[axis][0], self.window.stride[axis]);
        let start = before.saturating_sub(offset).div_ceil(stride).min(self.positions[axis]);
        let end = (self.plane[axis] + before).saturating_sub(offset).div_ceil(stride);
        start..end.clamp(start, self.positions[axis])
    }
}

/// Packs a part of an image for a product.
pub(super) struct PackWindows<'a> {
    pub(super) geometry: &'a Geometry,
    /// The channels that the product sums over, plane after plane.
    pub(super) image: &'a [f32],
    /// The rows (channel, i, j) to be packed.
    pub(super) rows: Range<usize>,
    /// The positions to be packed; the first begins a panel.
    pub(super) columns: Range<usize>,
    /// The panels of these rows, one after the other.
    pub(super) to: &'a mut [f32],
}

impl WithSimd for PackWindows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = super::gemm::VECTORS * S::F32_LANES;
        let panels = self.to.chunks_exact_mut(width * self.rows.len());
        for (first, panel) in self.columns.clone().step_by(width).zip(panels) {
            let columns = first..(first + width).min(self.columns.end);
            let part = PanelPart { geometry: self.geometry, image: self.image, rows: &self.rows };
            part.pack(simd, columns, panel);
        }
    }
}

/// What the panels of one task have in common.
struct PanelPart<'a> {
    geometry: &'a Geometry,
    image: &'a [f32],
    rows: &'a Range<usize>,
}

impl PanelPart<'_> {
    #[inline(always)]
    fn pack<S: Simd>(&self, simd: S, columns: Range<usize>, panel: &mut [f32]) {
        let g = self.geometry;
        let width = super::gemm::VECTORS * S::F32_LANES;
        let whole = columns.len() == width;
        let [first, last] = [columns.start, columns.end - 1]
            .map(|column| [column / g.positions[1], column % g.positions[1]]);
        for tap in 0..g.taps() {
            let (i, j) = (tap / g.window.size[1], tap % g.window.size[1]);
            let at = |[row, column]: [usize; 2]| {
                Some(g.at(0, row, i)? * g.plane[1] + g.at(1, column, j)?)
            };
            match (at(first), at(last)) {
                (Some(start), Some(_))
                    if whole && first[0] == last[0] && g.window.stride[1] == 1 =>
                {
                    self.each(tap, panel, width, |plane, to| {
                        let (from, _) = S::as_simd_f32s(&plane[start..start + width]);
                        S::as_mut_simd_f32s(to).0.copy_from_slice(from);
                    });
                }
                _ => {
                    let mut offsets = [usize::MAX; MOST_COLUMNS];
                    for (offset, column) in offsets.iter_mut().zip(columns.clone()) {
                        let at = at([column / g.positions[1], column % g.positions[1]]);
                        *offset = at.unwrap_or(usize::MAX);
                    }
                    self.each(tap, panel, width, |plane, to| {
                        for (to, &offset) in to.iter_mut().zip(&offsets) {
                            *to = plane.get(offset).copied().unwrap_or(0.0);
                        }
                    });
                }
            }
        }
        let _ = simd;
    }

    /// Calls `copy` with the plane and the row of the panel of every channel that has this element of the window
    /// among the rows.
    #[inline(always)]
    fn each(
        &self,
        tap: usize,
        panel: &mut [f32],
        width: usize,
        mut copy: impl FnMut(&[f32], &mut [f32]),
    ) {
        let (taps, plane) = (self.geometry.taps(), self.geometry.plane_len());
        let first = self.rows.start.saturating_sub(tap).div_ceil(taps);
        let mut row = first * taps + tap;
        while row < self.rows.end {
            let channel = row / taps * plane;
            let to = &mut panel[(row - self.rows.start) * width..][..width];
            copy(&self.image[channel..channel + plane], to);
            row += taps;
        }
    }
}
