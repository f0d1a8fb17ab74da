//! LLaVA-NeXT's pictures of any aspect: the whole picture, then the tiles of the largest that fits one of several
//! resolutions.
//!
//! The rules and their roundings are transformers' `select_best_resolution` and `get_patch_output_size`.

use super::picture::Picture;
use super::pictures::{Frame, PictureProcessor, checked};
use super::resize::resize;
use super::sizes::{Size, cut, real};

impl PictureProcessor {
    /// The whole picture, then the tiles, row by row.
    pub(super) fn tiles(&self, picture: &Picture) -> Result<Vec<Frame>, String> {
        let (height, width) = best(&self.pinpoints, picture);
        let (new_height, new_width) = fitting(picture, height, width);
        let resized = resize(picture, new_height, new_width, self.filter)?;
        let corner = ((height - new_height) / 2, (width - new_width) / 2);
        let large = resized.set_into((height, width), corner, [0; 3])?;
        let (whole_height, whole_width) = match self.size {
            Size::Exact(height, width) => (height, width),
            Size::Shortest(edge) | Size::Between(edge, _) => (edge, edge),
            Size::Within(..) => {
                return Err("its `size` has neither edges nor height and width".into());
            }
        };
        let whole = resize(picture, whole_height, whole_width, self.filter)?;
        let mut frames = vec![self.finish(&whole)?];
        let (first_height, first_width) = (frames[0].height, frames[0].width);
        // Before a tile is made: a small edge makes very many of a large one.
        let edge = self.tile;
        let count = 1 + height.div_ceil(edge) * width.div_ceil(edge);
        checked(&[count, 3, first_height, first_width])?;
        for top in (0..height).step_by(edge) {
            for left in (0..width).step_by(edge) {
                let (below, right) = (edge.min(height - top), edge.min(width - left));
                frames.push(self.finish(&large.window(top, left, below, right))?);
            }
        }
        if frames.iter().any(|f| (f.height, f.width) != (first_height, first_width)) {
            return Err(format!(
                "its tiles differ in size from the whole, {first_height} by {first_width}: `do_resize` and \
                 `do_center_crop` of the preprocessing must make them equal"
            ));
        }
        Ok(frames)
    }

    /// Gives every picture as many tiles as the one with the most, of zeros.
    pub(super) fn pad_tiles(&self, made: &mut [Vec<Frame>]) -> Result<(), String> {
        let most = made.iter().map(Vec::len).max().unwrap_or(0);
        if !self.pad && made.iter().any(|tiles| tiles.len() != most) {
            return Err("the pictures have different numbers of tiles, and `do_pad` of the preprocessing is false: \
                        give them one at a time"
                .into());
        }
        let (height, width) = (made[0][0].height, made[0][0].width);
        checked(&[made.len(), most, 3, height, width])?;
        let empty = Frame { height, width, values: vec![0.0; 3 * height * width] };
        made.iter_mut().for_each(|tiles| tiles.resize(most, empty.clone()));
        Ok(())
    }
}

/// The resolution that keeps the most of the picture, and of those the one that wastes the least.
fn best(pinpoints: &[(usize, usize)], picture: &Picture) -> (usize, usize) {
    let pixels = picture.height * picture.width;
    let kept = |height: usize, width: usize| {
        let scale = (real(width) / real(picture.width)).min(real(height) / real(picture.height));
        let scaled = cut(real(picture.width) * scale) * cut(real(picture.height) * scale);
        scaled.min(pixels)
    };
    let mut best = pinpoints[0];
    let mut best_kept = kept(best.0, best.1);
    for &(height, width) in &pinpoints[1..] {
        let now = kept(height, width);
        let wastes_less = height * width < best.0 * best.1;
        if now > best_kept || (now == best_kept && wastes_less) {
            (best, best_kept) = ((height, width), now);
        }
    }
    best
}

/// Height and width of the largest picture of the same aspect that fits.
fn fitting(picture: &Picture, height: usize, width: usize) -> (usize, usize) {
    let scale_width = real(width) / real(picture.width);
    let scale_height = real(height) / real(picture.height);
    if scale_width < scale_height {
        (cut((real(picture.height) * scale_width).ceil()).min(height), width)
    } else {
        (height, cut((real(picture.width) * scale_height).ceil()).min(width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are those of `select_best_resolution` and `get_patch_output_size`.
    #[test]
    fn resolutions_are_chosen_as_transformers_chooses_them() {
        let pinpoints = [(336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)];
        let cases = [
            ((300, 500), (336, 672), (336, 560)),
            ((1000, 300), (1008, 336), (1008, 303)),
            ((600, 601), (672, 672), (671, 672)),
            ((20, 333), (336, 672), (41, 672)),
        ];
        for ((height, width), resolution, fitted) in cases {
            let picture = Picture { height, width, data: Vec::new() };
            let found = best(&pinpoints, &picture);
            assert_eq!(found, resolution, "{height}x{width}");
            assert_eq!(fitting(&picture, found.0, found.1), fitted, "{height}x{width}");
        }
    }
}
