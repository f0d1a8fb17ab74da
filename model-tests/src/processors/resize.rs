//! Resampling of pictures, to the bit as torchvision does it on a CPU, which is what transformers 5 uses by default.
//!
//! Each pass is a convolution with a filter that is stretched when the picture shrinks; weights are rounded to 16
//! bits with as many binary places as they all have room for, sums are exact, and each pass rounds to 8 bits. Columns
//! come first. Pillow keeps more binary places and takes the cheaper pass first, so it differs by a level here and
//! there, and by more where a cubic filter overshoots between the passes.
//! The filters' formulas: Pillow's documentation, "Concepts: Filters"; the cubic is Keys's with a = -1/2.

use super::picture::{Picture, check};
use super::sizes::real;
use std::f64::consts::PI;

/// How pixels between pixels are made: transformers' `resample`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Filter {
    /// The pixel whose middle is nearest.
    Nearest,
    /// A triangle, 2 pixels wide.
    Linear,
    /// A cubic spline, 4 pixels wide.
    Cubic,
    /// A windowed sinc, 6 pixels wide.
    Lanczos,
}

impl Filter {
    /// The number of Pillow's enumeration; none for the two that torchvision does not have.
    pub(super) fn of(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Nearest,
            1 => Self::Lanczos,
            2 => Self::Linear,
            3 => Self::Cubic,
            _ => return None,
        })
    }

    /// Half the width, in pixels of the smaller picture.
    fn radius(self) -> f64 {
        match self {
            Self::Nearest => 0.5,
            Self::Linear => 1.0,
            Self::Cubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Nearest => f64::from(u8::from(x < 0.5)),
            Self::Linear => (1.0 - x).max(0.0),
            Self::Cubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Cubic if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Self::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
            Self::Cubic | Self::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// The picture at another size; an error if it would be empty or too large.
pub(super) fn resize(
    picture: &Picture,
    height: usize,
    width: usize,
    filter: Filter,
) -> Result<Picture, String> {
    check(height, width)?;
    // Between the passes it has the one's width and the other's height.
    check(picture.height, width)?;
    let mut now = picture.clone();
    if width != now.width {
        now = pass(&now, Axis::Columns, width, filter);
    }
    if height != now.height {
        now = pass(&now, Axis::Rows, height, filter);
    }
    Ok(now)
}

#[derive(Clone, Copy)]
enum Axis {
    Columns,
    Rows,
}

/// What one pixel of the new picture is made of: the first old pixel, and the weights from there on.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

fn pass(picture: &Picture, axis: Axis, size: usize, filter: Filter) -> Picture {
    let Picture { height, width, data } = picture;
    match axis {
        Axis::Columns => {
            let (taps, places) = taps(*width, size, filter);
            let rows = data.chunks_exact(width * 3);
            let pixel = |row: &[u8], taps: &Taps| {
                let pixels = row[taps.first * 3..].chunks_exact(3).zip(&taps.weights);
                let mut sums = [half(places); 3];
                for (pixel, weight) in pixels {
                    sums.iter_mut().zip(pixel).for_each(|(sum, &v)| *sum += i32::from(v) * weight);
                }
                sums.map(|sum| level(sum, places))
            };
            let data = rows.flat_map(|row| taps.iter().flat_map(move |taps| pixel(row, taps)));
            Picture { height: *height, width: size, data: data.collect() }
        }
        Axis::Rows => {
            let (taps, places) = taps(*height, size, filter);
            let stride = width * 3;
            let mut new = Vec::with_capacity(size * stride);
            for taps in &taps {
                let mut sums = vec![half(places); stride];
                let rows = data[taps.first * stride..].chunks_exact(stride).zip(&taps.weights);
                for (row, weight) in rows {
                    sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += i32::from(v) * weight);
                }
                new.extend(sums.iter().map(|&sum| level(sum, places)));
            }
            Picture { height: size, width: *width, data: new }
        }
    }
}

/// Half of the last level, in a number with this many binary places.
const fn half(places: u32) -> i32 {
    if places == 0 { 0 } else { 1 << (places - 1) }
}

fn level(sum: i32, places: u32) -> u8 {
    #[expect(clippy::cast_sign_loss, reason = "clamped")]
    ((sum >> places).clamp(0, 255) as u8)
}

/// Weights of every new pixel, and how many binary places they have.
fn taps(old: usize, new: usize, filter: Filter) -> (Vec<Taps>, u32) {
    if filter == Filter::Nearest {
        return (nearest(old, new), 0);
    }
    let scale = real(old) / real(new);
    let stretch = scale.max(1.0);
    let shrink = 1.0 / stretch;
    let radius = filter.radius() * stretch;
    let mut all = Vec::with_capacity(new);
    let mut largest = 0.0f64;
    for i in 0..new {
        let centre = scale * (real(i) + 0.5);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        let (first, end) = (
            (centre - radius + 0.5).max(0.0) as usize,
            ((centre + radius + 0.5) as usize).min(old),
        );
        let weight = |j: usize| filter.weight((real(j) - centre + 0.5) * shrink);
        let weights: Vec<_> = (first..end).map(weight).collect();
        let total: f64 = weights.iter().sum();
        let weights: Vec<_> = weights.iter().map(|weight| weight / total).collect();
        largest = weights.iter().copied().fold(largest, f64::max);
        all.push((first, weights));
    }
    let places = places(largest);
    let rounded = all.into_iter().map(|(first, weights)| {
        // Half away from zero, as `round` does.
        #[expect(clippy::cast_possible_truncation, reason = "below 2^15")]
        let weights = weights.iter().map(|w| (w * f64::from(1u32 << places)).round() as i32);
        Taps { first, weights: weights.collect() }
    });
    (rounded.collect(), places)
}

/// The most binary places, 22 at most, at which the largest weight stays below 2^15.
fn places(largest: f64) -> u32 {
    let fits = |places: &u32| largest * f64::from(1u32 << (places + 1)) + 0.5 < 32_768.0;
    (0..22).take_while(fits).count().try_into().unwrap_or(22)
}

/// The index is found in f32, as torch finds it.
fn nearest(old: usize, new: usize) -> Vec<Taps> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "torch does the same"
    )]
    let index = |i: usize| ((i as f32 + 0.5) * (old as f32 / new as f32)).floor() as usize;
    (0..new).map(|i| Taps { first: index(i).min(old - 1), weights: vec![1] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processors::testing::Golden;

    fn picture(golden: &Golden, name: &str) -> Picture {
        let (shape, values) = golden.bytes(name);
        Picture { height: shape[0], width: shape[1], data: values }
    }

    /// For every filter, larger, smaller, and both at once.
    #[test]
    fn every_pixel_is_that_of_torchvision() {
        let golden = Golden::open("resize");
        let source = picture(&golden, "source");
        let mut compared = 0;
        for (number, name) in ["nearest", "lanczos", "linear", "cubic"].iter().enumerate() {
            for (height, width) in [(11, 13), (40, 55), (9, 60), (37, 20)] {
                let expected = picture(&golden, &format!("{name}.{height}x{width}"));
                let filter = Filter::of(number as u64).unwrap();
                let found = resize(&source, height, width, filter).unwrap();
                assert_eq!(found, expected, "{name} {height}x{width}");
                compared += 1;
            }
        }
        assert_eq!(compared, 16);
    }

    #[test]
    fn the_same_size_changes_nothing_and_a_huge_one_is_refused() {
        let source = Picture::filled(3, 5, [1, 2, 3]).unwrap();
        assert_eq!(resize(&source, 3, 5, Filter::Cubic).unwrap(), source);
        let message = resize(&source, 3, 1 << 30, Filter::Cubic).unwrap_err();
        assert!(message.contains("is too large"), "{message}");
    }
}
