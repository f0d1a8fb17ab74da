//! CLAP's features: log-mel spectrograms of a fixed length, four of them where the model fuses views of long sounds.
//!
//! The original draws at random where it cuts a long sound, and which of several short ones counts as long. Here the
//! middle is taken of what it draws from (of an even number, the earlier), so that results repeat.

use super::Inputs;
use super::mel::{Bank, Scale, Spectra};
use super::settings::Settings;
use super::sizes::{cut, real};
use super::sounds::{checked, padding_value, rate, samples};
use crate::error::Error;
use proofmark_kernels::Tensor;
use serde_json::json;

/// The number of mel filters that the original can fuse.
const FUSED_FEATURES: usize = 64;

/// What becomes of a long sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truncation {
    /// Its spectrogram is shrunk, and cut at three places: four views.
    Fusion,
    /// It is cut at one place.
    Cut,
}

/// What becomes of a short sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Padding {
    /// Repeated as often as it fits whole, then padded.
    RepeatPad,
    /// Repeated, and the last time cut.
    Repeat,
    /// Padded.
    Pad,
}

/// The feature extractor of CLAP.
#[derive(Debug)]
pub(super) struct Clap {
    pub(super) rate: usize,
    features: usize,
    length: usize,
    window: usize,
    hop: usize,
    /// Hz.
    range: (f64, f64),
    truncation: Truncation,
    padding: Padding,
}

/// Frames by features, row-major.
type Mel = Vec<f32>;

impl Clap {
    pub(super) fn of(settings: &mut Settings) -> Result<Self, Error> {
        let rate = rate(settings, 48_000)?;
        let window = settings.whole("fft_window_size", 1024, 1 << 16)?;
        let length = samples(settings, "max_length_s", 10, rate)?;
        if !window.is_multiple_of(2) || length <= window / 2 {
            let detail = format!(
                "is {window}: an even number, less than twice the {length} samples of `max_length_s`, is needed"
            );
            return Err(settings.fault("fft_window_size", detail));
        }
        let (low, high) =
            (settings.number("frequency_min", 0.0)?, settings.number("frequency_max", 14_000.0)?);
        if low < 0.0 || low >= high {
            let detail =
                format!("is {low} Hz: from 0 to less than `frequency_max` ({high}) is needed");
            return Err(settings.fault("frequency_min", detail));
        }
        settings.held("nb_frequency_bins", &[json!(window / 2 + 1)])?;
        settings.held("nb_max_samples", &[json!(length)])?;
        // The class reads these and never uses them: it pads with zeros, and makes no mask and no floor of decibels.
        padding_value(settings)?;
        settings.idle(&["return_attention_mask", "top_db", "mel_filters", "mel_filters_slaney"]);
        let truncations = [("fusion", Truncation::Fusion), ("rand_trunc", Truncation::Cut)];
        let paddings =
            [("repeatpad", Padding::RepeatPad), ("repeat", Padding::Repeat), ("pad", Padding::Pad)];
        Ok(Self {
            rate,
            features: settings.whole("feature_size", 64, 4096)?,
            length,
            window,
            hop: settings.whole("hop_length", 480, 1 << 20)?,
            range: (low, high),
            truncation: settings.choice("truncation", Truncation::Fusion, &truncations)?,
            padding: settings.choice("padding", Padding::RepeatPad, &paddings)?,
        })
    }

    /// `input_features [sounds, views, frames, features]`, in dB, four views for fusion and one otherwise; and
    /// `is_longer [sounds, 1]`, 1 for a sound that was longer than the model takes.
    pub(super) fn inputs(&self, sounds: &[(String, Vec<f32>)]) -> Result<Inputs, String> {
        let frames = self.length / self.hop + 1;
        let views = if self.truncation == Truncation::Fusion { 4 } else { 1 };
        let shape = [sounds.len(), views, frames, self.features];
        checked(&shape)?;
        let scale = if self.truncation == Truncation::Fusion { Scale::Htk } else { Scale::Slaney };
        let bins = self.window / 2 + 1;
        let bank = Bank::of(scale, self.features, bins, self.range, self.rate);
        let spectra = Spectra::of(self.window, self.hop);
        let mut inputs = Inputs::default();
        let (mut features, mut longer) = (Vec::new(), Vec::new());
        for ((name, samples), number) in sounds.iter().zip(1..) {
            let mel = |samples: &[f32]| decibels(&bank, &spectra, samples);
            let (made, is_longer) = if samples.len() <= self.length {
                (vec![mel(&self.padded(samples))?; views], false)
            } else if self.truncation == Truncation::Cut {
                let start = (samples.len() - self.length) / 2;
                (vec![mel(&samples[start..start + self.length])?], true)
            } else {
                self.fused(&mel(samples)?, frames).map_err(|detail| format!("{name} {detail}"))?
            };
            if is_longer {
                inputs.cut.push(number);
            }
            longer.push(i32::from(is_longer));
            features.extend(made.into_iter().flatten());
        }
        if self.truncation == Truncation::Fusion && !longer.contains(&1) {
            longer[(sounds.len() - 1) / 2] = 1;
        }
        inputs.insert("input_features", Tensor::f32(shape, features));
        inputs.insert("is_longer", Tensor::i32([sounds.len(), 1], longer));
        Ok(inputs)
    }

    /// A sound of at most the model's length, brought to it.
    fn padded(&self, samples: &[f32]) -> Vec<f32> {
        let whole = self.length / samples.len();
        let mut padded = match self.padding {
            Padding::RepeatPad => samples.repeat(whole),
            Padding::Repeat => samples.iter().copied().cycle().take(self.length).collect(),
            Padding::Pad => samples.to_vec(),
        };
        padded.resize(self.length, 0.0);
        padded
    }

    /// The views of a long sound: the whole shrunk, and cuts from the front, the middle and the back.
    fn fused(&self, mel: &Mel, frames: usize) -> Result<(Vec<Mel>, bool), String> {
        let total = mel.len() / self.features;
        if total == frames {
            return Ok((vec![mel.clone(); 4], false));
        }
        if self.features != FUSED_FEATURES {
            return Err(format!(
                "is longer than {} samples, and with `truncation` \"fusion\" such sounds need a `feature_size` of \
                 {FUSED_FEATURES}, not {}",
                self.length, self.features
            ));
        }
        let mut views = vec![self.shrunk(mel, total, frames)];
        let starts = total - frames + 1;
        let mut from = 0;
        for third in 0..3 {
            let count = starts / 3 + usize::from(third < starts % 3);
            let start = if count == 0 { 0 } else { from + (count - 1) / 2 };
            views.push(mel[start * self.features..(start + frames) * self.features].to_vec());
            from += count;
        }
        Ok((views, true))
    }

    /// The spectrogram at another number of frames, by linear interpolation between two, in f32 as torch does it.
    fn shrunk(&self, mel: &Mel, total: usize, frames: usize) -> Mel {
        #[expect(clippy::cast_possible_truncation, reason = "torch interpolates in f32")]
        let single = |n: f64| n as f32;
        let scale = single(real(total)) / single(real(frames));
        let row = |i: usize| &mel[i * self.features..(i + 1) * self.features];
        let mut shrunk = Vec::with_capacity(frames * self.features);
        for i in 0..frames {
            let at = (scale * (single(real(i)) + 0.5) - 0.5).max(0.0);
            let before = cut(f64::from(at)).min(total - 1);
            let share = at - single(real(before));
            let after = row((before + 1).min(total - 1)).iter();
            let mixed = row(before).iter().zip(after).map(|(a, b)| (1.0 - share) * a + share * b);
            shrunk.extend(mixed);
        }
        shrunk
    }
}

/// The log-mel spectrogram in dB, frames by features.
fn decibels(bank: &Bank, spectra: &Spectra, samples: &[f32]) -> Result<Mel, String> {
    let spectra = spectra.power(samples).ok_or("the sound is too short for a frame")?;
    #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
    let decibels = |power: f64| (10.0 * power.max(1e-10).log10()) as f32;
    Ok(spectra.iter().flat_map(|spectrum| bank.hear(spectrum)).map(decibels).collect())
}
