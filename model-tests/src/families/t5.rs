//! T5 (Raffel et al. 2020), as `T5ForConditionalGeneration` of transformers computes it: pre-norm encoder and decoder
//! with biases by relative position in place of positions, plain or gated feed-forwards, and the head.
//!
//! With [`PAST`] bound the decoder keeps a cache, in the layout of `decoder` for its own keys and values (`t` in place
//! of `s`). Those of the encoder's states are `cross.<layer>.key` and `cross.<layer>.value` `[b, s, heads·width]`:
//! outputs where `p` is 0, inputs where it is not, and then there is no encoder in the graph.

use super::activations::{ACTIVATIONS, Function};
use super::decoder::seen;
use super::net::{Heads, Net};
use super::{Architecture, Argument, EMBEDDED, Given, PAST, TARGET, Values, expect_class};
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{
    Activation, BATCH, Binding, Graph, Kind, SEQUENCE, Size, Symbol, Value, Weights,
};
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

/// One of the two stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stack {
    Encoder,
    Decoder,
}

impl Stack {
    const fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
        }
    }
}

/// What every decoder layer takes beside the states of the one before.
struct Inputs {
    mask: Value,
    bias: Value,
    /// The encoder's states, where they are computed.
    memory: Option<Value>,
    memory_mask: Value,
    past: Option<usize>,
}

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

    /// Embeddings of a stack's ids, or those that are given.
    fn embed(
        &self,
        net: &mut Net<'_>,
        stack: Stack,
        shape: [usize; 2],
        embedded: Option<usize>,
    ) -> Result<Value, Error> {
        let prefix = if stack == Stack::Decoder { "decoder_" } else { "" };
        let embeds = format!("{prefix}inputs_embeds");
        match embedded {
            None => {
                let ids = net.input(&format!("{prefix}input_ids"), Kind::Index, &shape)?;
                let table = self.table(net, &format!("{}.embed_tokens", stack.name()))?;
                Ok(net.builder.gather(table, ids)?)
            }
            Some(width) if width == self.hidden => {
                net.input(&embeds, Kind::Float, &[shape[0], shape[1], width])
            }
            Some(width) => {
                let detail = format!("they are {width} wide, {} is needed", self.hidden);
                Err(Error::Input { name: embeds, detail })
            }
        }
    }

    /// One of the tables that are one unless a checkpoint holds several: the embeddings of both stacks and the head.
    fn table(&self, net: &mut Net<'_>, own: &str) -> Result<Value, Error> {
        let names = [own, "shared", "encoder.embed_tokens", "decoder.embed_tokens", "lm_head"];
        let names = names.map(|name| format!("{name}.weight"));
        let held = names.iter().find(|name| net.holds(name));
        let name = held.cloned().unwrap_or_else(|| "shared.weight".into());
        net.weight(&name, &[self.vocabulary, self.hidden])
    }

    /// What relative positions add to the scores of `queries` behind `past` others over all keys: `[1, heads, q, k]`.
    fn bias(
        &self,
        net: &mut Net<'_>,
        stack: Stack,
        past: usize,
        queries: usize,
    ) -> Result<Value, Error> {
        let keys = past + queries;
        let buckets =
            (past..keys).flat_map(|query| (0..keys).map(move |key| self.bucket(stack, key, query)));
        let buckets = net.indices(&[queries * keys], buckets.collect())?;
        let name =
            format!("{}.block.0.layer.0.SelfAttention.relative_attention_bias", stack.name());
        let rows = net.embedding(&name, [self.buckets, self.heads], buckets)?;
        let by_head = net.builder.transpose(rows, &[1, 0])?;
        Ok(net.builder.reshape(by_head, &[1, self.heads, queries, keys])?)
    }

    /// The bucket of a key at a distance: exact ones first, then ones that grow with the logarithm.
    ///
    /// In f32, as the models were trained: on the border of two buckets wider arithmetic falls into the other one.
    fn bucket(&self, stack: Stack, key: usize, query: usize) -> i32 {
        let (count, base) = match stack {
            Stack::Encoder => (self.buckets / 2, if key > query { self.buckets / 2 } else { 0 }),
            Stack::Decoder => (self.buckets, 0),
        };
        let distance = match stack {
            Stack::Encoder => key.abs_diff(query),
            Stack::Decoder => query.saturating_sub(key),
        };
        let exact = count / 2;
        let bucket = if distance < exact {
            distance
        } else {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "distances are small and at least `exact`"
            )]
            let beyond = {
                let octaves = (self.max_distance as f64 / exact as f64).ln() as f32;
                let reached = (distance as f32 / exact as f32).ln() / octaves;
                (reached * (count - exact) as f32) as usize
            };
            (exact + beyond).min(count - 1)
        };
        i32::try_from(base + bucket).unwrap_or(i32::MAX)
    }

    /// Attention without scale: the initial weights have it in them.
    fn attention_heads(&self) -> Heads {
        Heads { scale: 1.0, ..Heads::new(self.heads, self.width) }
    }

    fn project(&self, net: &mut Net<'_>, name: &str, x: Value) -> Result<Value, Error> {
        net.linear(name, x, self.heads * self.width, false, Activation::Identity)
    }

    /// `x` and the product of what was attended to.
    fn project_back(
        &self,
        net: &mut Net<'_>,
        name: &str,
        x: Value,
        attended: Value,
    ) -> Result<Value, Error> {
        let back = net.linear(name, attended, self.hidden, false, Activation::Identity)?;
        Ok(net.builder.add(x, back)?)
    }

    /// Self-attention of an encoder layer, `name` its first part.
    fn encoder_attention(
        &self,
        net: &mut Net<'_>,
        name: &str,
        x: Value,
        [mask, bias]: [Value; 2],
    ) -> Result<Value, Error> {
        let normed = net.rms_norm(&format!("{name}.layer_norm"), x, self.epsilon)?;
        let part = |part: &str| format!("{name}.SelfAttention.{part}");
        let query = self.project(net, &part("q"), normed)?;
        let key = self.project(net, &part("k"), normed)?;
        let value = self.project(net, &part("v"), normed)?;
        let heads = self.attention_heads();
        let attended = net.attention(heads, [query, key, value], Some(mask), Some(bias))?;
        self.project_back(net, &part("o"), x, attended)
    }

    /// Self-attention of a decoder layer over the cache and what is new.
    fn decoder_attention(
        &self,
        net: &mut Net<'_>,
        layer: usize,
        x: Value,
        inputs: &Inputs,
    ) -> Result<Value, Error> {
        let name = format!("decoder.block.{layer}.layer.0");
        let normed = net.rms_norm(&format!("{name}.layer_norm"), x, self.epsilon)?;
        let part = |part: &str| format!("{name}.SelfAttention.{part}");
        let query = self.project(net, &part("q"), normed)?;
        let mut key = self.project(net, &part("k"), normed)?;
        let mut value = self.project(net, &part("v"), normed)?;
        for (part, new) in [("key", &mut key), ("value", &mut value)] {
            let Some(past) = inputs.past else { continue };
            let name = format!("cache.{layer}.{part}");
            net.builder.output(&name, *new)?;
            if past > 0 {
                let batch = net.shape(x)[0];
                let cached =
                    net.input(&name, Kind::Float, &[batch, past, self.heads * self.width])?;
                *new = net.builder.concat(&[cached, *new], 1)?;
            }
        }
        let heads = self.attention_heads().causal();
        let (mask, bias) = (Some(inputs.mask), Some(inputs.bias));
        let attended = net.attention(heads, [query, key, value], mask, bias)?;
        self.project_back(net, &part("o"), x, attended)
    }

    /// Attention of a decoder layer to the encoder's states.
    fn cross_attention(
        &self,
        net: &mut Net<'_>,
        layer: usize,
        x: Value,
        inputs: &Inputs,
    ) -> Result<Value, Error> {
        let name = format!("decoder.block.{layer}.layer.1");
        let normed = net.rms_norm(&format!("{name}.layer_norm"), x, self.epsilon)?;
        let part = |part: &str| format!("{name}.EncDecAttention.{part}");
        let query = self.project(net, &part("q"), normed)?;
        let &[batch, sequence] = net.shape(inputs.memory_mask) else {
            unreachable!("declared with two axes");
        };
        let mut of_memory = |projection: &str, kept: &str| {
            let kept = format!("cross.{layer}.{kept}");
            let Some(memory) = inputs.memory else {
                let shape = [batch, sequence, self.heads * self.width];
                return net.input(&kept, Kind::Float, &shape);
            };
            let projected = self.project(net, &part(projection), memory)?;
            if inputs.past.is_some() {
                net.builder.output(&kept, projected)?;
            }
            Ok(projected)
        };
        let (key, value) = (of_memory("k", "key")?, of_memory("v", "value")?);
        let heads = self.attention_heads();
        let attended = net.attention(heads, [query, key, value], Some(inputs.memory_mask), None)?;
        self.project_back(net, &part("o"), x, attended)
    }

    /// The feed-forward, `name` the last part of a layer.
    fn feed_forward(&self, net: &mut Net<'_>, name: &str, x: Value) -> Result<Value, Error> {
        let normed = net.rms_norm(&format!("{name}.layer_norm"), x, self.epsilon)?;
        let part = |part: &str| format!("{name}.DenseReluDense.{part}");
        let mut widen = |which: &str, activation: Function| {
            net.linear(&part(which), normed, self.wide, false, activation)
        };
        let wide = if self.gated {
            let gate = widen("wi_0", self.activation)?;
            let up = widen("wi_1", Activation::Identity.into())?;
            net.mul(gate, up)?
        } else {
            widen("wi", self.activation)?
        };
        self.project_back(net, &part("wo"), x, wide)
    }

    fn encode(&self, net: &mut Net<'_>, x: Value, mask: Value) -> Result<Value, Error> {
        let sequence = net.shape(x)[1];
        let bias = self.bias(net, Stack::Encoder, 0, sequence)?;
        let mut x = x;
        for layer in 0..self.layers {
            let name = |part: usize| format!("encoder.block.{layer}.layer.{part}");
            x = self.encoder_attention(net, &name(0), x, [mask, bias])?;
            x = self.feed_forward(net, &name(1), x)?;
        }
        net.rms_norm("encoder.final_layer_norm", x, self.epsilon)
    }

    /// The logits of the decoder's embeddings; with a cache those of the last position.
    fn decode(&self, net: &mut Net<'_>, x: Value, inputs: &Inputs) -> Result<Value, Error> {
        let target = net.shape(x)[1];
        let mut x = x;
        for layer in 0..self.decoder_layers {
            x = self.decoder_attention(net, layer, x, inputs)?;
            x = self.cross_attention(net, layer, x, inputs)?;
            x = self.feed_forward(net, &format!("decoder.block.{layer}.layer.2"), x)?;
        }
        if inputs.past.is_some() {
            x = net.builder.slice(x, 1, target - 1, target)?;
        }
        let mut x = net.rms_norm("decoder.final_layer_norm", x, self.epsilon)?;
        if self.scaled {
            #[expect(clippy::cast_precision_loss, reason = "models are less than 2^24 wide")]
            let scale = 1.0 / (self.hidden as f32).sqrt();
            x = net.scale(x, scale)?;
        }
        let head = self.table(net, "lm_head")?;
        Ok(net.builder.linear(x, head, None, Activation::Identity)?)
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

    fn unsupported_outputs(&self) -> &'static str {
        "hidden states and attentions are not given out, nor is the encoder's state beside a cache"
    }

    fn example(&self) -> Binding {
        Binding::batch_sequence(1, 8).with(TARGET, 4)
    }
}
