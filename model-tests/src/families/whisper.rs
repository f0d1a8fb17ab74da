//! Whisper (Radford et al. 2022), as `WhisperForConditionalGeneration` of transformers computes it: two convolutions
//! and an encoder over log-mel frames, and a causal decoder that attends to it. The frames of a sound, and the search
//! for tokens, are not here.
//!
//! With [`PAST`] bound the decoder keeps a cache, laid out as that of the other decoders: `cache.<layer>.key` and
//! `cache.<layer>.value` `[b, p, d_model]` and `cross.<layer>.key` and `cross.<layer>.value`
//! `[b, max_source_positions, d_model]` are inputs if `p` is not 0, as is `cache.mask` `[b, p]` (0 hides; all are
//! seen where it is not given), and the encoder is not run. The outputs of these names are what this call adds, and
//! `logits` are those of the last position only.

use super::activations::{ACTIVATIONS, Function};
use super::decoder::seen;
use super::net::{Heads, Net};
use super::{
    Architecture, Argument, Decoding, EMBEDDED, Given, PAST, TARGET, Values, expect_class, idle,
};
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{
    Activation, BATCH, Binding, Graph, Kind, Size, Tensor, UnaryOp, Value, Weights, Window,
};
use serde_json::json;

#[cfg(test)]
mod tests;

/// Mel frames for one position of the encoder: the second convolution takes every other one.
const FRAMES_PER_POSITION: usize = 2;
/// PyTorch's default, which the model class does not change.
const EPSILON: f32 = 1e-5;

/// The sizes of one Whisper.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Whisper {
    vocabulary: usize,
    mel_bins: usize,
    width: usize,
    encoder: Stack,
    decoder: Stack,
    activation: Function,
    source_positions: usize,
    target_positions: usize,
    tied: bool,
    /// Whether the class makes a cache in every call. Without one it takes positions that do not count on for the
    /// beginnings of other texts.
    caches: bool,
}

/// The sizes of the layers of the encoder, or of the decoder.
#[derive(Clone, Debug, PartialEq)]
struct Stack {
    layers: usize,
    heads: usize,
    intermediate: usize,
}

/// What every layer of the decoder takes.
#[derive(Debug)]
struct Inputs {
    batch: usize,
    /// Tokens in the cache, if one is kept.
    past: Option<usize>,
    mask: Value,
    /// The states of the encoder, unless the cache has what comes of them.
    encoded: Option<Value>,
}

/// Keys without influence on what the model computes in inference: training, generation, and the classifier of
/// another class. The class computes `scale_embedding` into a factor that it never applies.
const IDLE: [&str; 20] = [
    "activation_dropout",
    "alignment_heads",
    "apply_spec_augment",
    "classifier_proj_size",
    "decoder_layerdrop",
    "encoder_layerdrop",
    "eos_token_id",
    "forced_decoder_ids",
    "init_std",
    "is_multilingual",
    "lang_to_id",
    "mask_feature_length",
    "mask_feature_min_masks",
    "mask_feature_prob",
    "mask_time_length",
    "mask_time_min_masks",
    "mask_time_prob",
    "median_filter_width",
    "scale_embedding",
    "use_weighted_layer_sum",
];

impl Stack {
    fn read(config: &mut Config, name: &str, width: usize) -> Result<Self, Error> {
        let key = |part: &str| format!("{name}_{part}");
        let stack = Self {
            layers: config.size_or(&key("layers"), 4)?,
            heads: config.size_or(&key("attention_heads"), 6)?,
            intermediate: config.size_or(&key("ffn_dim"), 1536)?,
        };
        if width.is_multiple_of(stack.heads) {
            return Ok(stack);
        }
        let detail = format!("is {}: it must divide d_model, which is {width}", stack.heads);
        Err(config.fault(&key("attention_heads"), detail))
    }
}

impl Whisper {
    /// Reads the sizes, and refuses what would make another model of it.
    pub(super) fn read(config: &mut Config, architectures: &[String]) -> Result<Self, Error> {
        expect_class(config, architectures, &["WhisperForConditionalGeneration"])?;
        idle::bookkeeping(config)?;
        config.idle(&IDLE);
        config.held("is_encoder_decoder", &[json!(true)])?;
        let width = config.size_or("d_model", 384)?;
        let whisper = Self {
            vocabulary: config.size_or("vocab_size", 51865)?,
            mel_bins: config.size_or("num_mel_bins", 80)?,
            width,
            encoder: Stack::read(config, "encoder", width)?,
            decoder: Stack::read(config, "decoder", width)?,
            activation: config.choice_or(
                "activation_function",
                &ACTIVATIONS,
                Activation::Gelu.into(),
            )?,
            source_positions: config.size_or("max_source_positions", 1500)?,
            target_positions: config.size_or("max_target_positions", 448)?,
            tied: config.flag_or("tie_word_embeddings", true)?,
            caches: config.flag_or("use_cache", true)?,
        };
        // Other names of sizes that are read above, which version 4 wrote beside them.
        config.held("hidden_size", &[json!(width)])?;
        config.held("num_hidden_layers", &[json!(whisper.encoder.layers)])?;
        config.held("num_attention_heads", &[json!(whisper.encoder.heads)])?;
        Ok(whisper)
    }

    /// Keys, which have no bias, and values.
    fn remember(&self, net: &mut Net<'_>, name: &str, x: Value) -> Result<[Value; 2], Error> {
        let mut project = |which: &str, bias: bool| {
            net.linear(&format!("{name}.{which}_proj"), x, self.width, bias, Activation::Identity)
        };
        Ok([project("k", false)?, project("v", true)?])
    }

    /// Attention of `x` to keys and values.
    fn attend(
        &self,
        net: &mut Net<'_>,
        name: &str,
        heads: Heads,
        x: Value,
        [keys, values]: [Value; 2],
        mask: Option<Value>,
    ) -> Result<Value, Error> {
        let queries = net.dense(&format!("{name}.q_proj"), x, self.width)?;
        let attended = net.attention(heads, [queries, keys, values], mask, None)?;
        net.dense(&format!("{name}.out_proj"), attended, self.width)
    }

    /// `x` and what the feed-forward network makes of it.
    fn feed_forward(
        &self,
        net: &mut Net<'_>,
        name: &str,
        stack: &Stack,
        x: Value,
    ) -> Result<Value, Error> {
        let normed = net.layer_norm(&format!("{name}.final_layer_norm"), x, EPSILON)?;
        let wide = format!("{name}.fc1");
        let wide = net.linear(&wide, normed, stack.intermediate, true, self.activation)?;
        let narrow = net.dense(&format!("{name}.fc2"), wide, self.width)?;
        Ok(net.builder.add(x, narrow)?)
    }

    /// The states of the encoder, `[b, max_source_positions, d_model]`.
    fn encode(&self, net: &mut Net<'_>, batch: usize) -> Result<Value, Error> {
        let frames = FRAMES_PER_POSITION * self.source_positions;
        let mut x = net.input("input_features", Kind::Float, &[batch, self.mel_bins, frames])?;
        for (name, stride) in [("conv1", 1), ("conv2", FRAMES_PER_POSITION)] {
            let window = Window::new([1, 3]).stride([1, stride]).padding([0, 1]);
            x = net.conv_1d(&format!("model.encoder.{name}"), x, self.width, window, true)?;
            x = net.builder.unary(UnaryOp::Activate(Activation::Gelu), x)?;
        }
        x = net.builder.transpose(x, &[0, 2, 1])?;
        let positions = "model.encoder.embed_positions.weight";
        let positions = net.weight(positions, &[self.source_positions, self.width])?;
        x = net.builder.add(x, positions)?;
        let heads = Heads::new(self.encoder.heads, self.width / self.encoder.heads);
        for layer in 0..self.encoder.layers {
            let name = format!("model.encoder.layers.{layer}");
            let normed = net.layer_norm(&format!("{name}.self_attn_layer_norm"), x, EPSILON)?;
            let attention = format!("{name}.self_attn");
            let memory = self.remember(net, &attention, normed)?;
            let attended = self.attend(net, &attention, heads, normed, memory, None)?;
            x = net.builder.add(x, attended)?;
            x = self.feed_forward(net, &name, &self.encoder, x)?;
        }
        net.layer_norm("model.encoder.layer_norm", x, EPSILON)
    }

    /// Embedded tokens, or what is given in their place, and their positions.
    fn embed(&self, net: &mut Net<'_>, binding: &Binding) -> Result<Value, Error> {
        let (batch, target) = (binding.get(&BATCH)?, binding.get(&TARGET)?);
        let tokens = if binding.get(&EMBEDDED).is_ok() {
            let shape = [batch, target, self.width];
            net.input("decoder_inputs_embeds", Kind::Float, &shape)?
        } else {
            let ids = net.input("decoder_input_ids", Kind::Index, &[batch, target])?;
            net.embedding("model.decoder.embed_tokens", [self.vocabulary, self.width], ids)?
        };
        let positions = net.input("decoder_position_ids", Kind::Index, &[batch, target])?;
        let table = [self.target_positions, self.width];
        let positions = net.embedding("model.decoder.embed_positions", table, positions)?;
        Ok(net.builder.add(tokens, positions)?)
    }

    fn decoder_layer(
        &self,
        net: &mut Net<'_>,
        layer: usize,
        x: Value,
        inputs: &Inputs,
    ) -> Result<Value, Error> {
        let name = format!("model.decoder.layers.{layer}");
        let part = |part: &str| format!("{name}.{part}");
        let heads = Heads::new(self.decoder.heads, self.width / self.decoder.heads);
        let normed = net.layer_norm(&part("self_attn_layer_norm"), x, EPSILON)?;
        let attention = part("self_attn");
        let memory = self.remember(net, &attention, normed)?;
        let memory = self.extend(net, layer, memory, inputs)?;
        let mask = Some(inputs.mask);
        let attended = self.attend(net, &attention, heads.causal(), normed, memory, mask)?;
        let x = net.builder.add(x, attended)?;
        let normed = net.layer_norm(&part("encoder_attn_layer_norm"), x, EPSILON)?;
        let attention = part("encoder_attn");
        let memory = self.cross(net, layer, &attention, inputs)?;
        let attended = self.attend(net, &attention, heads, normed, memory, None)?;
        let x = net.builder.add(x, attended)?;
        self.feed_forward(net, &name, &self.decoder, x)
    }

    /// Keys and values of the cache, if there is one, and the new ones behind them.
    fn extend(
        &self,
        net: &mut Net<'_>,
        layer: usize,
        new: [Value; 2],
        inputs: &Inputs,
    ) -> Result<[Value; 2], Error> {
        let Some(past) = inputs.past else { return Ok(new) };
        let mut extended = new;
        for (part, value) in ["key", "value"].into_iter().zip(&mut extended) {
            let name = format!("cache.{layer}.{part}");
            net.builder.output(&name, *value)?;
            if past > 0 {
                let cached = net.input(&name, Kind::Float, &[inputs.batch, past, self.width])?;
                *value = net.builder.concat(&[cached, *value], 1)?;
            }
        }
        Ok(extended)
    }

    /// Keys and values of the encoder's states, or those of the cache.
    fn cross(
        &self,
        net: &mut Net<'_>,
        layer: usize,
        name: &str,
        inputs: &Inputs,
    ) -> Result<[Value; 2], Error> {
        let names = ["key", "value"].map(|part| format!("cross.{layer}.{part}"));
        let Some(encoded) = inputs.encoded else {
            let shape = [inputs.batch, self.source_positions, self.width];
            let [key, value] = names.map(|name| net.input(&name, Kind::Float, &shape));
            return Ok([key?, value?]);
        };
        let memory = self.remember(net, name, encoded)?;
        if inputs.past.is_some() {
            for (name, value) in names.iter().zip(memory) {
                net.builder.output(name, value)?;
            }
        }
        Ok(memory)
    }

    /// The sizes of what a cache holds for each layer, by the beginning of its name.
    fn cached(&self) -> [(&'static str, Vec<Size>); 2] {
        let sizes = |length: Size| vec![BATCH.into(), length, self.width.into()];
        [("cache", sizes(PAST.into())), ("cross", sizes(self.source_positions.into()))]
    }

    /// Refuses positions by which the class would cut rows into texts that do not see each other. It does so where
    /// it has no cache and no mask; a mask that hides nothing may be one that is filled in.
    fn check_positions(&self, binding: &Binding, given: &Given) -> Result<(), Error> {
        let row = binding.get(&TARGET)?;
        let hides = indices(given, "decoder_attention_mask").contains(&0);
        let counts = |row: &[i32]| row.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let counted = indices(given, "decoder_position_ids").chunks(row).all(counts);
        if self.caches || binding.get(&PAST).is_ok() || hides || counted {
            return Ok(());
        }
        let detail = "they do not count on, which cuts rows into several texts where `use_cache` is false: that is \
                      not supported"
            .into();
        Err(Error::Input { name: "decoder_position_ids".into(), detail })
    }

    /// Refuses more tokens than there are positions, and embeddings of another width.
    fn check(&self, binding: &Binding) -> Result<(), Error> {
        let fail = |name: &str, detail| Err(Error::Input { name: name.into(), detail });
        let target = binding.get(&TARGET)?.saturating_add(binding.get(&PAST).unwrap_or(0));
        if target > self.target_positions {
            let detail = format!(
                "it ends with token {target}, the checkpoint has positions for at most {}",
                self.target_positions
            );
            return fail("decoder_input_ids", detail);
        }
        match binding.get(&EMBEDDED) {
            Ok(width) if width != self.width => {
                let detail = format!("its last size is {width}, d_model is {}", self.width);
                fail("decoder_inputs_embeds", detail)
            }
            _ => Ok(()),
        }
    }
}

/// The indices of an argument, if it is given.
fn indices<'a>(given: &'a Given, name: &str) -> &'a [i32] {
    given.get(name).and_then(Tensor::indices).unwrap_or_default()
}

impl Architecture for Whisper {
    /// `input_features` `[b, num_mel_bins, 2 · max_source_positions]`; `decoder_input_ids` `[b, t]` or
    /// `decoder_inputs_embeds` `[b, t, d_model]`; `decoder_attention_mask` and `decoder_position_ids` `[b, t]`;
    /// `attention_mask`, which the model class takes and does not look at; and the cache.
    fn arguments(&self) -> Vec<Argument> {
        let frames = FRAMES_PER_POSITION * self.source_positions;
        let features = vec![BATCH.into(), self.mel_bins.into(), frames.into()];
        let tokens = || vec![BATCH.into(), TARGET.into()];
        let ids = Values::Ids { below: self.vocabulary, default: None };
        let embeds = vec![BATCH.into(), TARGET.into(), EMBEDDED.into()];
        let positions = Values::Positions { below: self.target_positions, first: 0 };
        let mut arguments = vec![
            Argument::optional("input_features", features, Values::Real),
            Argument::optional("decoder_input_ids", tokens(), ids),
            Argument::optional("decoder_inputs_embeds", embeds, Values::Real),
            Argument::new("decoder_attention_mask", tokens(), Values::Mask),
            Argument::new("decoder_position_ids", tokens(), positions),
            Argument::optional("attention_mask", vec![BATCH.into(), frames.into()], Values::Mask),
            Argument::optional("cache.mask", vec![BATCH.into(), PAST.into()], Values::Mask),
        ];
        for layer in 0..self.decoder.layers {
            for (cache, sizes) in self.cached() {
                for part in ["key", "value"] {
                    let name = format!("{cache}.{layer}.{part}");
                    arguments.push(Argument::optional(name, sizes.clone(), Values::Real));
                }
            }
        }
        arguments
    }

    /// Outputs `logits` `[b, t, vocab_size]` and `encoder_last_hidden_state`
    /// `[b, max_source_positions, d_model]`; where `p` is bound the logits of the last position and the cache.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        self.check(binding)?;
        let (batch, target) = (binding.get(&BATCH)?, binding.get(&TARGET)?);
        let mut net = Net::new(binding, weights);
        // Checkpoints of a bare `WhisperModel` hold it without a name.
        if !net.has("model.encoder.conv1.weight") && net.has("encoder.conv1.weight") {
            net.rename("model.", "");
        }
        let past = binding.get(&PAST).ok();
        let runs_encoder = past.is_none_or(|past| past == 0);
        let encoded = if runs_encoder { Some(self.encode(&mut net, batch)?) } else { None };
        let mut x = self.embed(&mut net, binding)?;
        let mask = if runs_encoder { "decoder_attention_mask" } else { "cache.seen" };
        let mask = net.input(mask, Kind::Index, &[batch, past.unwrap_or(0) + target])?;
        let inputs = Inputs { batch, past, mask, encoded };
        for layer in 0..self.decoder.layers {
            x = self.decoder_layer(&mut net, layer, x, &inputs)?;
        }
        if past.is_some() {
            x = net.builder.slice(x, 1, target - 1, target)?;
        }
        x = net.layer_norm("model.decoder.layer_norm", x, EPSILON)?;
        // A matrix that is stored counts whatever the configuration says, as for the class.
        let stored = weights.names().contains(&"proj_out.weight");
        let tied = self.tied && !stored;
        let head = if tied { "model.decoder.embed_tokens" } else { "proj_out" };
        let logits = net.linear(head, x, self.vocabulary, false, Activation::Identity)?;
        net.builder.output("logits", logits)?;
        if let (Some(encoded), None) = (encoded, past) {
            net.builder.output("encoder_last_hidden_state", encoded)?;
        }
        net.finish()
    }

    fn derive(&self, binding: &Binding, given: &Given) -> Result<Given, Error> {
        let both = ["decoder_input_ids", "decoder_inputs_embeds"];
        if both.iter().all(|&name| given.contains_key(name)) {
            let detail = "it is given beside decoder_input_ids: leave one of them out".into();
            return Err(Error::Input { name: "decoder_inputs_embeds".into(), detail });
        }
        self.check_positions(binding, given)?;
        if binding.get(&PAST).is_ok_and(|past| past > 0) {
            let seen = seen(binding, given, "decoder_attention_mask", &TARGET)?;
            return Ok(Given::from([("cache.seen".to_owned(), seen)]));
        }
        Ok(Given::new())
    }

    fn reconcile(&self, binding: &Binding, given: &mut Given) -> Result<(), Error> {
        if binding.get(&EMBEDDED).is_ok() {
            given.remove("decoder_input_ids");
        }
        if binding.get(&PAST).is_ok_and(|past| past > 0) {
            given.remove("input_features");
        } else {
            given.retain(|name, _| !name.starts_with("cross."));
        }
        Ok(())
    }

    fn decoding(&self) -> Option<Decoding> {
        Some(Decoding {
            tokens: "decoder_input_ids",
            mask: "decoder_attention_mask",
            positions: Some("decoder_position_ids"),
            length: TARGET,
            kept: &[],
            limit: self.target_positions,
        })
    }

    fn unsupported_outputs(&self) -> &'static str {
        "attentions and the states of single layers are not among them, nor is the encoder's state beside a cache"
    }

    fn example(&self) -> Binding {
        Binding::default().with(BATCH, 1).with(TARGET, self.target_positions.min(4))
    }

    fn max_sequence(&self) -> usize {
        self.target_positions
    }
}
