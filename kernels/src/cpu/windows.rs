//! Where windows lie over an image.

use crate::Window;
use std::ops::Range;

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
