//! From samples to log-mel spectrograms: frames, their power spectra, and banks of triangular filters.
//!
//! The formulas are those of transformers' `audio_utils` (after librosa and torchaudio): mel scales of O'Shaughnessy
//! ("htk") and of Slaney's Auditory Toolbox. All sums are in f64.

use super::sizes::real;
use realfft::{RealFftPlanner, RealToComplex};
use std::f64::consts::PI;
use std::sync::Arc;

/// How pitch grows with frequency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Logarithmic: 2595 · log10(1 + f / 700). The filters' peaks are 1.
    Htk,
    /// Linear up to 1 kHz, logarithmic above. The filters' areas are equal.
    Slaney,
}

impl Scale {
    fn mel(self, hertz: f64) -> f64 {
        match self {
            Self::Htk => 2595.0 * (1.0 + hertz / 700.0).log10(),
            Self::Slaney if hertz >= 1000.0 => 15.0 + (hertz / 1000.0).ln() * 27.0 / 6.4f64.ln(),
            Self::Slaney => 3.0 * hertz / 200.0,
        }
    }

    fn hertz(self, mel: f64) -> f64 {
        match self {
            Self::Htk => 700.0 * (10f64.powf(mel / 2595.0) - 1.0),
            Self::Slaney if mel >= 15.0 => 1000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp(),
            Self::Slaney => 200.0 * mel / 3.0,
        }
    }
}

/// A bank of triangular filters over the bins of a spectrum.
#[derive(Debug)]
pub(super) struct Bank {
    filters: Vec<Filter>,
}

/// One filter: the first bin that it hears, and its weights from there on.
#[derive(Debug)]
struct Filter {
    first: usize,
    weights: Vec<f64>,
}

impl Bank {
    /// `count` filters over `bins` bins from 0 to half of `rate`, between two frequencies. All in Hz.
    pub(super) fn of(
        scale: Scale,
        count: usize,
        bins: usize,
        (low, high): (f64, f64),
        rate: usize,
    ) -> Self {
        let (low, high) = (scale.mel(low), scale.mel(high));
        let step = (high - low) / real(count + 1);
        let edges: Vec<_> = (0..count + 2).map(|i| scale.hertz(low + step * real(i))).collect();
        // Whole Hz, as the original halves the rate.
        let bin = real(rate / 2) / real(bins - 1);
        let filters = edges.windows(3).map(|edges| {
            let [low, peak, high] = [edges[0], edges[1], edges[2]];
            let area = if scale == Scale::Slaney { 2.0 / (high - low) } else { 1.0 };
            let weight = |i: usize| {
                let hertz = real(i) * bin;
                let side = ((hertz - low) / (peak - low)).min((high - hertz) / (high - peak));
                side.max(0.0) * area
            };
            let heard = |i: &usize| weight(*i) > 0.0;
            let first = (0..bins).find(heard).unwrap_or(0);
            let end = (0..bins).rfind(heard).map_or(first, |last| last + 1);
            Filter { first, weights: (first..end).map(weight).collect() }
        });
        Self { filters: filters.collect() }
    }

    /// What each filter hears of a spectrum.
    pub(super) fn hear(&self, spectrum: &[f64]) -> impl Iterator<Item = f64> {
        self.filters.iter().map(|filter| {
            let heard = spectrum[filter.first..].iter().zip(&filter.weights);
            heard.map(|(power, weight)| power * weight).sum()
        })
    }
}

/// Frames of a sound under a Hann window, and their spectra.
pub(super) struct Spectra {
    size: usize,
    hop: usize,
    window: Vec<f64>,
    fourier: Arc<dyn RealToComplex<f64>>,
}

impl Spectra {
    /// Frames of `size` samples, `hop` apart. Both are at least 1.
    pub(super) fn of(size: usize, hop: usize) -> Self {
        let window = |i| 0.5 - 0.5 * (2.0 * PI * real(i) / real(size)).cos();
        let fourier = RealFftPlanner::new().plan_fft_forward(size);
        Self { size, hop, window: (0..size).map(window).collect(), fourier }
    }

    /// The power spectrum, `size / 2 + 1` bins, of every frame. The frames' middles are at 0, `hop`, 2 `hop`, …;
    /// beyond its ends, the sound is mirrored. None if the sound is too short to be mirrored.
    pub(super) fn power(&self, samples: &[f32]) -> Option<Vec<Vec<f64>>> {
        let around = self.size / 2;
        if samples.len() <= around {
            return None;
        }
        let mirrored = |i: usize| {
            let last = samples.len() - 1;
            let at = i.abs_diff(around);
            f64::from(samples[if at > last { 2 * last - at } else { at }])
        };
        let frames = 1 + (samples.len() + 2 * around - self.size) / self.hop;
        let mut buffer = self.fourier.make_input_vec();
        let mut bins = self.fourier.make_output_vec();
        let mut spectra = Vec::with_capacity(frames);
        for start in (0..frames).map(|frame| frame * self.hop) {
            let windowed = self.window.iter().enumerate();
            let windowed = windowed.map(|(i, window)| mirrored(start + i) * window);
            buffer.iter_mut().zip(windowed).for_each(|(to, from)| *to = from);
            // It only fails for buffers of another size than its own.
            self.fourier.process(&mut buffer, &mut bins).ok()?;
            spectra.push(bins.iter().map(|bin| bin.norm_sqr()).collect());
        }
        Some(spectra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processors::testing::Golden;

    /// Against `transformers.audio_utils.mel_filter_bank`, in f64: how every filter hears every bin alone.
    #[track_caller]
    fn check(name: &str, scale: Scale, count: usize, range: (f64, f64), rate: usize, step: usize) {
        let (shape, expected) = Golden::open("mel").floats(name);
        let bins = (shape[0] - 1) * step + 1;
        let bank = Bank::of(scale, count, bins, range, rate);
        let mut heard = 0;
        for (row, expected) in expected.chunks(count).enumerate() {
            let mut spectrum = vec![0.0; bins];
            spectrum[row * step] = 1.0;
            for (found, expected) in bank.hear(&spectrum).zip(expected) {
                assert!((found - f64::from(*expected)).abs() < 1e-7, "{name}: {found} {expected}");
                heard += usize::from(found > 0.0);
            }
        }
        assert!(heard >= count, "{name}: only {heard} weights are not zero");
    }

    #[test]
    fn filters_are_those_of_transformers() {
        check("whisper80", Scale::Slaney, 80, (0.0, 8000.0), 16_000, 2);
        check("whisper128", Scale::Slaney, 128, (0.0, 8000.0), 16_000, 2);
        check("clap.htk", Scale::Htk, 64, (50.0, 14_000.0), 48_000, 8);
        check("clap.slaney", Scale::Slaney, 64, (50.0, 14_000.0), 48_000, 8);
        check("odd", Scale::Htk, 20, (0.0, 4000.0), 11_025, 1);
    }

    #[test]
    fn a_sound_that_cannot_be_mirrored_has_no_spectra() {
        let spectra = Spectra::of(8, 2);
        assert!(spectra.power(&[1.0; 4]).is_none());
        assert_eq!(spectra.power(&[1.0; 5]).unwrap().len(), 3);
    }
}
