//! What a folder says of its preprocessing: where it stands, whose it is, and its keys, read one by one.
//!
//! transformers 5 writes `processor_config.json` with one object per kind of input; all versions read
//! `preprocessor_config.json`, which holds one kind at the top. Here the nested object comes first too. A key that
//! is null counts as missing: the class's default holds. What the keys mean is `pictures` and `sounds`.

use super::sizes::Size;
use crate::error::Error;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which objects of `processor_config.json` hold the preprocessing of a kind of input.
const PICTURES: &[&str] = &["image_processor"];
const SOUNDS: &[&str] = &["feature_extractor", "audio_processor"];

/// The classes that transformers takes for a model whose preprocessing names none.
const BY_MODEL: &[(&str, &str)] = &[
    ("clap", "ClapFeatureExtractor"),
    ("clip", "CLIPImageProcessor"),
    ("detr", "DetrImageProcessor"),
    ("llava", "LlavaImageProcessor"),
    ("llava_next", "LlavaNextImageProcessor"),
    ("vit", "ViTImageProcessor"),
    ("wav2vec2", "Wav2Vec2FeatureExtractor"),
    ("whisper", "WhisperFeatureExtractor"),
    ("xclip", "CLIPImageProcessor"),
];

/// Keys that say which class reads the file, or how Python hands its results over: none changes a number.
const IDLE: &[&str] = &[
    "_processor_class",
    "_valid_kwargs_names",
    "_valid_processor_keys",
    "auto_map",
    "data_format",
    "device",
    "disable_grouping",
    "feature_extractor_type",
    "image_processor_type",
    "processor_class",
    "return_tensors",
    "transformers_version",
];

/// The preprocessing of one kind of input, being read.
#[derive(Debug)]
pub(super) struct Settings {
    path: PathBuf,
    class: String,
    values: Map<String, Value>,
    known: BTreeSet<&'static str>,
}

impl Settings {
    /// Everything that the folder holds: the settings of one class, or of two if it takes pictures and sounds.
    pub(super) fn of_folder(folder: &Path) -> Result<Vec<Self>, Error> {
        let nested = folder.join("processor_config.json");
        let mut found = Vec::new();
        if nested.is_file() {
            let values = object(&nested)?;
            for names in [PICTURES, SOUNDS] {
                let inner = names.iter().find_map(|name| Some((*name, values.get(*name)?)));
                if let Some((name, inner)) = inner {
                    let Value::Object(inner) = inner else {
                        let detail = format!("is {inner}: an object with keys is needed");
                        return Err(fault(&nested, name, detail));
                    };
                    found.push(Self::of_class(folder, &nested, inner.clone())?);
                }
            }
        }
        let flat = folder.join("preprocessor_config.json");
        if found.is_empty() && !flat.is_file() {
            let detail = "there is no such file, nor a processor_config.json with an `image_processor` or a \
                          `feature_extractor`: pictures and sounds need one";
            return Err(Error::content(flat, detail));
        }
        if found.is_empty() {
            found.push(Self::of_class(folder, &flat, object(&flat)?)?);
        }
        Ok(found)
    }

    fn of_class(folder: &Path, path: &Path, values: Map<String, Value>) -> Result<Self, Error> {
        let class = match ["image_processor_type", "feature_extractor_type"]
            .iter()
            .find_map(|key| values.get(*key).map(|value| (*key, value)))
        {
            Some((_, Value::String(class))) => class.clone(),
            Some((key, other)) => {
                return Err(fault(path, key, format!("is {other}: the name of a class is needed")));
            }
            None => class_of_model(folder, path)?,
        };
        Ok(Self { path: path.to_owned(), class, values, known: IDLE.iter().copied().collect() })
    }

    /// The class, without the words that tell transformers' versions apart: `CLIPFeatureExtractor` and
    /// `CLIPImageProcessorFast` are both `CLIP`.
    pub(super) fn family(&self) -> &str {
        let class = self.class.strip_suffix("Fast").or(self.class.strip_suffix("Pil"));
        let class = class.unwrap_or(&self.class);
        let family = class.strip_suffix("ImageProcessor");
        family.or(class.strip_suffix("FeatureExtractor")).unwrap_or(class)
    }

    /// The error about a class that is none of these.
    pub(super) fn unknown_class(&self, possible: &str) -> Error {
        let key = ["image_processor_type", "feature_extractor_type"];
        let key = key.iter().find(|key| self.values.contains_key(**key)).unwrap_or(&key[0]);
        let detail =
            format!("is \"{}\", which is not supported: possible are {possible}", self.class);
        fault(&self.path, key, detail)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An error about a key.
    pub(super) fn fault(&self, key: &str, detail: impl Into<String>) -> Error {
        fault(&self.path, key, detail)
    }

    /// The value of a key that may be missing.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Value> {
        self.known.insert(key);
        self.values.get(key).filter(|value| !value.is_null()).cloned()
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> Result<bool, Error> {
        match self.optional(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(self.fault(key, format!("is {other}: true or false is needed"))),
        }
    }

    /// A whole number from 1 to `most`.
    pub(super) fn whole(
        &mut self,
        key: &'static str,
        default: usize,
        most: usize,
    ) -> Result<usize, Error> {
        let Some(value) = self.optional(key) else { return Ok(default) };
        whole(&value).filter(|&number| number <= most).ok_or_else(|| {
            self.fault(key, format!("is {value}: a whole number from 1 to {most} is needed"))
        })
    }

    /// A finite number.
    pub(super) fn number(&mut self, key: &'static str, default: f64) -> Result<f64, Error> {
        let Some(value) = self.optional(key) else { return Ok(default) };
        finite(&value).ok_or_else(|| {
            self.fault(key, format!("is {value}: a number that an f32 can hold is needed"))
        })
    }

    /// A number for each of red, green and blue, or one for all.
    pub(super) fn colours(
        &mut self,
        key: &'static str,
        default: [f64; 3],
    ) -> Result<[f64; 3], Error> {
        let Some(value) = self.optional(key) else { return Ok(default) };
        let one = finite(&value).map(|n| [n; 3]);
        let three = || value.as_array()?.iter().map(finite).collect::<Option<Vec<_>>>();
        one.or_else(|| three()?.try_into().ok()).ok_or_else(|| {
            self.fault(key, format!("is {value}: three numbers, or one for all, are needed"))
        })
    }

    /// One of these texts.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        default: T,
        choices: &[(&str, T)],
    ) -> Result<T, Error> {
        let Some(value) = self.optional(key) else { return Ok(default) };
        let found = choices.iter().find(|(name, _)| value.as_str() == Some(*name));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            let possible = names.join(", ");
            self.fault(key, format!("is {value}, which is not supported: possible are {possible}"))
        })
    }

    /// A size in any of the ways that transformers takes: an object, a number (a square, or the shorter edge), or
    /// a list of height and width.
    pub(super) fn size(&mut self, key: &'static str, square: bool) -> Result<Option<Size>, Error> {
        let Some(value) = self.optional(key) else { return Ok(None) };
        Size::of(&value, square).map(Some).map_err(|detail| self.fault(key, detail))
    }

    /// Refuses any value but these; missing is fine.
    pub(super) fn held(&mut self, key: &'static str, possible: &[Value]) -> Result<(), Error> {
        match self.optional(key) {
            Some(value) if !possible.contains(&value) => {
                let possible: Vec<_> = possible.iter().map(Value::to_string).collect();
                let possible = match possible.join(", ") {
                    none if none.is_empty() => "leave it out".to_owned(),
                    some => format!("possible are {some}"),
                };
                let detail = format!("is {value}, which is not supported: {possible}");
                Err(self.fault(key, detail))
            }
            _ => Ok(()),
        }
    }

    /// Names keys that the class itself passes over.
    pub(super) fn idle(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// The keys that the class does not know: transformers passes them over, and so is done here.
    pub(super) fn unknown_keys(&self) -> Vec<String> {
        self.values.keys().filter(|key| !self.known.contains(key.as_str())).cloned().collect()
    }
}

/// A whole number of at least 1 that fits 31 bits; Python writes some as `10.0`.
pub(super) fn whole(value: &Value) -> Option<usize> {
    let number = value.as_f64().filter(|n| n.fract() == 0.0)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    (1.0..=f64::from(i32::MAX)).contains(&number).then_some(number as usize)
}

/// A number that an f32 can hold.
fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|n| n.abs() <= f64::from(f32::MAX))
}

/// The class for the `model_type` of `config.json`.
fn class_of_model(folder: &Path, path: &Path) -> Result<String, Error> {
    let key = "image_processor_type";
    let config = folder.join("config.json");
    let model = if config.is_file() { object(&config)?.remove("model_type") } else { None };
    let Some(Value::String(model)) = model else {
        let detail = "is missing, as is `feature_extractor_type`, and config.json has no `model_type` to tell it by";
        return Err(fault(path, key, detail));
    };
    let class = BY_MODEL.iter().find(|(name, _)| *name == model).map(|(_, class)| *class);
    class.map(str::to_owned).ok_or_else(|| {
        let known: Vec<_> = BY_MODEL.iter().map(|(name, _)| *name).collect();
        let known = known.join(", ");
        let detail = format!(
            "is missing, as is `feature_extractor_type`, and the model type \"{model}\" of config.json is none of {known}"
        );
        fault(path, key, detail)
    })
}

fn object(path: &Path) -> Result<Map<String, Value>, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    let value = serde_json::from_str(&text);
    match value.map_err(|e| Error::content(path, format!("it is not JSON: {e}")))? {
        Value::Object(values) => Ok(values),
        _ => Err(Error::content(path, "it is JSON, but not an object with keys")),
    }
}

fn fault(path: &Path, key: &str, detail: impl Into<String>) -> Error {
    Error::Config { path: path.to_owned(), key: key.to_owned(), detail: detail.into() }
}
