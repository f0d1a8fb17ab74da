//! From text to embeddings, as sentence-transformers makes them: tokens, padding, the model, the mean over what is
//! seen, and length one.

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::execution;
use crate::families::{Given, complete};
use crate::targets::Target;
use proofmark::record::DeviceFacts;
use proofmark_kernels::{Binding, Precision};
use std::path::Path;
use tokenizers::{Encoding, PaddingParams, PostProcessor, Tokenizer, TruncationParams};

/// Texts as a batch of tokens, padded to the longest.
#[derive(Debug)]
pub struct Tokens {
    encodings: Vec<Encoding>,
}

impl Tokens {
    /// Tokenises with the `tokenizer.json` of the checkpoint. A text that is longer than the model takes is cut.
    pub fn of(checkpoint: &Checkpoint, texts: &[String]) -> Result<Self, Error> {
        let path = checkpoint.folder().join("tokenizer.json");
        if !path.is_file() {
            return Err(Error::content(path, "there is no such file, and texts need it"));
        }
        let fail = |e: tokenizers::Error| Error::content(&path, e);
        let mut tokenizer = Tokenizer::from_file(&path).map_err(fail)?;
        let max_length = max_tokens(checkpoint)?;
        // The tokenizer subtracts the one from the other without a look at which is larger.
        let added = tokenizer.get_post_processor().map_or(0, |p| p.added_tokens(false));
        if max_length <= added {
            let detail = format!(
                "it adds {added} special tokens to every text, and a text may have {max_length} tokens, the smaller \
                 of max_seq_length in sentence_bert_config.json and max_position_embeddings in config.json: \
                 nothing is left for words"
            );
            return Err(Error::content(&path, detail));
        }
        let truncation = TruncationParams { max_length, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(fail)?;
        let mut padding = tokenizer.get_padding().cloned().unwrap_or_else(|| PaddingParams {
            pad_id: tokenizer.token_to_id("[PAD]").unwrap_or(0),
            ..PaddingParams::default()
        });
        padding.strategy = tokenizers::PaddingStrategy::BatchLongest;
        tokenizer.with_padding(Some(padding));
        let encodings = tokenizer.encode_batch(texts.to_vec(), true).map_err(fail)?;
        Ok(Self { encodings })
    }

    /// Tokens per text with the padding.
    pub fn width(&self) -> usize {
        self.encodings.first().map_or(0, Encoding::len)
    }

    /// Ids of a text without its padding.
    pub fn ids(&self, text: usize) -> Vec<u32> {
        let encoding = &self.encodings[text];
        let seen = encoding.get_attention_mask().iter();
        encoding.get_ids().iter().zip(seen).filter(|(_, m)| **m == 1).map(|(id, _)| *id).collect()
    }

    /// Numbers, from 1, of the texts that were cut.
    pub fn cut(&self) -> Vec<usize> {
        let numbered = self.encodings.iter().zip(1..);
        numbered.filter(|(e, _)| !e.get_overflowing().is_empty()).map(|(_, n)| n).collect()
    }

    /// The arguments of the model that a text gives.
    fn inputs(&self, checkpoint: &Checkpoint, binding: &Binding) -> Result<Given, Error> {
        let arguments = checkpoint.family().architecture().arguments();
        let mut given = Given::new();
        for argument in &arguments {
            let fail = |detail: String| Error::Input { name: argument.name.to_string(), detail };
            let of = argument.tensor_type(binding)?;
            let values: Vec<f64> = match &*argument.name {
                "input_ids" => self.flat(Encoding::get_ids),
                "attention_mask" => self.flat(Encoding::get_attention_mask),
                "token_type_ids" => self.flat(Encoding::get_type_ids),
                _ => return Err(fail("a text does not give it".into())),
            };
            let tensor = argument.values.tensor(&of.shape, &values);
            let tensor = tensor.map_err(|e| fail(format!("what the tokenizer gives: {e}")))?;
            given.insert(argument.name.to_string(), tensor);
        }
        complete(&arguments, binding, given)
    }

    fn flat(&self, of: fn(&Encoding) -> &[u32]) -> Vec<f64> {
        self.encodings.iter().flat_map(of).map(|&v| f64::from(v)).collect()
    }
}

/// What the model makes of texts.
#[derive(Debug)]
pub struct Embedded {
    /// The opened device.
    pub device: DeviceFacts,
    /// One vector of length 1 per text.
    pub embeddings: Vec<Vec<f64>>,
}

/// Runs the model on tokens, takes the mean over what is seen, and scales it to length 1.
pub fn embed(
    checkpoint: &Checkpoint,
    tokens: &Tokens,
    target: &Target,
    precision: Precision,
) -> Result<Embedded, Error> {
    check_pooling(checkpoint.folder())?;
    let binding = Binding::batch_sequence(tokens.encodings.len(), tokens.width());
    let graph = checkpoint.graph(&binding)?;
    let given = tokens.inputs(checkpoint, &binding)?;
    let inputs = checkpoint.tensors(&graph, &binding, &given)?;
    let run = execution::run(target, precision, checkpoint, &graph, &inputs)?;
    let hidden = run.outputs.iter().find(|(name, _)| name == "last_hidden_state");
    let Some((_, hidden)) = hidden else {
        let detail = "this model has no `last_hidden_state` to take the mean of".to_owned();
        return Err(Error::Input { name: "--text".into(), detail });
    };
    let width = hidden.shape().last().copied().unwrap_or(1);
    let values = hidden.to_f64();
    let rows = values.chunks(width * tokens.width()).zip(&tokens.encodings);
    let embeddings = rows.map(|(rows, encoding)| pool(rows, width, encoding.get_attention_mask()));
    Ok(Embedded { device: run.device, embeddings: embeddings.collect() })
}

/// The mean of the rows that are seen, scaled to length 1.
fn pool(rows: &[f64], width: usize, mask: &[u32]) -> Vec<f64> {
    let mut sum = vec![0.0; width];
    let seen = rows.chunks(width).zip(mask).filter(|(_, m)| **m == 1);
    // The number of rows only scales the sum, and the scaling to length 1 takes it away.
    seen.for_each(|(row, _)| sum.iter_mut().zip(row).for_each(|(sum, v)| *sum += v));
    let length = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
    sum.iter().map(|v| v / length.max(f64::MIN_POSITIVE)).collect()
}

/// Cosine similarities of vectors of length 1, each with each.
pub fn similarities(embeddings: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    embeddings.iter().map(|a| embeddings.iter().map(|b| dot(a, b)).collect()).collect()
}

/// Tokens that a text may have: what sentence-transformers' own file says, within what the model has positions for.
fn max_tokens(checkpoint: &Checkpoint) -> Result<usize, Error> {
    let positions = checkpoint.family().architecture().max_sequence();
    let path = checkpoint.folder().join("sentence_bert_config.json");
    let Some(value) = optional_json(&path)? else { return Ok(positions) };
    let said = value["max_seq_length"].as_u64().and_then(|n| usize::try_from(n).ok());
    Ok(said.unwrap_or(positions).min(positions))
}

/// Refuses a folder that asks for another pooling than the mean.
fn check_pooling(folder: &Path) -> Result<(), Error> {
    let path = folder.join("1_Pooling").join("config.json");
    let Some(value) = optional_json(&path)? else { return Ok(()) };
    let modes = value.as_object().into_iter().flatten();
    let mut on = modes.filter(|(key, value)| {
        key.starts_with("pooling_mode") && *key != "pooling_mode_mean_tokens" && **value == true
    });
    match on.next() {
        None => Ok(()),
        Some((key, _)) => {
            let detail = "is true, which is not supported: only pooling_mode_mean_tokens is";
            Err(Error::Config { path, key: key.clone(), detail: detail.into() })
        }
    }
}

fn optional_json(path: &Path) -> Result<Option<serde_json::Value>, Error> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    serde_json::from_str(&text).map(Some).map_err(|e| Error::content(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::target;
    use crate::testing::Copy;
    use serde_json::json;

    fn embed_on_cpu(copy: &Copy, texts: &[&str]) -> Result<Vec<Vec<f64>>, Error> {
        let checkpoint = Checkpoint::open(copy.folder())?;
        let texts: Vec<_> = texts.iter().map(|&text| text.to_owned()).collect();
        let tokens = Tokens::of(&checkpoint, &texts)?;
        Ok(embed(&checkpoint, &tokens, target("cpu")?, Precision::F32)?.embeddings)
    }

    #[test]
    fn tokens_are_those_of_the_golden() {
        let copy = Copy::of("bert-tiny");
        let text = std::fs::read_to_string(copy.path("tokens.json")).unwrap();
        let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
        let golden = golden.as_array().unwrap();
        let texts: Vec<_> = golden.iter().map(|g| g["text"].as_str().unwrap().into()).collect();
        let tokens = Tokens::of(&Checkpoint::open(copy.folder()).unwrap(), &texts).unwrap();
        for (i, golden) in golden.iter().enumerate() {
            assert_eq!(json!(tokens.ids(i)), golden["ids"], "{}", golden["text"]);
        }
    }

    #[test]
    fn padding_does_not_change_an_embedding() {
        let copy = Copy::of("bert-tiny");
        let alone = embed_on_cpu(&copy, &["the cat"]).unwrap();
        let padded = embed_on_cpu(&copy, &["the cat", "a dog sat on the mat in the sun"]).unwrap();
        let matrix = similarities(&[alone[0].clone(), padded[0].clone(), padded[1].clone()]);
        assert!((matrix[0][1] - 1.0).abs() < 1e-6, "{matrix:?}");
        assert!(matrix[0][2] < 0.999, "{matrix:?}");
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_told() {
        let copy = Copy::of("bert-tiny");
        let checkpoint = Checkpoint::open(copy.folder()).unwrap();
        let tokens = Tokens::of(&checkpoint, &["the".into(), "a cat ".repeat(60)]).unwrap();
        assert_eq!((tokens.width(), tokens.cut()), (64, vec![2]));
    }

    #[test]
    fn a_length_without_room_for_a_word_is_refused() {
        let copy = Copy::of("bert-tiny");
        let limit = |length: usize| {
            let config = json!({"max_seq_length": length}).to_string();
            std::fs::write(copy.path("sentence_bert_config.json"), config).unwrap();
            embed_on_cpu(&copy, &["the cat"])
        };
        for length in 0..=2 {
            let message = limit(length).unwrap_err().to_string();
            assert!(message.contains("tokenizer.json: it adds 2 special tokens"), "{message}");
            assert!(message.contains(&format!("{length} tokens, the smaller")), "{message}");
        }
        assert_eq!(limit(3).unwrap().len(), 1);
    }

    #[test]
    fn another_pooling_or_no_tokenizer_is_refused() {
        let copy = Copy::of("bert-tiny");
        std::fs::create_dir(copy.path("1_Pooling")).unwrap();
        let config = json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false});
        std::fs::write(copy.path("1_Pooling/config.json"), config.to_string()).unwrap();
        let message = embed_on_cpu(&copy, &["a"]).unwrap_err().to_string();
        assert!(message.contains("`pooling_mode_cls_token` is true"), "{message}");
        std::fs::write(copy.path("tokenizer.json"), "{").unwrap();
        assert!(embed_on_cpu(&copy, &["a"]).unwrap_err().to_string().contains("tokenizer.json"));
        std::fs::remove_file(copy.path("tokenizer.json")).unwrap();
        let message = embed_on_cpu(&copy, &["a"]).unwrap_err().to_string();
        assert!(message.contains("there is no such file, and texts need it"), "{message}");
    }
}
