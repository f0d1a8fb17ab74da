//! CLAP (Wu et al. 2023), as `ClapModel` of transformers computes it: a text tower, which is BERT with RoBERTa's
//! positions, an audio tower over mel frames, and how well each sound fits each text. The mel frames of a sound are
//! not here.

mod audio;
mod picture;
#[cfg(test)]
mod tests;
mod windows;

use super::activations::{ACTIVATIONS, Function};
use super::bert::Bert;
use super::net::Net;
use super::{Architecture, Argument, FRAMES, Given, IMAGES, Values, expect_class, idle};
use crate::config::Config;
use crate::error::Error;
use audio::Tower;
use proofmark_kernels::{
    Activation, BATCH, BinaryOp, Binding, Graph, Kind, Reduction, SEQUENCE, Tensor, UnaryOp, Value,
    Weights,
};
use serde_json::json;

/// The sizes of one CLAP.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Clap {
    text: Bert,
    /// The id that is no token; positions count from the next number.
    padding: usize,
    audio: Tower,
    projection: usize,
    activation: Function,
}

/// Keys of the text tower without influence in inference; what both towers share with the whole is taken from it.
const TEXT_IDLE: [&str; 8] = [
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "eos_token_id",
    "fusion_hidden_act",
    "fusion_num_hidden_layers",
    "hidden_dropout_prob",
    "projection_dim",
    "projection_hidden_act",
];

impl Clap {
    /// Reads the sizes, and refuses what would make another model of it.
    pub(super) fn read(config: &mut Config, architectures: &[String]) -> Result<Self, Error> {
        expect_class(config, architectures, &["ClapModel"])?;
        idle::bookkeeping(config)?;
        // The class computes both from the towers; the scales are weights.
        config.idle(&["hidden_size", "num_hidden_layers", "logit_scale_init_value"]);
        config.idle(&["audio_config_dict", "text_config_dict"]);
        let (text, padding) = config.section("text_config", Self::read_text)?;
        let audio = config.section("audio_config", |config| {
            idle::bookkeeping(config)?;
            Tower::read(config)
        })?;
        let relu = Activation::Relu.into();
        Ok(Self {
            text,
            padding,
            audio,
            projection: config.size_or("projection_dim", 512)?,
            activation: config.choice_or("projection_hidden_act", &ACTIVATIONS, relu)?,
        })
    }

    fn read_text(config: &mut Config) -> Result<(Bert, usize), Error> {
        idle::bookkeeping(config)?;
        config.idle(&TEXT_IDLE);
        config.held("model_type", &[json!("clap_text_model")])?;
        config.held("position_embedding_type", &[json!("absolute")])?;
        let text = Bert {
            vocabulary: config.size_or("vocab_size", 50265)?,
            hidden: config.size_or("hidden_size", 768)?,
            layers: config.size_or("num_hidden_layers", 12)?,
            heads: config.size_or("num_attention_heads", 12)?,
            intermediate: config.size_or("intermediate_size", 3072)?,
            activation: config.choice_or("hidden_act", &ACTIVATIONS, Activation::Gelu.into())?,
            max_positions: config.size_or("max_position_embeddings", 514)?,
            token_types: config.size_or("type_vocab_size", 1)?,
            epsilon: config.at_least_zero("layer_norm_eps", Some(1e-12))?,
        };
        if !text.hidden.is_multiple_of(text.heads) {
            let detail =
                format!("is {}: it must divide hidden_size, which is {}", text.heads, text.hidden);
            return Err(config.fault("num_attention_heads", detail));
        }
        let padding = config.whole("pad_token_id")?.unwrap_or(1);
        if padding + 1 >= text.max_positions {
            let detail = format!(
                "is {padding}: max_position_embeddings is {}, and positions count from the number behind it",
                text.max_positions
            );
            return Err(config.fault("pad_token_id", detail));
        }
        Ok((text, padding))
    }

    /// The states `[b, s, hidden]` of texts `[b, s]`, and their pooled first tokens `[b, hidden]`, as outputs.
    fn encode_text(&self, net: &mut Net<'_>, shape: [usize; 2]) -> Result<Value, Error> {
        let (text, name) = (&self.text, "text_model.embeddings");
        let mut input = |name: &str| net.input(name, Kind::Index, &shape);
        let (ids, mask) = (input("input_ids")?, input("attention_mask")?);
        let positions = input("position_ids")?;
        let mut table = |which: &str, rows: usize, indices: Value| {
            net.embedding(&format!("{name}.{which}_embeddings"), [rows, text.hidden], indices)
        };
        let words = table("word", text.vocabulary, ids)?;
        let positions = table("position", text.max_positions, positions)?;
        // The class takes no token types: all are 0.
        let types = format!("{name}.token_type_embeddings.weight");
        let types = net.weight(&types, &[text.token_types, text.hidden])?;
        let first = net.builder.slice(types, 0, 0, 1)?;
        let sum = net.builder.add(words, positions)?;
        let sum = net.builder.add(sum, first)?;
        let mut x = net.layer_norm(&format!("{name}.LayerNorm"), sum, text.epsilon)?;
        for layer in 0..text.layers {
            x = text.layer(net, &format!("text_model.encoder.layer.{layer}"), x, mask)?;
        }
        let first = net.builder.slice(x, 1, 0, 1)?;
        let first = net.builder.reshape(first, &[shape[0], text.hidden])?;
        let pooler = "text_model.pooler.dense";
        let pooled = net.linear(pooler, first, text.hidden, true, Activation::Tanh)?;
        net.builder.output("text_model_output.last_hidden_state", x)?;
        net.builder.output("text_model_output.pooler_output", pooled)?;
        Ok(pooled)
    }

    /// The mean `[i, hidden]` of the patches of sounds, and the patches, as outputs.
    fn encode_audio(&self, net: &mut Net<'_>, shape: [usize; 4]) -> Result<Value, Error> {
        let features = net.input("input_features", Kind::Float, &shape)?;
        let fuses = self.audio.patches.fuses_parts();
        let rows = fuses.then(|| net.input("fused_rows", Kind::Index, &shape[..1])).transpose()?;
        let patches = self.audio.encode(net, features, rows)?;
        let spread = self.audio.spread(net, patches)?;
        let pooled = Tower::pool(net, patches)?;
        net.builder.output("audio_model_output.last_hidden_state", spread)?;
        net.builder.output("audio_model_output.pooler_output", pooled)?;
        Ok(pooled)
    }

    /// Rows of length 1 in the space of both towers.
    fn project(&self, net: &mut Net<'_>, name: &str, x: Value) -> Result<Value, Error> {
        let first = format!("{name}.linear1");
        let x = net.linear(&first, x, self.projection, true, self.activation)?;
        let x = net.dense(&format!("{name}.linear2"), x, self.projection)?;
        let squares = net.mul(x, x)?;
        let squares = net.builder.reduce(Reduction::Sum, squares, 1, true)?;
        let length = net.builder.unary(UnaryOp::Sqrt, squares)?;
        Ok(net.builder.binary(BinaryOp::Div, x, length)?)
    }

    /// `a · bᵀ` times `e` to the power of a weight.
    fn logits(&self, net: &mut Net<'_>, scale: &str, [a, b]: [Value; 2]) -> Result<Value, Error> {
        let scale = net.weight(scale, &[])?;
        let scale = net.builder.unary(UnaryOp::Exp, scale)?;
        let products = net.builder.matmul(a, b, true)?;
        net.mul(products, scale)
    }

    /// Positions of ids `[b, s]`: tokens count from the number behind the padding's, which padding has itself.
    fn positions(&self, ids: &[i32], sequence: usize) -> Result<Vec<i32>, Error> {
        let padding = i32::try_from(self.padding).unwrap_or(i32::MAX);
        let mut positions = Vec::with_capacity(ids.len());
        for row in ids.chunks(sequence) {
            let tokens = row.iter().filter(|&&id| id != padding).count();
            if tokens > self.max_sequence() {
                let detail = format!(
                    "it has {tokens} tokens, the checkpoint has positions for at most {}",
                    self.max_sequence()
                );
                return Err(Error::Input { name: "input_ids".into(), detail });
            }
            let mut last = padding;
            for &id in row {
                last += i32::from(id != padding);
                positions.push(if id == padding { padding } else { last });
            }
        }
        Ok(positions)
    }

    /// Of each sound the row where it stands fused, if it is longer, or as it is, as many rows behind.
    fn fused_rows(&self, longer: &[i32]) -> Result<Tensor, Error> {
        let first = longer.iter().position(|&longer| longer == 1);
        if let (Some(sound), false) = (first, self.audio.patches.fuses_parts()) {
            let detail = format!(
                "sound {sound} is longer, but the picture of this checkpoint is narrower than a patch of parts"
            );
            return Err(Error::Input { name: "is_longer".into(), detail });
        }
        let sounds = longer.len();
        let row = |(i, &longer): (usize, &i32)| if longer == 1 { i } else { sounds + i };
        let rows = longer.iter().enumerate().map(row);
        let rows = rows.map(|row| i32::try_from(row).unwrap_or(i32::MAX)).collect();
        Ok(Tensor::i32([sounds], rows))
    }
}

impl Architecture for Clap {
    /// `input_ids`, `attention_mask` and `position_ids` `[b, s]`; `input_features` `[i, channels, f, mel bins]` and
    /// `is_longer` `[i, 1]`, where `i` counts sounds and `f` frames.
    fn arguments(&self) -> Vec<Argument> {
        let tokens = || vec![BATCH.into(), SEQUENCE.into()];
        let ids = Values::Ids { below: self.text.vocabulary, default: None };
        let positions = Values::Positions { below: self.text.max_positions, first: 0 };
        let patches = &self.audio.patches;
        let features =
            vec![IMAGES.into(), patches.inputs().into(), FRAMES.into(), patches.mel_bins.into()];
        let longer = Argument {
            // The class does not look at it where nothing is fused.
            optional: !patches.fuses(),
            ..Argument::new(
                "is_longer",
                vec![IMAGES.into(), 1.into()],
                Values::Ids { below: 2, default: None },
            )
        };
        vec![
            Argument::new("input_ids", tokens(), ids),
            Argument::new("attention_mask", tokens(), Values::Mask),
            Argument::optional("position_ids", tokens(), positions),
            Argument::new("input_features", features, Values::Real),
            longer,
        ]
    }

    /// Outputs `logits_per_audio` `[i, b]`, `logits_per_text` `[b, i]`, `text_embeds` `[b, projection_dim]`,
    /// `audio_embeds` `[i, projection_dim]`, and what the towers give as `text_model_output.…` and
    /// `audio_model_output.…`.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        let tokens = [binding.get(&BATCH)?, binding.get(&SEQUENCE)?];
        let (sounds, frames) = (binding.get(&IMAGES)?, binding.get(&FRAMES)?);
        let patches = &self.audio.patches;
        patches.check_frames(frames)?;
        let mut net = Net::new(binding, weights);
        // The class also reads a model that is held below its name.
        if !net.has("logit_scale_a") && net.has("clap.logit_scale_a") {
            net.rename("", "clap.");
        }
        let text = self.encode_text(&mut net, tokens)?;
        let text = self.project(&mut net, "text_projection", text)?;
        let shape = [sounds, patches.inputs(), frames, patches.mel_bins];
        let audio = self.encode_audio(&mut net, shape)?;
        let audio = self.project(&mut net, "audio_projection", audio)?;
        let per_audio = self.logits(&mut net, "logit_scale_a", [audio, text])?;
        let per_text = self.logits(&mut net, "logit_scale_t", [text, audio])?;
        net.builder.output("logits_per_audio", per_audio)?;
        net.builder.output("logits_per_text", per_text)?;
        net.builder.output("text_embeds", text)?;
        net.builder.output("audio_embeds", audio)?;
        net.finish()
    }

    /// `position_ids` where they are not given, and with fusion `fused_rows` `[i]`: of each sound its own row, or
    /// where it is not longer the row as many behind it as there are sounds.
    fn derive(&self, binding: &Binding, given: &Given) -> Result<Given, Error> {
        let indices = |name: &str| {
            given
                .get(name)
                .and_then(Tensor::indices)
                .ok_or_else(|| Error::Input { name: name.into(), detail: "is missing".into() })
        };
        let mut derived = Given::new();
        if !given.contains_key("position_ids") {
            let shape = [binding.get(&BATCH)?, binding.get(&SEQUENCE)?];
            let positions = self.positions(indices("input_ids")?, shape[1])?;
            derived.insert("position_ids".into(), Tensor::i32(shape, positions));
        }
        if self.audio.patches.fuses() {
            let rows = self.fused_rows(indices("is_longer")?)?;
            derived.insert("fused_rows".into(), rows);
        }
        Ok(derived)
    }

    fn unsupported_outputs(&self) -> &'static str {
        "attentions and the states of single layers are not among them"
    }

    fn example(&self) -> Binding {
        let binding = Binding::batch_sequence(1, self.max_sequence().min(4));
        binding.with(IMAGES, 1).with(FRAMES, self.audio.patches.frames())
    }

    fn max_sequence(&self) -> usize {
        self.text.max_positions - self.padding - 1
    }
}
