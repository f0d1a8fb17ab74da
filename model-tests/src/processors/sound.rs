//! A sound in memory: read from a file, its channels averaged, brought to the rate that a model hears at.

use super::resample::resample;
use crate::error::Error;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as DecodeError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

/// The most samples that a sound may have at its own rate or at the model's: 512 MiB, 46 minutes at 48 kHz.
pub(super) const MAX_SAMPLES: usize = 1 << 27;

/// Rates, in Hz, at which a sound can be recorded.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// One channel of samples, full scale from -1 to 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sound {
    /// Samples per second.
    pub(super) rate: u32,
    /// At least one, all finite, not all zero.
    pub(super) samples: Vec<f32>,
}

impl Sound {
    /// Reads WAV, FLAC or MP3. Several channels become their mean, as in transformers' `load_audio`.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::file("read", path))?;
        // The decoder multiplies some sizes of a damaged WAV file unchecked, which is a panic in a build that checks.
        // The file is all that it holds, and nobody sees that again.
        let sound = catch_unwind(AssertUnwindSafe(|| decode(file)));
        let sound = sound.unwrap_or_else(|_| Err("it is damaged: its decoder gave up".into()));
        sound.and_then(Self::check).map_err(|detail| Error::content(path, detail))
    }

    /// An error if there is nothing to hear, or nothing that can be computed with.
    pub(super) fn check(self) -> Result<Self, String> {
        if !RATES.contains(&self.rate) {
            let (least, most) = (RATES.start(), RATES.end());
            return Err(format!("its rate is {} Hz: possible are {least} to {most} Hz", self.rate));
        }
        if self.samples.is_empty() {
            return Err("the sound is empty: there is no sample in it".into());
        }
        if let Some(at) = self.samples.iter().position(|sample| !sample.is_finite()) {
            let sample = self.samples[at];
            return Err(format!("sample {at} of the sound is {sample}: finite numbers are needed"));
        }
        if self.samples.iter().all(|&sample| sample == 0.0) {
            let count = self.samples.len();
            return Err(format!("the sound is silent: each of its {count} samples is zero"));
        }
        Ok(self)
    }

    /// The samples at another rate, in Hz.
    pub(super) fn at(self, rate: u32) -> Result<Vec<f32>, String> {
        if rate == self.rate {
            return Ok(self.samples);
        }
        let samples = self.samples.len() as u64 * u64::from(rate) / u64::from(self.rate);
        if samples >= MAX_SAMPLES as u64 {
            return Err(too_long());
        }
        Ok(resample(&self.samples, self.rate, rate))
    }
}

fn too_long() -> String {
    format!("the sound is too long: {MAX_SAMPLES} samples are possible")
}

fn decode(file: File) -> Result<Sound, String> {
    let stream = MediaSourceStream::new(Box::new(file), Default::default());
    let (format, metadata) = (FormatOptions::default(), MetadataOptions::default());
    let reader = symphonia::default::get_probe().probe(&Hint::new(), stream, format, metadata);
    let mut reader = reader.map_err(|e| unreadable(&e))?;
    let track = reader.default_track(TrackType::Audio).ok_or("there is no sound in it")?;
    let id = track.id;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or("it does not say how its sound is coded")?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|e| unreadable(&e))?;
    let mut rate = parameters.sample_rate;
    let mut samples = Vec::new();
    let mut block = Vec::<f32>::new();
    while let Some(packet) = reader.next_packet().map_err(|e| unreadable(&e))? {
        if packet.track_id != id {
            continue;
        }
        let decoded = decoder.decode(&packet).map_err(|e| unreadable(&e))?;
        let now = decoded.spec().rate();
        if *rate.get_or_insert(now) != now {
            return Err("its rate changes on the way, which is not supported".into());
        }
        let channels = decoded.spec().channels().count().max(1);
        block.resize(decoded.samples_interleaved(), 0.0);
        decoded.copy_to_slice_interleaved(&mut block);
        if samples.len() + block.len() / channels > MAX_SAMPLES {
            return Err(too_long());
        }
        #[expect(clippy::cast_precision_loss, reason = "there are few channels")]
        samples
            .extend(block.chunks_exact(channels).map(|c| c.iter().sum::<f32>() / channels as f32));
    }
    let rate = rate.ok_or("it does not say its rate")?;
    Ok(Sound { rate, samples })
}

fn unreadable(error: &DecodeError) -> String {
    format!(
        "it is no sound that can be read, or is damaged or incomplete: {error}; WAV, FLAC and MP3 can be read"
    )
}
