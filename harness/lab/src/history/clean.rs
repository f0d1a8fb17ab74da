//! Tells spikes from levels, and estimates the scale of the noise along the series.
//!
//! A running median keeps every step whose levels last longer than half its window, and forgets every burst that is
//! shorter (Tukey, "Exploratory Data Analysis", 1977, chapter 7). What is far from it is a spike and counts no more;
//! what is somewhat far is drawn nearer (Huber, "Robust Statistics", 1981, section 1.7: winsorised residuals).

use super::SHORTEST;
use crate::stats::median;
use std::ops::Range;

/// The longest burst that is a spike and no regime.
pub(super) const BURST: usize = 5;
/// So many points that agree with each other at an end of the series are a regime already.
pub(super) const TAIL: usize = 3;
/// Points at an end agree if all are farther than so many scales from the level before, on the same side.
const AGREED: f64 = 2.0;
/// Half the window of the local scale.
const SCALE_HALF: usize = 20;
/// So many points of the global scale are mixed into the local one.
const SCALE_PRIOR: f64 = 20.0;
/// Farther than this from the running median, in local scales, is a spike.
const SPIKE: f64 = 5.0;
/// Residuals are drawn in to this many local scales.
const CLIP: f64 = 3.0;
/// Where there are modes, residuals are drawn in to so many times the distance of the mode.
const MODE_CLIP: f64 = 1.2;
/// If more points than this part (or [`BURST`] points) seem spikes, they are a mode of the noise and none are.
const SPIKE_SHARE: f64 = 0.1;

/// A series in units of its noise.
#[derive(Clone, Debug)]
pub(super) struct Cleaned {
    /// The winsorised values: (value − centre) ÷ unit.
    pub(super) y: Vec<f64>,
    /// The local scale of the noise, around 1.
    pub(super) scale: Vec<f64>,
    /// Points that are spikes.
    pub(super) spike: Vec<bool>,
    /// The running median, in the unit of the series.
    pub(super) level: Vec<f64>,
    /// Subtracted from the values.
    pub(super) centre: f64,
    /// What the values are divided by.
    pub(super) unit: f64,
}

/// Nothing for a series that is too short or constant.
pub(super) fn clean(values: &[f64]) -> Option<Cleaned> {
    let n = values.len();
    let centre = median(values).filter(|_| n >= SHORTEST)?;
    let reach = values.iter().map(|v| (v - centre).abs()).fold(0.0, f64::max);
    // Rounding of the values is no change, however constant they are.
    let floor = centre.abs().max(reach) * 1e-9;
    if reach <= floor {
        return None;
    }
    let mut level = running_median(values);
    keep_ends(values, &mut level, floor);
    let distance: Vec<f64> = values.iter().zip(&level).map(|(v, l)| (v - l).abs()).collect();
    let unit = spread(&distance).max(floor);
    let rough = rough_scale(&distance, unit);
    let (limit, clip) = limits(&distance, &rough);
    let spike: Vec<bool> = distance.iter().zip(&rough).map(|(d, s)| *d > limit * s).collect();
    let drawn: Vec<f64> = distance.iter().zip(&rough).map(|(d, s)| d.min(clip * s)).collect();
    let scale = smooth_scale(&drawn, &spike, floor);
    let unit = typical(&scale, &spike).max(floor);
    let y = values.iter().zip(&level).zip(&rough).map(|((v, l), s)| {
        let drawn = (v - l).clamp(-clip * s, clip * s);
        (l + drawn - centre) / unit
    });
    let y = y.collect();
    let scale = scale.iter().map(|s| (s / unit).max(0.2)).collect();
    Some(Cleaned { y, scale, spike, level, centre, unit })
}

/// The window of the running median around a point; at the ends it is shifted, not shortened.
fn window(index: usize, half: usize, n: usize) -> Range<usize> {
    let width = (2 * half + 1).min(n);
    let start = index.saturating_sub(half).min(n - width);
    start..start + width
}

fn running_median(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let at = |i| median(&values[window(i, BURST, n)]).unwrap_or_default();
    (0..n).map(at).collect()
}

/// A run at an end that the running median takes for a burst, but that is long enough for a regime, is its own level.
fn keep_ends(values: &[f64], level: &mut [f64], floor: f64) {
    let n = values.len();
    let distance: Vec<f64> = values.iter().zip(&*level).map(|(v, l)| v - l).collect();
    let sizes: Vec<f64> = distance.iter().map(|d| d.abs()).collect();
    let limit = AGREED * spread(&sizes).max(floor);
    let run = |indices: &mut dyn Iterator<Item = usize>| {
        let mut sign = 0.0;
        indices
            .take_while(|&i| {
                let same = sign == 0.0 || distance[i].signum() == sign;
                sign = distance[i].signum();
                same && sizes[i] > limit
            })
            .count()
    };
    let (head, tail) = (run(&mut (0..n)), run(&mut (0..n).rev()));
    for range in [0..head, n - tail..n] {
        if range.len() >= TAIL && range.len() <= n / 2 {
            let own = median(&values[range.clone()]).unwrap_or_default();
            level[range].fill(own);
        }
    }
}

/// A scale of distances that half of them do not move: the scaled median; if that is zero because values are tied,
/// the scaled mean of all but the largest tenth; then of all but a twentieth.
fn spread(distances: &[f64]) -> f64 {
    let mut sorted = distances.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = 1.4826 * median(&sorted).unwrap_or_default();
    let mean = |part: f64| {
        let count = ((sorted.len() as f64 * part) as usize).max(1);
        1.2533 * sorted[..count].iter().sum::<f64>() / count as f64
    };
    [middle, mean(1.0 - SPIKE_SHARE)].into_iter().find(|scale| *scale > 0.0).unwrap_or(0.0)
}

/// The local median distance, mixed with the global scale; for telling spikes.
fn rough_scale(distance: &[f64], unit: f64) -> Vec<f64> {
    let n = distance.len();
    let at = |i| {
        let near = &distance[window(i, SCALE_HALF, n)];
        let local = 1.4826 * median(near).unwrap_or_default();
        let weight = near.len() as f64;
        ((weight * local * local + SCALE_PRIOR * unit * unit) / (weight + SCALE_PRIOR)).sqrt()
    };
    (0..n).map(at).collect()
}

/// From how many scales on a point is a spike, and to how many scales others are drawn in. If too many would be spikes
/// they are a mode of the noise: then none is, and that mode is left as it is.
fn limits(distance: &[f64], scale: &[f64]) -> (f64, f64) {
    let mut ratios: Vec<f64> = distance.iter().zip(scale).map(|(d, s)| d / s).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let spared = ((ratios.len() as f64 * SPIKE_SHARE) as usize).max(BURST).min(ratios.len() - 1);
    let common = ratios[ratios.len() - 1 - spared];
    if common > SPIKE { (f64::INFINITY, MODE_CLIP * common) } else { (SPIKE, CLIP) }
}

/// The local root mean square of winsorised distances, mixed with the global one.
fn smooth_scale(drawn: &[f64], spike: &[bool], floor: f64) -> Vec<f64> {
    let n = drawn.len();
    let mut squares = vec![0.0; n + 1];
    let mut counts = vec![0.0; n + 1];
    for i in 0..n {
        let counted = f64::from(u8::from(!spike[i]));
        squares[i + 1] = squares[i] + counted * drawn[i] * drawn[i];
        counts[i + 1] = counts[i] + counted;
    }
    let global = squares[n] / counts[n].max(1.0);
    let at = |i| {
        let Range { start, end } = window(i, SCALE_HALF, n);
        let (square, count) = (squares[end] - squares[start], counts[end] - counts[start]);
        ((square + SCALE_PRIOR * global) / (count + SCALE_PRIOR)).max(0.0).sqrt().max(floor)
    };
    (0..n).map(at).collect()
}

/// The median scale of the points that are no spikes.
fn typical(scale: &[f64], spike: &[bool]) -> f64 {
    let plain: Vec<f64> = scale.iter().zip(spike).filter(|(_, s)| !**s).map(|(v, _)| *v).collect();
    median(&plain).unwrap_or_default()
}
