//! From pictures and sounds to a model's inputs, as the folder of the model configures it.
//!
//! [`Processor`] reads `preprocessor_config.json` or `processor_config.json` and computes the numbers that
//! transformers 5 computes with the classes it takes by default. Texts are `crate::text`; what the inputs mean to a
//! model is `crate::families`, of which nothing is known here.
//!
//! | output | shape | what |
//! |---|---|---|
//! | `pixel_values` | `[pictures, 3, height, width]`; LLaVA-NeXT `[pictures, tiles, 3, height, width]`; VideoMAE, and [`Processor::clip`], `[1, frames, 3, height, width]` | red, green, blue, normalised |
//! | `pixel_mask` | `[pictures, height, width]`, DETR | 1 where the picture is, 0 where it was padded |
//! | `image_sizes` | `[pictures, 2]`, LLaVA-NeXT | height and width of the files' pictures, in pixels |
//! | `input_features` | Whisper `[sounds, features, frames]`, CLAP `[sounds, views, frames, features]` | log-mel spectrograms: decades shifted and scaled; dB |
//! | `input_values` | `[sounds, samples]`, Wav2Vec2 | samples, with mean 0 and variance 1 if so configured |
//! | `attention_mask` | as `input_values`, or `[sounds, frames]` | 1 where the sound is, 0 where it was padded |
//! | `is_longer` | `[sounds, 1]`, CLAP | 1 for a sound that is longer than the model takes |

mod clap;
mod mel;
mod picture;
mod pictures;
mod resample;
mod resize;
mod settings;
mod sizes;
mod sound;
mod sounds;
#[cfg(test)]
mod testing;
mod tiles;
mod whisper;

use crate::error::Error;
use picture::Picture;
use pictures::PictureProcessor;
use proofmark_kernels::Tensor;
use settings::Settings;
use sound::Sound;
use sounds::SoundProcessor;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a model takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// By the name of the forward argument.
    pub tensors: BTreeMap<String, Tensor>,
    /// Numbers, from 1, of the sounds that are longer than the model takes, so that a part went unheard.
    pub cut: Vec<usize>,
    /// Height and width of each picture as its file has it, in pixels.
    pub sizes: Vec<[usize; 2]>,
}

impl Inputs {
    fn insert(&mut self, name: &str, tensor: Tensor) {
        self.tensors.insert(name.into(), tensor);
    }
}

/// The preprocessing of one model: of pictures, of sounds, or of both.
#[derive(Debug)]
pub struct Processor {
    folder: PathBuf,
    pictures: Option<PictureProcessor>,
    sounds: Option<SoundProcessor>,
    unknown_keys: Vec<String>,
}

impl Processor {
    /// Reads the preprocessing of a Hugging Face folder.
    ///
    /// A class that is not known is an error that names it, as is a key of a known class whose value cannot be done.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let mut processor = Self {
            folder: folder.to_owned(),
            pictures: None,
            sounds: None,
            unknown_keys: Vec::new(),
        };
        for mut settings in Settings::of_folder(folder)? {
            if let Some(pictures) = PictureProcessor::of(&mut settings)? {
                processor.pictures = Some(pictures);
            } else if let Some(sounds) = SoundProcessor::of(&mut settings, folder)? {
                processor.sounds = Some(sounds);
            } else {
                let possible = format!("{}, {}", pictures::CLASSES, sounds::CLASSES);
                return Err(settings.unknown_class(&possible));
            }
            processor.unknown_keys.extend(settings.unknown_keys());
        }
        Ok(processor)
    }

    /// Keys of the files that neither the classes in transformers nor this module know; they change nothing.
    pub fn unknown_keys(&self) -> &[String] {
        &self.unknown_keys
    }

    /// Whether the model takes pictures.
    pub fn takes_pictures(&self) -> bool {
        self.pictures.is_some()
    }

    /// Whether the model takes sounds.
    pub fn takes_sounds(&self) -> bool {
        self.sounds.is_some()
    }

    /// Pictures as a batch; for VideoMAE's class, as the frames of one clip.
    ///
    /// Reads PNG, JPEG, WebP and BMP. A file that is none of them or is damaged, an empty or
    /// huge picture, and pictures that make no batch are errors.
    pub fn images(&self, paths: &[PathBuf]) -> Result<Inputs, Error> {
        let Some(processor) = &self.pictures else {
            return Err(self.absent("pictures", "sounds"));
        };
        let open = |path: &PathBuf| Ok((path.display().to_string(), Picture::open(path)?));
        let pictures = paths.iter().map(open).collect::<Result<Vec<_>, Error>>()?;
        let mut inputs = processor.inputs(&pictures)?;
        inputs.sizes = pictures.iter().map(|(_, p)| [p.height, p.width]).collect();
        Ok(inputs)
    }

    /// Pictures as the frames of one clip, whatever the class: `pixel_values [1, frames, 3, height, width]`, as X-CLIP
    /// takes them.
    pub fn clip(&self, paths: &[PathBuf]) -> Result<Inputs, Error> {
        let mut inputs = self.images(paths)?;
        let pixels = inputs.tensors.remove("pixel_values");
        let pixels = pixels.map(|pixels| match pixels.shape() {
            [frames, rest @ ..] if rest.len() == 3 => {
                let shape = [&[1, *frames], rest].concat();
                Tensor::f32(shape, pixels.into_f32())
            }
            _ => pixels,
        });
        inputs.tensors.extend(pixels.map(|pixels| ("pixel_values".to_owned(), pixels)));
        Ok(inputs)
    }

    /// Sounds as a batch.
    ///
    /// Reads WAV, FLAC and MP3, takes the mean of the channels, and brings the sound to the model's rate. A file that
    /// is none of them or is damaged, and a sound that is empty, silent, not finite or too short are errors.
    pub fn audio(&self, paths: &[PathBuf]) -> Result<Inputs, Error> {
        let Some(processor) = &self.sounds else {
            return Err(self.absent("sounds", "pictures"));
        };
        let open = |path: &PathBuf| {
            let samples = Sound::open(path)?.at(processor.rate());
            let samples = samples.map_err(|detail| Error::content(path, detail))?;
            Ok((path.display().to_string(), samples))
        };
        processor.inputs(&paths.iter().map(open).collect::<Result<Vec<_>, Error>>()?)
    }

    fn absent(&self, wanted: &str, other: &str) -> Error {
        let detail = format!("this model takes {other}, not {wanted}, as its preprocessing says");
        Error::content(&self.folder, detail)
    }
}

#[cfg(test)]
mod refusals;
#[cfg(test)]
mod tests;
