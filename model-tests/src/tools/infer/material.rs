//! What the folder of a checkpoint says beside its sizes: which tokens begin and end texts, the names of labels, and
//! the tokenizer; and from texts to tokens.

use super::Args;
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::processors::Processor;
use proofmark_kernels::Tensor;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tokenizers::Tokenizer;

/// Tokens as they are typed: `1,2,3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids(pub(super) Vec<i32>);

impl FromStr for Ids {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = |part: &str| {
            let id = part.trim().parse::<i32>().ok().filter(|id| *id >= 0);
            id.ok_or_else(|| {
                format!("`{part}` is no token: whole numbers such as 1,2,3 are needed")
            })
        };
        text.split(',').map(id).collect::<Result<_, _>>().map(Self)
    }
}

/// The files of a folder beside the weights.
#[derive(Debug)]
pub(super) struct Material {
    folder: PathBuf,
    config: Value,
    generation: Value,
    /// The tokenizer, if there is one.
    pub(super) tokenizer: Option<Tokenizer>,
}

impl Material {
    pub(super) fn of(checkpoint: &Checkpoint) -> Result<Self, Error> {
        let folder = checkpoint.folder().to_owned();
        let path = folder.join("tokenizer.json");
        let tokenizer = if path.is_file() {
            let fail = |e: tokenizers::Error| Error::content(&path, e);
            let mut tokenizer = Tokenizer::from_file(&path).map_err(fail)?;
            // A text that is too long is refused, not cut, and rows are padded here.
            tokenizer.with_truncation(None).map_err(fail)?;
            Some(tokenizer)
        } else {
            None
        };
        let config = object(&folder, "config.json")?.unwrap_or_default();
        let generation = object(&folder, "generation_config.json")?.unwrap_or_default();
        Ok(Self { folder, config, generation, tokenizer })
    }

    /// A key of how texts are made: of `generation_config.json`, of `config.json`, or of its part about the text.
    pub(super) fn said(&self, key: &str) -> Option<&Value> {
        let places = [&self.generation, &self.config, &self.config["text_config"]];
        places.into_iter().map(|place| &place[key]).find(|value| !value.is_null())
    }

    /// A token that a key names.
    pub(super) fn token(&self, key: &str) -> Option<i32> {
        self.said(key).and_then(token)
    }

    /// The tokens that end a text.
    pub(super) fn ends(&self) -> Vec<i32> {
        match self.said("eos_token_id") {
            Some(Value::Array(ids)) => ids.iter().filter_map(token).collect(),
            Some(id) => token(id).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The name of a label.
    pub(super) fn label(&self, index: usize) -> String {
        let name = self.config["id2label"][index.to_string()].as_str();
        name.map_or_else(|| format!("LABEL_{index}"), str::to_owned)
    }

    /// What pads rows of tokens.
    pub(super) fn padding(&self) -> i32 {
        let padding = self.tokenizer.as_ref().and_then(|tokenizer| tokenizer.get_padding());
        let padding = padding.and_then(|padding| i32::try_from(padding.pad_id).ok());
        padding.or_else(|| self.token("pad_token_id")).unwrap_or(0)
    }

    /// The tokens of every text, or those that are given in their place.
    pub(super) fn tokens(&self, args: &Args) -> Result<Vec<Vec<i32>>, Error> {
        if !args.ids.is_empty() {
            return Ok(args.ids.iter().map(|ids| ids.0.clone()).collect());
        }
        let path = self.folder.join("tokenizer.json");
        let Some(tokenizer) = &self.tokenizer else {
            let detail = "there is no such file, and texts need it; --ids 1,2,3 gives tokens";
            return Err(Error::content(path, detail));
        };
        let tokens = |text: &String| {
            let encoding = tokenizer.encode(text.as_str(), true);
            let encoding = encoding.map_err(|e| Error::content(&path, e))?;
            let seen = encoding.get_ids().iter().zip(encoding.get_attention_mask());
            let ids: Vec<_> = seen
                .filter(|(_, seen)| **seen == 1)
                .map(|(id, _)| i32::try_from(*id).unwrap_or(i32::MAX))
                .collect();
            if ids.is_empty() {
                let detail = format!("nothing is left of `{text}`: there are no tokens in it");
                return Err(Error::Input { name: "--text".into(), detail });
            }
            Ok(ids)
        };
        args.texts.iter().map(tokens).collect()
    }

    /// The text of tokens, if there is a tokenizer; those that are no words are left out.
    pub(super) fn text(&self, ids: &[i32]) -> Result<Option<String>, Error> {
        let Some(tokenizer) = &self.tokenizer else { return Ok(None) };
        let ids: Vec<_> = ids.iter().filter_map(|&id| u32::try_from(id).ok()).collect();
        let text = tokenizer.decode(&ids, true);
        text.map(Some).map_err(|e| Error::content(self.folder.join("tokenizer.json"), e))
    }
}

fn token(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|id| i32::try_from(id).ok())
}

/// A JSON file of the folder, if it is there.
pub(super) fn object(folder: &Path, name: &str) -> Result<Option<Value>, Error> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    serde_json::from_str(&text).map(Some).map_err(|e| Error::content(path, e))
}

/// Rows of equally many tokens as an argument of the model; one that it has no row for is an error.
pub(super) fn rows(
    checkpoint: &Checkpoint,
    name: &str,
    rows: &[Vec<i32>],
) -> Result<Tensor, Error> {
    let fail = |detail: String| Error::Input { name: name.into(), detail };
    let arguments = checkpoint.family().architecture().arguments();
    let argument = arguments.iter().find(|argument| argument.name == name);
    let argument = argument.ok_or_else(|| fail("this model does not take it".into()))?;
    let width = rows.first().map_or(0, Vec::len);
    let values: Vec<_> = rows.iter().flatten().map(|&id| f64::from(id)).collect();
    argument.values.tensor(&[rows.len(), width], &values).map_err(fail)
}

/// The preprocessing of the folder; keys that nobody reads are told.
pub(super) fn processor(checkpoint: &Checkpoint) -> Result<Processor, Error> {
    let processor = Processor::open(checkpoint.folder())?;
    let keys = processor.unknown_keys();
    if !keys.is_empty() {
        eprintln!("note: the preprocessing has keys that are not read: {}", keys.join(", "));
    }
    Ok(processor)
}

/// Tells of sounds that are longer than the model takes, by their numbers.
pub(super) fn tell_cut(numbers: &[usize]) {
    for number in numbers {
        eprintln!("note: sound {number} is longer than the model takes; a part is not heard");
    }
}
