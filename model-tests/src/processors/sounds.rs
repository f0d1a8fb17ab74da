//! From sounds to `input_features` or `input_values`: the feature extractors by class, and that of Wav2Vec2.
//!
//! The numbers are those of transformers 5. The spectrograms of Whisper and CLAP are `whisper` and `clap`.

use super::Inputs;
use super::clap::Clap;
use super::settings::{Settings, whole};
use super::sizes::real;
use super::sound::MAX_SAMPLES;
use super::whisper::Whisper;
use crate::error::Error;
use proofmark_kernels::Tensor;
use serde_json::{Value, json};
use std::path::Path;

/// The most elements that a tensor of features may have: 1 GiB in f32.
const MAX_ELEMENTS: usize = 1 << 28;

/// The names by which [`SoundProcessor::of`] knows the classes, for messages.
pub(super) const CLASSES: &str =
    "WhisperFeatureExtractor, Wav2Vec2FeatureExtractor, ClapFeatureExtractor";

/// A feature extractor as its file configures it.
#[derive(Debug)]
pub(super) enum SoundProcessor {
    Whisper(Whisper),
    Wav2Vec2(Wav2Vec2),
    Clap(Clap),
}

impl SoundProcessor {
    /// The extractor that the settings ask for; none if their class takes no sounds.
    pub(super) fn of(settings: &mut Settings, folder: &Path) -> Result<Option<Self>, Error> {
        let extractor = match settings.family() {
            "Whisper" => Self::Whisper(Whisper::of(settings)?),
            "Wav2Vec2" => Self::Wav2Vec2(Wav2Vec2::of(settings, folder)?),
            "Clap" => Self::Clap(Clap::of(settings)?),
            _ => return Ok(None),
        };
        Ok(Some(extractor))
    }

    /// Samples per second that the model hears at.
    pub(super) fn rate(&self) -> u32 {
        let rate = match self {
            Self::Whisper(whisper) => whisper.rate,
            Self::Wav2Vec2(wav2vec2) => wav2vec2.rate,
            Self::Clap(clap) => clap.rate,
        };
        u32::try_from(rate).unwrap_or(u32::MAX)
    }

    /// The inputs of a model for these sounds, at its rate, each with the name by which messages call it.
    pub(super) fn inputs(&self, sounds: &[(String, Vec<f32>)]) -> Result<Inputs, Error> {
        let name =
            if matches!(self, Self::Wav2Vec2(_)) { "input_values" } else { "input_features" };
        let fault = |detail: String| Error::Input { name: name.into(), detail };
        if sounds.is_empty() {
            return Err(fault("there is no sound".into()));
        }
        let made = match self {
            Self::Whisper(whisper) => whisper.inputs(sounds),
            Self::Wav2Vec2(wav2vec2) => wav2vec2.inputs(sounds),
            Self::Clap(clap) => clap.inputs(sounds),
        };
        made.map_err(fault)
    }
}

/// The sampling rate; below 768 kHz, as recordings are.
pub(super) fn rate(settings: &mut Settings, default: usize) -> Result<usize, Error> {
    settings.whole("sampling_rate", default, 768_000)
}

/// The keys of transformers' `SequenceFeatureExtractor`: the value of the padding.
pub(super) fn padding_value(settings: &mut Settings) -> Result<f32, Error> {
    settings.held("padding_side", &[json!("right")])?;
    #[expect(clippy::cast_possible_truncation, reason = "an f32 can hold it")]
    settings.number("padding_value", 0.0).map(|value| value as f32)
}

/// A length in samples, from a key that holds it in seconds.
pub(super) fn samples(
    settings: &mut Settings,
    key: &'static str,
    default: usize,
    rate: usize,
) -> Result<usize, Error> {
    let seconds = settings.whole(key, default, MAX_SAMPLES)?;
    let samples = seconds.saturating_mul(rate);
    if samples > MAX_SAMPLES {
        let detail = format!(
            "is {seconds} seconds, {samples} samples at {rate} Hz: {MAX_SAMPLES} samples are possible"
        );
        return Err(settings.fault(key, detail));
    }
    Ok(samples)
}

/// An error if a tensor of this shape would be too large.
pub(super) fn checked(shape: &[usize]) -> Result<(), String> {
    let elements = shape.iter().try_fold(1usize, |product, edge| product.checked_mul(*edge));
    match elements {
        Some(elements) if elements <= MAX_ELEMENTS => Ok(()),
        _ => Err(format!(
            "features of the shape {shape:?} are too many: {MAX_ELEMENTS} are possible"
        )),
    }
}

/// The feature extractor of Wav2Vec2: the samples themselves, normalised.
#[derive(Debug)]
pub(super) struct Wav2Vec2 {
    rate: usize,
    normalises: bool,
    padding_value: f32,
    masks: bool,
    /// Samples that the model's first layers need for one frame.
    least: usize,
}

impl Wav2Vec2 {
    fn of(settings: &mut Settings, folder: &Path) -> Result<Self, Error> {
        settings.held("feature_size", &[json!(1)])?;
        Ok(Self {
            rate: rate(settings, 16_000)?,
            normalises: settings.flag("do_normalize", true)?,
            padding_value: padding_value(settings)?,
            masks: settings.flag("return_attention_mask", false)?,
            least: samples_of_a_frame(folder),
        })
    }

    /// `input_values [sounds, samples]`, padded to the longest sound; `attention_mask` of the same shape if the file
    /// asks for it. Without a mask, mean and variance are those of the padded sound, as in the original.
    fn inputs(&self, sounds: &[(String, Vec<f32>)]) -> Result<Inputs, String> {
        if let Some((name, samples)) = sounds.iter().find(|(_, s)| s.len() < self.least) {
            let (count, least) = (samples.len(), self.least);
            return Err(format!(
                "{name} has {count} samples, and one frame of this model takes {least}"
            ));
        }
        let longest = sounds.iter().map(|(_, samples)| samples.len()).max().unwrap_or(0);
        checked(&[sounds.len(), longest])?;
        let (mut values, mut mask) = (Vec::new(), Vec::new());
        for (_, samples) in sounds {
            let length = samples.len();
            let mut padded = samples.clone();
            padded.resize(longest, self.padding_value);
            if self.normalises {
                let seen = if self.masks { length } else { longest };
                normalise(&mut padded, seen);
                if self.masks {
                    padded[length..].fill(self.padding_value);
                }
            }
            values.extend(padded);
            mask.extend((0..longest).map(|i| i32::from(i < length)));
        }
        let mut inputs = Inputs::default();
        inputs.insert("input_values", Tensor::f32([sounds.len(), longest], values));
        if self.masks {
            inputs.insert("attention_mask", Tensor::i32([sounds.len(), longest], mask));
        }
        Ok(inputs)
    }
}

/// Gives the first `seen` values mean 0 and variance 1, and the others the same shift and scale.
fn normalise(values: &mut [f32], seen: usize) {
    let seen_values = || values[..seen].iter().map(|&v| f64::from(v));
    let mean = seen_values().sum::<f64>() / real(seen);
    let variance = seen_values().map(|v| (v - mean).powi(2)).sum::<f64>() / real(seen);
    let deviation = (variance + 1e-7).sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "the values are f32")]
    values.iter_mut().for_each(|v| *v = ((f64::from(*v) - mean) / deviation) as f32);
}

/// The samples that reach one frame through the convolutions of `config.json`; 1 if it does not describe them, which
/// is for the model to refuse.
fn samples_of_a_frame(folder: &Path) -> usize {
    let text = std::fs::read_to_string(folder.join("config.json")).unwrap_or_default();
    let config = serde_json::from_str::<Value>(&text).unwrap_or_default();
    let layers = |key: &str| config[key].as_array()?.iter().map(whole).collect::<Option<Vec<_>>>();
    let (Some(kernels), Some(strides)) = (layers("conv_kernel"), layers("conv_stride")) else {
        return 1;
    };
    let layers = kernels.iter().zip(&strides).rev();
    layers.fold(1usize, |frames, (kernel, stride)| {
        (frames - 1).saturating_mul(*stride).saturating_add(*kernel)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_too_short_for_a_frame_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, value: Value| {
            std::fs::write(folder.path().join(name), value.to_string()).unwrap();
        };
        write("preprocessor_config.json", json!({"do_normalize": false}));
        // The published model's seven layers: one frame sees 400 samples.
        let (kernels, strides) = ([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2]);
        write(
            "config.json",
            json!({"model_type": "wav2vec2", "conv_kernel": kernels, "conv_stride": strides}),
        );
        let mut settings = Settings::of_folder(folder.path()).unwrap();
        let processor = SoundProcessor::of(&mut settings[0], folder.path()).unwrap().unwrap();
        let inputs = |count: usize| processor.inputs(&[("a.wav".into(), vec![0.5; count])]);
        let message = inputs(399).unwrap_err().to_string();
        let expected = "a.wav has 399 samples, and one frame of this model takes 400";
        assert!(message.contains(expected), "{message}");
        assert_eq!(inputs(400).unwrap().tensors["input_values"].shape(), [1, 400]);
    }
}
