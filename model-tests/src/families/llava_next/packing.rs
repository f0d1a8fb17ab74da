//! How LLaVA-NeXT cuts a picture of any size into tiles, and which of their features it keeps, as transformers'
//! `select_best_resolution` and `pack_image_features` define it. The arithmetic decides between whole numbers, so it
//! is done in the same order and in f64, as Python does.

/// Sizes that decide where tiles and features go.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Packing {
    /// Rows and columns in pixels that pictures are scaled and padded to.
    pub(super) resolutions: Vec<[usize; 2]>,
    /// Rows, and columns, of a tile in pixels.
    pub(super) tile: usize,
    /// Rows, and columns, of a tile in features.
    pub(super) side: usize,
}

/// One row of the text that a picture becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A feature of a tile; tile 0 is the whole picture.
    Feature(usize, usize),
    /// The end of a line.
    Newline,
}

impl Packing {
    /// The resolution that loses least of a picture, and then wastes least; the first of equals.
    pub(super) fn resolution(&self, [rows, columns]: [usize; 2]) -> [usize; 2] {
        let mut best = None;
        for &[high, wide] in &self.resolutions {
            let (picture, whole) = (rows.saturating_mul(columns), high.saturating_mul(wide));
            let scale = (ratio(wide, columns)).min(ratio(high, rows));
            let [fit_wide, fit_high] = [columns, rows].map(|size| truncated(float(size) * scale));
            let kept = fit_wide.saturating_mul(fit_high).min(picture);
            let wasted = whole.saturating_sub(kept);
            let better =
                best.is_none_or(|(most, least, _)| kept > most || (kept == most && wasted < least));
            if better {
                best = Some((kept, wasted, [high, wide]));
            }
        }
        best.map_or([0, 0], |(_, _, resolution)| resolution)
    }

    /// Rows and columns of the tiles of a picture, beside the whole one; an error if they do not fill its resolution.
    pub(super) fn grid(&self, picture: [usize; 2]) -> Result<[usize; 2], String> {
        let resolution = self.resolution(picture);
        if resolution.iter().any(|&size| size == 0 || !size.is_multiple_of(self.tile)) {
            return Err(format!(
                "a picture of {picture:?} is scaled to {resolution:?} (`image_grid_pinpoints`), which tiles of {} \
                 do not fill",
                self.tile
            ));
        }
        Ok(resolution.map(|size| size / self.tile))
    }

    /// Tiles of a picture, the whole one included.
    pub(super) fn tiles(&self, picture: [usize; 2]) -> Result<usize, String> {
        Ok(1 + self.grid(picture)?.iter().product::<usize>())
    }

    /// The features that a picture becomes: all of the whole picture, then those of the tiles line by line, without
    /// what was padded.
    pub(super) fn pieces(&self, picture: [usize; 2]) -> Result<Vec<Piece>, String> {
        let grid = self.grid(picture)?;
        let [rows, columns] = kept(picture, grid.map(|tiles| tiles * self.side));
        let whole = (0..self.side * self.side).map(|feature| Piece::Feature(0, feature));
        let mut pieces: Vec<_> = whole.collect();
        for row in rows {
            for column in columns.clone() {
                let tile = 1 + row / self.side * grid[1] + column / self.side;
                let feature = row % self.side * self.side + column % self.side;
                pieces.push(Piece::Feature(tile, feature));
            }
            pieces.push(Piece::Newline);
        }
        Ok(pieces)
    }
}

/// The rows and columns of all tiles that a picture fills: what pads it is cut off at both sides alike.
fn kept([rows, columns]: [usize; 2], [high, wide]: [usize; 2]) -> [std::ops::Range<usize>; 2] {
    let cut = |whole: usize, filled: usize| {
        let padding = whole.saturating_sub(filled) / 2;
        padding..whole - padding
    };
    if ratio(columns, rows) > ratio(wide, high) {
        [cut(high, rounded(float(rows) * ratio(wide, columns))), 0..wide]
    } else {
        [0..high, cut(wide, rounded(float(columns) * ratio(high, rows)))]
    }
}

fn ratio(a: usize, b: usize) -> f64 {
    float(a) / float(b)
}

#[expect(clippy::cast_precision_loss, reason = "pictures have far fewer than 2^53 rows")]
fn float(size: usize) -> f64 {
    size as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Python's int() of a number that is not negative"
)]
fn truncated(x: f64) -> usize {
    x as usize
}

/// `int(round(x, 7))`: what is less than half of 10⁻⁷ below a whole number counts as that number.
fn rounded(x: f64) -> usize {
    let above = x.ceil();
    truncated(if above - x < 5e-8 { above } else { x })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packing(resolutions: &[[usize; 2]]) -> Packing {
        Packing { resolutions: resolutions.to_vec(), tile: 336, side: 24 }
    }

    #[test]
    fn the_resolution_is_the_one_that_loses_least_and_then_wastes_least() {
        let published = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]];
        let packing = packing(&published);
        // From transformers 5.23, select_best_resolution.
        let expected = [
            ([480, 640], [672, 672]),
            ([100, 1000], [336, 1008]),
            ([336, 672], [336, 672]),
            ([2000, 500], [1008, 336]),
            ([1, 1], [336, 672]),
        ];
        for (picture, resolution) in expected {
            assert_eq!(packing.resolution(picture), resolution, "{picture:?}");
        }
    }

    #[test]
    fn what_pads_a_picture_is_cut_off_at_both_sides() {
        // From transformers 5.23, unpad_image.
        assert_eq!(kept([480, 640], [48, 48]), [6..42, 0..48]);
        assert_eq!(kept([640, 480], [48, 48]), [0..48, 6..42]);
        assert_eq!(kept([100, 1000], [24, 72]), [8..16, 0..72]);
        assert_eq!(kept([1, 300], [4, 4]), [2..2, 0..4]);
        assert_eq!(kept([300, 1], [5, 5]), [0..5, 2..3]);
    }

    #[test]
    fn a_resolution_that_tiles_do_not_fill_is_refused() {
        let message = packing(&[[336, 500]]).tiles([10, 10]).unwrap_err();
        assert!(message.contains("[336, 500]") && message.contains("336 do not fill"), "{message}");
    }
}
