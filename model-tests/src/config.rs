//! A `config.json`, key by key: what is read is typed, what is refused says what is possible, and what is left
//! over is known.
//!
//! Every key falls into one of four classes, so that none is passed over in silence:
//! read (it shapes the result), held (only some values can be done; others are an error), idle (known to be without
//! influence on an inference), and unknown. Unknown keys are ignored as transformers ignores them, with a note.

use crate::error::Error;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A configuration that is being read.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    values: Map<String, Value>,
    read: BTreeSet<&'static str>,
    idle: BTreeSet<&'static str>,
}

impl Config {
    /// Reads a file that must hold one JSON object.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
        Self::parse(path, &text)
    }

    /// The configuration in `text`; `path` is for messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let value = serde_json::from_str(text);
        let value = value.map_err(|e| Error::content(path, format!("it is not JSON: {e}")))?;
        let Value::Object(values) = value else {
            return Err(Error::content(path, "it is JSON, but not an object with keys"));
        };
        Ok(Self { path: path.to_owned(), values, read: BTreeSet::new(), idle: BTreeSet::new() })
    }

    /// A whole number of at least 1.
    pub fn size(&mut self, key: &'static str) -> Result<usize, Error> {
        let value = self.required(key)?;
        let size = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
        size.ok_or_else(|| {
            self.fault(key, format!("is {value}: a whole number of at least 1 is needed"))
        })
    }

    /// A finite number of at least zero; `default` if the key is missing and a default is given.
    pub fn at_least_zero(&mut self, key: &'static str, default: Option<f32>) -> Result<f32, Error> {
        if let (None, Some(default)) = (self.optional(key), default) {
            return Ok(default);
        }
        let value = self.required(key)?;
        #[expect(clippy::cast_possible_truncation, reason = "devices compute with f32")]
        let number = value.as_f64().map(|n| n as f32).filter(|n| n.is_finite() && *n >= 0.0);
        number.ok_or_else(|| {
            self.fault(key, format!("is {value}: a finite f32 of at least 0 is needed"))
        })
    }

    /// A text that names one of these choices.
    pub fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Result<T, Error> {
        let value = self.required(key)?;
        let found = choices.iter().find(|(name, _)| value.as_str() == Some(*name));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.fault(key, format!("is {value}: possible are {}", names.join(", ")))
        })
    }

    /// A text, if the key is there and not null.
    pub fn text(&mut self, key: &'static str) -> Result<Option<String>, Error> {
        match self.optional(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.fault(key, format!("is {other}: a text is needed"))),
        }
    }

    /// A list of texts, if the key is there and not null.
    pub fn texts(&mut self, key: &'static str) -> Result<Option<Vec<String>>, Error> {
        let Some(value) = self.optional(key) else { return Ok(None) };
        let texts = value.as_array().and_then(|list| {
            list.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        texts
            .map(Some)
            .ok_or_else(|| self.fault(key, format!("is {value}: a list of texts is needed")))
    }

    /// Refuses any value of an optional key but these; missing and null are fine.
    pub fn held(&mut self, key: &'static str, possible: &[Value]) -> Result<(), Error> {
        match self.optional(key) {
            Some(value) if !possible.contains(&value) => {
                let possible: Vec<_> = possible.iter().map(Value::to_string).collect();
                let possible = if possible.is_empty() {
                    "leave it out".to_owned()
                } else {
                    format!("possible are {}", possible.join(", "))
                };
                Err(self.fault(key, format!("is {value}, which is not supported: {possible}")))
            }
            _ => Ok(()),
        }
    }

    /// Names keys that have no influence on an inference.
    pub fn idle(&mut self, keys: &[&'static str]) {
        self.idle.extend(keys);
    }

    /// An error about a key.
    pub fn fault(&self, key: &str, detail: impl Into<String>) -> Error {
        Error::Config { path: self.path.clone(), key: key.to_owned(), detail: detail.into() }
    }

    /// The keys that were asked for so far.
    pub fn read_keys(&self) -> impl Iterator<Item = &'static str> {
        self.read.iter().copied()
    }

    /// The keys that nobody asked for and nobody declared idle.
    pub fn unknown_keys(&self) -> Vec<&str> {
        let known = |key: &str| self.read.contains(key) || self.idle.contains(key);
        self.values.keys().map(String::as_str).filter(|key| !known(key)).collect()
    }

    /// The value of a key that may be missing; null counts as missing.
    fn optional(&mut self, key: &'static str) -> Option<Value> {
        self.read.insert(key);
        self.values.get(key).filter(|value| !value.is_null()).cloned()
    }

    fn required(&mut self, key: &'static str) -> Result<Value, Error> {
        self.optional(key)
            .ok_or_else(|| self.fault(key, "is missing: the model cannot be built without it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(value: &Value) -> Config {
        Config::parse(Path::new("config.json"), &value.to_string()).unwrap()
    }

    #[test]
    fn bad_values_name_file_key_value_and_what_is_possible() {
        let mut c = config(&json!({"n": 0, "x": "y", "eps": -1, "act": "no", "dec": true}));
        let messages = [
            c.size("n").unwrap_err(),
            c.size("x").unwrap_err(),
            c.size("gone").unwrap_err(),
            c.at_least_zero("eps", Some(1.0)).unwrap_err(),
            c.choice("act", &[("gelu", 1), ("relu", 2)]).unwrap_err(),
            c.held("dec", &[json!(false)]).unwrap_err(),
        ];
        let text = messages.map(|e| e.to_string()).join("\n");
        assert_eq!(
            text,
            "read config.json: `n` is 0: a whole number of at least 1 is needed\n\
             read config.json: `x` is \"y\": a whole number of at least 1 is needed\n\
             read config.json: `gone` is missing: the model cannot be built without it\n\
             read config.json: `eps` is -1: a finite f32 of at least 0 is needed\n\
             read config.json: `act` is \"no\": possible are gelu, relu\n\
             read config.json: `dec` is true, which is not supported: possible are false"
        );
    }

    #[test]
    fn zero_is_legal_and_what_no_f32_holds_is_refused() {
        let mut c = config(&json!({"zero": 0, "large": 1e39}));
        assert_eq!(c.at_least_zero("zero", None).unwrap().to_bits(), 0.0f32.to_bits());
        assert!(c.at_least_zero("large", None).is_err());
    }

    #[test]
    fn keys_that_nobody_knows_are_known_to_be_so() {
        let mut c = config(&json!({"n": 1, "dropout": 0.1, "other": null, "null": null}));
        c.size("n").unwrap();
        c.held("null", &[]).unwrap();
        c.idle(&["dropout"]);
        assert_eq!(c.unknown_keys(), ["other"]);
    }

    #[test]
    fn a_file_that_is_no_object_is_refused() {
        for text in ["", "[1]", "{\"a\": "] {
            assert!(Config::parse(Path::new("c"), text).is_err(), "{text}");
        }
    }
}
