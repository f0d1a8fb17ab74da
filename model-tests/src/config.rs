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
///
/// A section (`text_config`) is read as a configuration of its own whose keys are told with the section's name.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    /// The sections that this one lies in, each followed by a dot.
    prefix: String,
    values: Map<String, Value>,
    read: BTreeSet<String>,
    idle: BTreeSet<String>,
    unknown: Vec<String>,
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
        Ok(Self::of(path.to_owned(), String::new(), values))
    }

    fn of(path: PathBuf, prefix: String, values: Map<String, Value>) -> Self {
        let (read, idle) = (BTreeSet::new(), BTreeSet::new());
        Self { path, prefix, values, read, idle, unknown: Vec::new() }
    }

    /// Reads the section under a key, an object; one that is missing is read as if it were empty.
    pub fn section<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let values = match self.optional(key) {
            None => Map::new(),
            Some(Value::Object(values)) => values,
            Some(other) => {
                return Err(self.fault(key, format!("is {other}: an object with keys is needed")));
            }
        };
        let prefix = format!("{}{key}.", self.prefix);
        let mut section = Self::of(self.path.clone(), prefix, values);
        let result = read(&mut section)?;
        let full = |name: &String| format!("{key}.{name}");
        self.unknown.extend(section.unknown_keys().iter().map(full));
        self.read.extend(section.read.iter().map(full));
        Ok(result)
    }

    /// Whether a key is there and not null. It counts as read.
    pub fn has(&mut self, key: &str) -> bool {
        self.optional(key).is_some()
    }

    /// Whether a key is there, if only as null. It counts as read.
    pub fn mentions(&mut self, key: &str) -> bool {
        self.read.insert(key.to_owned());
        self.values.contains_key(key)
    }

    /// The value of a key as it stands; missing and null are none.
    pub fn value(&mut self, key: &str) -> Option<Value> {
        self.optional(key)
    }

    /// A whole number of at least 1; `default` if the key is missing.
    pub fn size_or(&mut self, key: &str, default: usize) -> Result<usize, Error> {
        if self.has(key) { self.size(key) } else { Ok(default) }
    }

    /// A whole number of at least 0, if the key is there.
    pub fn whole(&mut self, key: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.optional(key) else { return Ok(None) };
        let number = value.as_u64().and_then(|n| usize::try_from(n).ok());
        number
            .map(Some)
            .ok_or_else(|| self.fault(key, format!("is {value}: a whole number is needed")))
    }

    /// A whole number that may be negative; `default` if the key is missing.
    pub fn integer_or(&mut self, key: &str, default: i64) -> Result<i64, Error> {
        let Some(value) = self.optional(key) else { return Ok(default) };
        value
            .as_i64()
            .ok_or_else(|| self.fault(key, format!("is {value}: a whole number is needed")))
    }

    /// A list of whole numbers of at least 1; `default` if the key is missing.
    pub fn sizes_or(&mut self, key: &str, default: &[usize]) -> Result<Vec<usize>, Error> {
        let Some(value) = self.optional(key) else { return Ok(default.to_vec()) };
        let size = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
        let sizes = value.as_array().and_then(|list| list.iter().map(size).collect());
        sizes.ok_or_else(|| {
            self.fault(key, format!("is {value}: a list of whole numbers of at least 1 is needed"))
        })
    }

    /// True or false; `default` if the key is missing.
    pub fn flag_or(&mut self, key: &str, default: bool) -> Result<bool, Error> {
        let Some(value) = self.optional(key) else { return Ok(default) };
        value
            .as_bool()
            .ok_or_else(|| self.fault(key, format!("is {value}: true or false is needed")))
    }

    /// A finite number; `default` if the key is missing.
    pub fn number_or(&mut self, key: &str, default: f64) -> Result<f64, Error> {
        let Some(value) = self.optional(key) else { return Ok(default) };
        let number = value.as_f64().filter(|n| n.is_finite());
        number.ok_or_else(|| self.fault(key, format!("is {value}: a finite number is needed")))
    }

    /// A text that names one of these choices; `default` if the key is missing.
    pub fn choice_or<T: Copy>(
        &mut self,
        key: &str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T, Error> {
        if self.has(key) { self.choice(key, choices) } else { Ok(default) }
    }

    /// A whole number of at least 1.
    pub fn size(&mut self, key: &str) -> Result<usize, Error> {
        let value = self.required(key)?;
        let size = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
        size.ok_or_else(|| {
            self.fault(key, format!("is {value}: a whole number of at least 1 is needed"))
        })
    }

    /// A finite number of at least zero; `default` if the key is missing and a default is given.
    pub fn at_least_zero(&mut self, key: &str, default: Option<f32>) -> Result<f32, Error> {
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
    pub fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Result<T, Error> {
        let value = self.required(key)?;
        let found = choices.iter().find(|(name, _)| value.as_str() == Some(*name));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.fault(key, format!("is {value}: possible are {}", names.join(", ")))
        })
    }

    /// A text, if the key is there and not null.
    pub fn text(&mut self, key: &str) -> Result<Option<String>, Error> {
        match self.optional(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.fault(key, format!("is {other}: a text is needed"))),
        }
    }

    /// A list of texts, if the key is there and not null.
    pub fn texts(&mut self, key: &str) -> Result<Option<Vec<String>>, Error> {
        let Some(value) = self.optional(key) else { return Ok(None) };
        let texts = value.as_array().and_then(|list| {
            list.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        texts
            .map(Some)
            .ok_or_else(|| self.fault(key, format!("is {value}: a list of texts is needed")))
    }

    /// Refuses any value of an optional key but these; missing and null are fine.
    pub fn held(&mut self, key: &str, possible: &[Value]) -> Result<(), Error> {
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
    pub fn idle(&mut self, keys: &[&str]) {
        self.idle.extend(keys.iter().map(|&key| key.to_owned()));
    }

    /// An error about a key.
    pub fn fault(&self, key: &str, detail: impl Into<String>) -> Error {
        let key = format!("{}{key}", self.prefix);
        Error::Config { path: self.path.clone(), key, detail: detail.into() }
    }

    /// The keys that were asked for so far.
    pub fn read_keys(&self) -> impl Iterator<Item = &str> {
        self.read.iter().map(String::as_str)
    }

    /// The keys that nobody asked for and nobody declared idle.
    pub fn unknown_keys(&self) -> Vec<String> {
        let known = |key: &String| self.read.contains(key) || self.idle.contains(key);
        let own = self.values.keys().filter(|key| !known(key)).cloned();
        own.chain(self.unknown.iter().cloned()).collect()
    }

    /// The value of a key that may be missing; null counts as missing.
    fn optional(&mut self, key: &str) -> Option<Value> {
        self.read.insert(key.to_owned());
        self.values.get(key).filter(|value| !value.is_null()).cloned()
    }

    fn required(&mut self, key: &str) -> Result<Value, Error> {
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
