//! T5 (Raffel et al. 2020), as `T5ForConditionalGeneration` of transformers computes it: pre-norm encoder and decoder
//! with biases by relative position in place of positions, plain or gated feed-forwards, and the head.
//!
//! With [`PAST`] bound the decoder keeps a cache, in the layout of `decoder` for its own keys and values (`t` in place
//! of `s`). Those of the encoder's states are `cross.<layer>.key` and `cross.<layer>.value` `[b, s, heads·width]`:
//! outputs where `p` is 0, inputs where it is not, and then there is no encoder in the graph.

mod layers;
#[cfg(test)]
mod tests;

use super::activations::{ACTIVATIONS, Function};
use super::decoder::seen;
use super::net::Net;
use super::{
    Architecture, Argument, Decoding, EMBEDDED, Given, PAST, TARGET, Values, expect_class,
};
use crate::config::Config;
use crate::error::Error;
use layers::{Inputs, Stack};
use proofmark_kernels::{BATCH, Binding, Graph, Kind, SEQUENCE, Size, Symbol, Weights};
use serde_json::json;

/// The width of embeddings that are given in place of the decoder's ids.
const TARGET_EMBEDDED: Symbol = Symbol::new("te");

/// The sizes of one T5.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct T5 {
    vocabulary: usize,
    hidden: usize,
    layers: usize,
    decoder_layers: usize,
    heads: usize,
    /// Width of a head; heads together need not be as wide as the model.
    width: usize,
    wide: usize,
    buckets: usize,
    max_distance: usize,
    activation: Function,
    gated: bool,
    epsilon: f32,
    /// Whether the decoder's states are divided by the root of the model's width before the head.
    scaled: bool,
}

/// Keys without influence on the logits: they act in training, in generation or in storage.
const IDLE: [&str; 31] = [
    "_name_or_path",
    "bos_token_id",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "decoder_start_token_id",
    "dropout_rate",
    "dtype",
    "early_stopping",
    "eos_token_id",
    "finetuning_task",
    "id2label",
    "initializer_factor",
    "is_decoder",
    "label2id",
    "length_penalty",
    "max_length",
    // Positions are relative: no length is the longest.
    "n_positions",
    "no_repeat_ngram_size",
    "num_beams",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "pad_token_id",
    "problem_type",
    "return_dict",
    "task_specific_params",
    "tokenizer_class",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

impl T5 {
    /// Reads the sizes, and refuses what would make another model of it.
    pub(super) fn read(config: &mut Config, architectures: &[String]) -> Result<Self, Error> {
        let classes = ["T5ForConditionalGeneration", "T5WithLMHeadModel"];
        expect_class(config, architectures, &classes)?;
        config.held("is_encoder_decoder", &[json!(true)])?;
        config.held("pruned_heads", &[json!({})])?;
        // Another arithmetic.
        config.held("quantization_config", &[])?;
        config.idle(&IDLE);
        let layers = config.size_or("num_layers", 6)?;
        let (activation, gated) = feed_forward(config)?;
        // Version 5 always writes that embeddings are tied, and the scale by itself. Before, one told of the other.
        let tied = config.flag_or("tie_word_embeddings", true)?;
        let t5 = Self {
            vocabulary: config.size_or("vocab_size", 32_128)?,
            hidden: config.size_or("d_model", 512)?,
            layers,
            decoder_layers: config.size_or("num_decoder_layers", layers)?,
            heads: config.size_or("num_heads", 8)?,
            width: config.size_or("d_kv", 64)?,
            wide: config.size_or("d_ff", 2048)?,
            buckets: config.size_or("relative_attention_num_buckets", 32)?,
            max_distance: config.size_or("relative_attention_max_distance", 128)?,
            activation,
            gated,
            epsilon: config.at_least_zero("layer_norm_epsilon", Some(1e-6))?,
            scaled: config.flag_or("scale_decoder_outputs", tied)?,
        };
        if t5.buckets < 4 {
            let detail = format!("is {}: at least 4 are needed to tell distances", t5.buckets);
            return Err(config.fault("relative_attention_num_buckets", detail));
        }
        if t5.max_distance <= t5.buckets / 2 {
            let detail = format!(
                "is {}: it must be above half of relative_attention_num_buckets, which is {}",
                t5.max_distance, t5.buckets
            );
            return Err(config.fault("relative_attention_max_distance", detail));
        }
        Ok(t5)
    }
}

/// The activation of the feed-forward, and whether it is gated. `feed_forward_proj` tells both, unless the keys that
/// version 4 began to write beside it do.
fn feed_forward(config: &mut Config) -> Result<(Function, bool), Error> {
    let text = config.text("feed_forward_proj")?.unwrap_or_else(|| "relu".into());
    let (gated, name) = match text.split_once('-') {
        Some(("gated", "gelu")) => (true, "gelu_new"),
        Some(("gated", name)) => (true, name),
        _ => (false, text.as_str()),
    };
    let known = ACTIVATIONS.iter().find(|(known, _)| *known == name);
    let gated = config.flag_or("is_gated_act", gated)?;
    if config.has("dense_act_fn") {
        return Ok((config.choice("dense_act_fn", &ACTIVATIONS)?, gated));
    }
    let (_, activation) = known.ok_or_else(|| {
        let names: Vec<_> = ACTIVATIONS.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        let detail = format!("is \"{text}\": possible are, with or without \"gated-\", {names}");
        config.fault("feed_forward_proj", detail)
    })?;
    Ok((*activation, gated))
}

impl Architecture for T5 {
    /// `input_ids` `[b, s]` or `inputs_embeds` `[b, s, e]`, `attention_mask` `[b, s]`, `decoder_input_ids` `[b, t]` or
    /// `decoder_inputs_embeds` `[b, t, te]`, `decoder_attention_mask` `[b, t]`, and the cache.
    fn arguments(&self) -> Vec<Argument> {
        let ids = Values::Ids { below: self.vocabulary, default: None };
        let sizes = |of: &[Symbol]| of.iter().cloned().map(Size::from).collect::<Vec<_>>();
        let source = sizes(&[BATCH, SEQUENCE]);
        let target = sizes(&[BATCH, TARGET]);
        let (embedded, target_embedded) =
            (sizes(&[BATCH, SEQUENCE, EMBEDDED]), sizes(&[BATCH, TARGET, TARGET_EMBEDDED]));
        let mut arguments = vec![
            Argument::optional("input_ids", source.clone(), ids),
            Argument::optional("inputs_embeds", embedded, Values::Real),
            Argument::new("attention_mask", source, Values::Mask),
            Argument::optional("decoder_input_ids", target.clone(), ids),
            Argument::optional("decoder_inputs_embeds", target_embedded, Values::Real),
            Argument::new("decoder_attention_mask", target, Values::Mask),
            Argument::optional("cache.mask", sizes(&[BATCH, PAST]), Values::Mask),
        ];
        for layer in 0..self.decoder_layers {
            for (cache, length) in [("cache", PAST), ("cross", SEQUENCE)] {
                for part in ["key", "value"] {
                    let mut sizes = sizes(&[BATCH, length.clone()]);
                    sizes.push((self.heads * self.width).into());
                    let name = format!("{cache}.{layer}.{part}");
                    arguments.push(Argument::optional(name, sizes, Values::Real));
                }
            }
        }
        arguments
    }

    /// Outputs `logits` `[b, t, vocabulary]` and `encoder_last_hidden_state` `[b, s, hidden]`; where `p` is bound the
    /// logits of the last position and the cache.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        let (batch, sequence) = (binding.get(&BATCH)?, binding.get(&SEQUENCE)?);
        let target = binding.get(&TARGET)?;
        let past = binding.get(&PAST).ok();
        let mut net = Net::new(binding, weights);
        let memory_mask = net.input("attention_mask", Kind::Index, &[batch, sequence])?;
        let memory = if past.is_some_and(|past| past > 0) {
            None
        } else {
            let embedded = binding.get(&EMBEDDED).ok();
            let x = self.embed(&mut net, Stack::Encoder, [batch, sequence], embedded)?;
            Some(self.encode(&mut net, x, memory_mask)?)
        };
        let mask = match past {
            None | Some(0) => net.input("decoder_attention_mask", Kind::Index, &[batch, target])?,
            Some(past) => net.input("cache.seen", Kind::Index, &[batch, past + target])?,
        };
        let embedded = binding.get(&TARGET_EMBEDDED).ok();
        let x = self.embed(&mut net, Stack::Decoder, [batch, target], embedded)?;
        let bias = self.bias(&mut net, Stack::Decoder, past.unwrap_or(0), target)?;
        let inputs = Inputs { mask, bias, memory, memory_mask, past };
        let logits = self.decode(&mut net, x, &inputs)?;
        net.builder.output("logits", logits)?;
        if let (Some(memory), None) = (memory, past) {
            net.builder.output("encoder_last_hidden_state", memory)?;
        }
        net.finish()
    }

    fn derive(&self, binding: &Binding, given: &Given) -> Result<Given, Error> {
        let past = binding.get(&PAST).unwrap_or(0);
        let encoder = ["input_ids", "inputs_embeds"];
        let decoder = ["decoder_input_ids", "decoder_inputs_embeds"];
        for [ids, embeds] in [encoder, decoder] {
            let embedded = given.contains_key(embeds);
            // A step needs nothing of the encoder but its keys and values.
            let idle = past > 0 && ids == "input_ids";
            if !idle && given.contains_key(ids) == embedded {
                let found = if embedded { "both are" } else { "neither is" };
                let detail = format!("it or `{embeds}` must be given: {found}");
                return Err(Error::Input { name: ids.into(), detail });
            }
        }
        if past == 0 {
            return Ok(Given::new());
        }
        let seen = seen(binding, given, "decoder_attention_mask", &TARGET)?;
        Ok(Given::from([("cache.seen".to_owned(), seen)]))
    }

    /// Takes away ids where embeddings stand for them, and what only a step takes.
    fn reconcile(&self, binding: &Binding, given: &mut Given) -> Result<(), Error> {
        if binding.get(&EMBEDDED).is_ok() {
            given.remove("input_ids");
        }
        if binding.get(&TARGET_EMBEDDED).is_ok() {
            given.remove("decoder_input_ids");
        }
        if !binding.get(&PAST).is_ok_and(|past| past > 0) {
            given.retain(|name, _| !name.starts_with("cross."));
        }
        Ok(())
    }

    fn decoding(&self) -> Option<Decoding> {
        Some(Decoding {
            tokens: "decoder_input_ids",
            mask: "decoder_attention_mask",
            positions: None,
            length: TARGET,
            kept: &["attention_mask"],
            limit: usize::MAX,
        })
    }

    fn unsupported_outputs(&self) -> &'static str {
        "hidden states and attentions are not given out, nor is the encoder's state beside a cache"
    }

    fn example(&self) -> Binding {
        Binding::batch_sequence(1, 8).with(TARGET, 4)
    }
}
