//! A sound at another rate, by band-limited interpolation.
//!
//! Every new sample is the sum of old ones, weighted with a sinc under a Kaiser window (Smith, "Digital Audio
//! Resampling"; Kaiser & Schafer 1980 for the window's parameters). The band is that of soxr's "high quality", which
//! transformers' `load_audio` resamples with: flat up to 0.913 of the smaller half rate, -120 dB from that half rate
//! on. How near the two are is tested.

use super::sizes::{cut, real};
use std::f64::consts::PI;

/// Where the pass band ends, as a share of the smaller half rate.
const PASS: f64 = 0.913;

/// Attenuation of the stop band, in dB.
const ATTENUATION: f64 = 120.0;

/// Weights of phases that are kept, at most: 128 MiB. Two rates without a common divisor have as many phases as Hz.
const KEPT: usize = 1 << 24;

/// The samples at the rate `to`: `ceil(len · to / from)` of them. Both rates are in Hz and not 0.
pub(super) fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    let common = gcd(from, to);
    let (from, to) = ((from / common) as usize, (to / common) as usize);
    let count = (samples.len() * to).div_ceil(from);
    let kernel = Kernel::of(from, to);
    // New samples whose numbers are equal modulo `to` lie equally between old ones.
    let phases = to.min(count).min(KEPT / (2 * kernel.reach() + 1));
    let kept: Vec<_> = (0..phases).map(|i| kernel.weights(i, from, to)).collect();
    let sample = |i: usize| {
        let made = if i % to < phases { Vec::new() } else { kernel.weights(i, from, to) };
        let weights = kept.get(i % to).unwrap_or(&made);
        let middle = i * from / to;
        let before = kernel.reach().saturating_sub(middle);
        let olds = samples.iter().skip(middle + before - kernel.reach()).zip(&weights[before..]);
        #[expect(clippy::cast_possible_truncation, reason = "samples are f32")]
        (olds.map(|(&old, weight)| f64::from(old) * weight).sum::<f64>() as f32)
    };
    (0..count).map(sample).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The windowed sinc, over time in old samples.
struct Kernel {
    /// Twice the cut-off, in cycles per old sample.
    band: f64,
    /// Half the window's width.
    half_width: f64,
}

impl Kernel {
    fn of(from: usize, to: usize) -> Self {
        let band = (real(to) / real(from)).min(1.0);
        // Kaiser's formula: taps = (A - 7.95) / (2.285 · transition in radians per sample).
        let transition = (1.0 - PASS) * band * PI;
        let taps = (ATTENUATION - 7.95) / (2.285 * transition);
        Self { band: band * f64::midpoint(1.0, PASS), half_width: taps / 2.0 }
    }

    /// Old samples to each side.
    fn reach(&self) -> usize {
        cut(self.half_width.ceil())
    }

    fn at(&self, time: f64) -> f64 {
        let inside = 1.0 - (time / self.half_width).powi(2);
        if inside <= 0.0 {
            return 0.0;
        }
        let beta = 0.1102 * (ATTENUATION - 8.7);
        let x = PI * self.band * time;
        let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
        sinc * bessel(beta * inside.sqrt())
    }

    /// Weights of the old samples around new sample `i`, the one before it in the middle; their sum is 1.
    fn weights(&self, i: usize, from: usize, to: usize) -> Vec<f64> {
        let middle = real(self.reach()) + real(i * from % to) / real(to);
        let weights = (0..=2 * self.reach()).map(|j| self.at(real(j) - middle));
        let weights: Vec<_> = weights.collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }
}

/// The modified Bessel function of the first kind and order 0, by its power series.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut k = 1.0;
    while term > sum * f64::EPSILON {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processors::testing::Golden;

    /// `cycles` of a sine per sample.
    fn sine(count: usize, cycles: f64) -> Vec<f32> {
        #[expect(clippy::cast_possible_truncation, reason = "samples are f32")]
        (0..count).map(|i| (2.0 * PI * cycles * real(i)).sin() as f32).collect()
    }

    /// The largest difference away from the ends, where half of the window is beyond the sound.
    fn inner_error(found: &[f32], expected: &[f32]) -> f32 {
        assert_eq!(found.len(), expected.len());
        let inner = found.len() / 4..found.len() * 3 / 4;
        found[inner.clone()]
            .iter()
            .zip(&expected[inner])
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn what_is_in_the_band_is_kept_and_what_is_above_is_gone() {
        for (from, to) in [(8000, 16_000), (44_100, 16_000), (48_000, 16_000), (22_050, 48_000)] {
            let per_old = 0.4 * f64::from(from.min(to)) / f64::from(from);
            let found = resample(&sine(8000, per_old), from, to);
            let expected = sine(found.len(), per_old * f64::from(from) / f64::from(to));
            let error = inner_error(&found, &expected);
            assert!(error < 3e-6, "{from} to {to}: {error}");
        }
        // 12 kHz is above half of 16 kHz.
        let found = resample(&sine(48_000, 0.25), 48_000, 16_000);
        let error = inner_error(&found, &vec![0.0; found.len()]);
        assert!(error < 3e-6, "{error}");
    }

    /// Against soxr 1.1 at "HQ", as transformers calls it. The sound is white noise of deviation 0.3, so that what the
    /// two differ in, the last of the band before the half rate, is as loud as the rest; speech has little there.
    #[test]
    fn the_samples_are_near_those_of_soxr() {
        let golden = Golden::open("resample");
        let (_, source) = golden.floats("source");
        for (from, to) in [(8000, 16_000), (44_100, 16_000), (22_050, 48_000)] {
            let (_, expected) = golden.floats(&format!("{from}.{to}"));
            let found = resample(&source, from, to);
            let error = inner_error(&found, &expected);
            assert!(error < 3e-3, "{from} to {to}: {error}");
        }
    }
}
