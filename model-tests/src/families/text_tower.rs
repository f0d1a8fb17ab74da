//! The text tower of CLIP and X-CLIP: a causal encoder whose text is the state of the token that ends it.

use super::encoder::Encoder;
use super::idle::bookkeeping;
use super::net::Net;
use super::{Argument, Given, Values};
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{BATCH, Binding, Kind, SEQUENCE, Tensor, Value};
use serde_json::json;

/// The input of the graph that says where each text ends, as a row among the tokens of all texts.
const ENDS: &str = "text_ends";

/// The name under which checkpoints hold the tower.
const NAME: &str = "text_model";

/// The sizes of one tower.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TextTower {
    encoder: Encoder,
    vocabulary: usize,
    max_positions: usize,
    end: End,
}

/// Which token ends a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The first of the largest ids.
    Largest,
    /// The first of this id; without one, the first token.
    Id(usize),
}

/// What a text tower computes.
pub(super) struct Texts {
    /// All tokens: `[b, s, hidden]`.
    pub(super) states: Value,
    /// The tokens that end the texts: `[b, hidden]`.
    pub(super) ends: Value,
}

impl TextTower {
    /// Reads a `text_config` of CLIP.
    pub(super) fn clip(config: &mut Config) -> Result<Self, Error> {
        config.held("model_type", &[json!("clip_text_model")])?;
        // Configurations up to version 4.30 say 2, which no published tokenizer means.
        let end = match config.whole("eos_token_id")?.unwrap_or(49407) {
            2 => End::Largest,
            id => End::Id(id),
        };
        Self::read(config, end)
    }

    /// Reads a `text_config` of X-CLIP, whose texts end as those of the first CLIP whatever it says.
    pub(super) fn xclip(config: &mut Config) -> Result<Self, Error> {
        config.held("model_type", &[json!("xclip_text_model")])?;
        config.idle(&["eos_token_id"]);
        Self::read(config, End::Largest)
    }

    fn read(config: &mut Config, end: End) -> Result<Self, Error> {
        bookkeeping(config)?;
        config.idle(&[
            "architectures",
            "id2label",
            "label2id",
            "projection_dim",
            "tie_word_embeddings",
        ]);
        config.held("is_causal", &[json!(true)])?;
        Ok(Self {
            encoder: Encoder::read(config, "", &Encoder::defaults([512, 12, 8, 2048]))?,
            vocabulary: config.size_or("vocab_size", 49408)?,
            max_positions: config.size_or("max_position_embeddings", 77)?,
            end,
        })
    }

    /// The epsilon of its norms.
    pub(super) const fn epsilon(&self) -> f32 {
        self.encoder.epsilon
    }

    /// The longest text that it can take, in tokens.
    pub(super) const fn max_positions(&self) -> usize {
        self.max_positions
    }

    /// `input_ids`, `attention_mask` and `position_ids`, all `[b, s]`.
    pub(super) fn arguments(&self) -> [Argument; 3] {
        let argument =
            |name, values| Argument::new(name, vec![BATCH.into(), SEQUENCE.into()], values);
        [
            argument("input_ids", Values::Ids { below: self.vocabulary, default: None }),
            argument("attention_mask", Values::Mask),
            argument("position_ids", Values::Positions { below: self.max_positions, first: 0 }),
        ]
    }

    /// Where the texts end.
    pub(super) fn derive(&self, given: &Given) -> Result<Given, Error> {
        let fail = |detail: &str| Error::Input { name: "input_ids".into(), detail: detail.into() };
        let ids = given.get("input_ids").ok_or_else(|| fail("is missing"))?;
        let (Some(indices), &[batch, sequence]) = (ids.indices(), ids.shape()) else {
            return Err(fail("is no table of token ids"));
        };
        let end = |row: &[i32]| match self.end {
            End::Largest => {
                let largest = row.iter().max();
                row.iter().position(|id| Some(id) == largest)
            }
            End::Id(end) => row.iter().position(|&id| usize::try_from(id) == Ok(end)),
        };
        let rows = indices.chunks(sequence).enumerate();
        let ends = rows.map(|(i, row)| i32::try_from(i * sequence + end(row).unwrap_or(0)));
        let ends = ends.collect::<Result<_, _>>().map_err(|_| fail("has too many tokens"))?;
        Ok(Given::from([(ENDS.to_owned(), Tensor::i32([batch], ends))]))
    }

    /// All tokens and those that end the texts, normalised.
    pub(super) fn graph(&self, net: &mut Net<'_>, binding: &Binding) -> Result<Texts, Error> {
        let (batch, sequence) = (binding.get(&BATCH)?, binding.get(&SEQUENCE)?);
        if sequence > self.max_positions {
            let detail = format!(
                "its sequence length is {sequence}, the checkpoint has positions for at most {}",
                self.max_positions
            );
            return Err(Error::Input { name: "input_ids".into(), detail });
        }
        let hidden = self.encoder.hidden;
        let mut input = |name: &str| net.input(name, Kind::Index, &[batch, sequence]);
        let (ids, mask) = (input("input_ids")?, input("attention_mask")?);
        let positions = input("position_ids")?;
        let ends = net.input(ENDS, Kind::Index, &[batch])?;
        let name = |part: &str| format!("{NAME}.{part}");
        let table = [self.vocabulary, hidden];
        let tokens = net.embedding(&name("embeddings.token_embedding"), table, ids)?;
        let table = [self.max_positions, hidden];
        let places = net.embedding(&name("embeddings.position_embedding"), table, positions)?;
        let mut x = net.builder.add(tokens, places)?;
        for layer in 0..self.encoder.layers {
            let layer = name(&format!("encoder.layers.{layer}"));
            x = self.encoder.layer(net, &layer, x, Some(mask), true)?;
        }
        let states = net.layer_norm(&name("final_layer_norm"), x, self.encoder.epsilon)?;
        let rows = net.builder.reshape(states, &[batch * sequence, hidden])?;
        let ends = net.builder.gather(rows, ends)?;
        Ok(Texts { states, ends })
    }
}

/// The sections of a configuration that hold the texts and the pictures: versions before 4.23 wrote them under names
/// of their own, which take the place of the newer ones.
pub(super) fn sections(config: &mut Config) -> [&'static str; 2] {
    let mut section = |today, before| {
        if config.has(before) {
            config.idle(&[today]);
            before
        } else {
            today
        }
    };
    [section("text_config", "text_config_dict"), section("vision_config", "vision_config_dict")]
}
