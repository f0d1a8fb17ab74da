//! Whisper's features: the log-mel spectrogram of a sound that is padded or cut to a fixed length.

use super::Inputs;
use super::mel::{Bank, Scale, Spectra};
use super::settings::Settings;
use super::sounds::{checked, padding_value, rate, samples};
use crate::error::Error;
use proofmark_kernels::Tensor;
use serde_json::json;

/// The feature extractor of Whisper.
#[derive(Debug)]
pub(super) struct Whisper {
    pub(super) rate: usize,
    features: usize,
    /// Samples that every sound is padded or cut to.
    length: usize,
    window: usize,
    hop: usize,
    padding_value: f32,
    masks: bool,
}

impl Whisper {
    pub(super) fn of(settings: &mut Settings) -> Result<Self, Error> {
        let rate = rate(settings, 16_000)?;
        let hop = settings.whole("hop_length", 160, 1 << 20)?;
        let window = settings.whole("n_fft", 400, 1 << 16)?;
        let length = samples(settings, "chunk_length", 30, rate)?;
        if length <= window / 2 || length <= hop {
            let detail = format!(
                "makes sounds of {length} samples: more than half of `n_fft` ({window}), and more than `hop_length` \
                 ({hop}), are needed for a frame"
            );
            return Err(settings.fault("chunk_length", detail));
        }
        if window < 2 {
            return Err(settings.fault("n_fft", "is 1: at least 2 samples have a spectrum"));
        }
        // They follow from the others; the class computes them and passes over what the file says.
        settings.held("n_samples", &[json!(length)])?;
        settings.held("nb_max_frames", &[json!(length / hop)])?;
        settings.held("dither", &[json!(0), json!(0.0)])?;
        settings.idle(&["mel_filters", "do_normalize"]);
        Ok(Self {
            rate,
            features: settings.whole("feature_size", 80, 4096)?,
            length,
            window,
            hop,
            padding_value: padding_value(settings)?,
            masks: settings.flag("return_attention_mask", false)?,
        })
    }

    /// `input_features [sounds, features, frames]`; `attention_mask [sounds, frames]` if the file asks for it.
    pub(super) fn inputs(&self, sounds: &[(String, Vec<f32>)]) -> Result<Inputs, String> {
        // The last frame is dropped, as in the original; a window of odd size is mirrored a sample less.
        let frames = (self.length - self.window % 2) / self.hop;
        checked(&[sounds.len(), self.features, frames])?;
        let bins = self.window / 2 + 1;
        let bank = Bank::of(Scale::Slaney, self.features, bins, (0.0, 8000.0), self.rate);
        let spectra = Spectra::of(self.window, self.hop);
        let mut inputs = Inputs::default();
        let (mut features, mut mask) = (Vec::new(), Vec::new());
        for ((_, samples), number) in sounds.iter().zip(1..) {
            if samples.len() > self.length {
                inputs.cut.push(number);
            }
            let kept = samples.len().min(self.length);
            let mut padded = samples[..kept].to_vec();
            padded.resize(self.length, self.padding_value);
            let mut spectra = spectra.power(&padded).ok_or("the sound is too short for a frame")?;
            spectra.truncate(frames);
            features.extend(self.log_mel(&bank, &spectra));
            mask.extend((0..frames).map(|frame| i32::from(frame * self.hop < kept)));
        }
        let count = sounds.len();
        inputs.insert("input_features", Tensor::f32([count, self.features, frames], features));
        if self.masks {
            inputs.insert("attention_mask", Tensor::i32([count, frames], mask));
        }
        Ok(inputs)
    }

    /// Decades of power, not more than 8 below the loudest, shifted and scaled to about -1 to 1; features by frames.
    fn log_mel(&self, bank: &Bank, spectra: &[Vec<f64>]) -> Vec<f32> {
        let mut decades = vec![0.0; self.features * spectra.len()];
        for (frame, spectrum) in spectra.iter().enumerate() {
            for (feature, power) in bank.hear(spectrum).enumerate() {
                decades[feature * spectra.len() + frame] = power.max(1e-10).log10();
            }
        }
        let loudest = decades.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
        let scaled = |decades: f64| ((decades.max(loudest - 8.0) + 4.0) / 4.0) as f32;
        decades.into_iter().map(scaled).collect()
    }
}
