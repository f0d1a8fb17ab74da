//! Wav2Vec2 (Baevski et al. 2020), as `Wav2Vec2ForCTC` of transformers computes it: convolutions over samples, an
//! encoder whose positions are a convolution, with the norms before or after its blocks, adapters where there are
//! any, and the head. The samples of a sound, and the text of a path through the logits, are not here.

mod features;
#[cfg(test)]
mod tests;

use super::activations::{ACTIVATIONS, Function};
use super::net::{Heads, Net};
use super::{Architecture, Argument, Given, Values, expect_class, idle};
use crate::config::Config;
use crate::error::Error;
use features::{EPSILON, Features};
use proofmark_kernels::{
    Activation, BATCH, Binding, Graph, Kind, Reduction, SEQUENCE, Tensor, UnaryOp, Value, Weights,
    Window,
};

/// The sizes of one Wav2Vec2.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wav2Vec2 {
    vocabulary: usize,
    features: Features,
    width: usize,
    layers: usize,
    heads: usize,
    intermediate: usize,
    activation: Function,
    epsilon: f32,
    /// Elements and groups of the positional convolution.
    positions: [usize; 2],
    /// Whether the norms come before the blocks.
    stable: bool,
    /// The inner width of the adapter behind each layer.
    attention_adapter: Option<usize>,
    adapter: Option<Adapter>,
}

/// Convolutions behind the encoder.
#[derive(Clone, Debug, PartialEq)]
struct Adapter {
    width: usize,
    layers: usize,
    size: usize,
    stride: usize,
}

/// Keys without influence on what the model computes in inference: training, and heads of other classes. Whether
/// the mask vector of training is stored depends on `mask_time_prob`; it is not read. The number of convolutions is
/// that of their sizes.
const IDLE: [&str; 36] = [
    "activation_dropout",
    "apply_spec_augment",
    "classifier_proj_size",
    "codevector_dim",
    "contrastive_logits_temperature",
    "ctc_loss_reduction",
    "ctc_zero_infinity",
    "diversity_loss_weight",
    "do_normalize",
    "eos_token_id",
    "feat_extract_dropout",
    "feat_proj_dropout",
    "feat_quantizer_dropout",
    "final_dropout",
    "freeze_feat_extract_train",
    "hidden_dropout",
    "hidden_dropout_prob",
    "layerdrop",
    "mask_channel_length",
    "mask_channel_min_space",
    "mask_channel_other",
    "mask_channel_prob",
    "mask_channel_selection",
    "mask_feature_length",
    "mask_feature_min_masks",
    "mask_feature_prob",
    "mask_time_length",
    "mask_time_min_masks",
    "mask_time_prob",
    "num_codevector_groups",
    "num_codevectors_per_group",
    "num_feat_extract_layers",
    "num_negatives",
    "proj_codevector_dim",
    "tdnn_dim",
    "use_weighted_layer_sum",
];

impl Adapter {
    /// The sizes, if the model has such convolutions; their keys count for nothing otherwise.
    fn read(config: &mut Config, width: usize) -> Result<Option<Self>, Error> {
        if !config.flag_or("add_adapter", false)? {
            let keys = ["adapter_kernel_size", "adapter_stride", "num_adapter_layers"];
            config.idle(&keys);
            config.idle(&["output_hidden_size"]);
            return Ok(None);
        }
        let output = config.whole("output_hidden_size")?;
        Ok(Some(Self {
            // 0 stands for the width of the encoder, as a missing key does.
            width: output.filter(|&width| width > 0).unwrap_or(width),
            layers: config.whole("num_adapter_layers")?.unwrap_or(3),
            size: config.size_or("adapter_kernel_size", 3)?,
            stride: config.size_or("adapter_stride", 2)?,
        }))
    }

    /// The fewest frames from which something is left.
    fn frames(&self) -> usize {
        (0..self.layers)
            .fold(1, |frames, _| ((frames - 1) * self.stride + self.size).saturating_sub(2).max(1))
    }

    /// Fewer frames of another width, from `[b, f, hidden_size]`.
    fn adapt(&self, net: &mut Net<'_>, x: Value) -> Result<Value, Error> {
        let mut x = x;
        if net.shape(x).last() != Some(&self.width) {
            x = net.dense("wav2vec2.adapter.proj", x, self.width)?;
            x = net.layer_norm("wav2vec2.adapter.proj_layer_norm", x, EPSILON)?;
        }
        x = net.builder.transpose(x, &[0, 2, 1])?;
        for layer in 0..self.layers {
            let name = format!("wav2vec2.adapter.layers.{layer}.conv");
            let window = Window::new([1, self.size]).stride([1, self.stride]).padding([0, 1]);
            let both = net.conv_1d(&name, x, 2 * self.width, window, true)?;
            let kept = net.builder.slice(both, 1, 0, self.width)?;
            let gate = net.builder.slice(both, 1, self.width, 2 * self.width)?;
            let gate = net.builder.unary(UnaryOp::Sigmoid, gate)?;
            x = net.mul(kept, gate)?;
        }
        Ok(net.builder.transpose(x, &[0, 2, 1])?)
    }
}

impl Wav2Vec2 {
    /// Reads the sizes, and refuses what would make another model of it.
    pub(super) fn read(config: &mut Config, architectures: &[String]) -> Result<Self, Error> {
        expect_class(config, architectures, &["Wav2Vec2ForCTC"])?;
        idle::bookkeeping(config)?;
        config.idle(&IDLE);
        config.idle(&["tdnn_dilation", "tdnn_kernel", "vocab_path", "xvector_output_dim"]);
        let width = config.size_or("hidden_size", 768)?;
        let stable = config.flag_or("do_stable_layer_norm", false)?;
        let attention_adapter = if stable {
            config.has("adapter_attn_dim").then(|| config.size("adapter_attn_dim")).transpose()?
        } else {
            // Layers with the norms behind have no place for it.
            config.idle(&["adapter_attn_dim"]);
            None
        };
        let model = Self {
            vocabulary: config.size_or("vocab_size", 32)?,
            features: Features::read(config)?,
            width,
            layers: config.size_or("num_hidden_layers", 12)?,
            heads: config.size_or("num_attention_heads", 12)?,
            intermediate: config.size_or("intermediate_size", 3072)?,
            activation: config.choice_or("hidden_act", &ACTIVATIONS, Activation::Gelu.into())?,
            epsilon: config.at_least_zero("layer_norm_eps", Some(1e-5))?,
            positions: [
                config.size_or("num_conv_pos_embeddings", 128)?,
                config.size_or("num_conv_pos_embedding_groups", 16)?,
            ],
            stable,
            attention_adapter,
            adapter: Adapter::read(config, width)?,
        };
        let divisors = [
            ("num_attention_heads", model.heads),
            ("num_conv_pos_embedding_groups", model.positions[1]),
        ];
        for (key, divisor) in divisors {
            if !width.is_multiple_of(divisor) {
                let detail = format!("is {divisor}: it must divide hidden_size, which is {width}");
                return Err(config.fault(key, detail));
            }
        }
        Ok(model)
    }

    /// The filter of the positional convolution, `[width, width/groups, 1, size]`: directions, each of length 1
    /// over all channels at one element, times the lengths (Salimans and Kingma 2016).
    fn position_filter(&self, net: &mut Net<'_>, name: &str) -> Result<Value, Error> {
        let [size, groups] = self.positions;
        let today = ["parametrizations.weight.original0", "parametrizations.weight.original1"];
        let old = ["weight_g", "weight_v"];
        let names = |parts: [&str; 2]| parts.map(|part| format!("{name}.{part}"));
        let is_old = !net.has(&names(today)[0]) && net.has(&names(old)[0]);
        let [lengths, directions] = names(if is_old { old } else { today });
        let lengths = net.weight(&lengths, &[1, 1, size])?;
        let shape = [self.width, self.width / groups, size];
        let directions = net.weight(&directions, &shape)?;
        let squares = net.mul(directions, directions)?;
        let squares = net.builder.reduce(Reduction::Sum, squares, 0, true)?;
        let squares = net.builder.reduce(Reduction::Sum, squares, 1, true)?;
        let norms = net.builder.unary(UnaryOp::Sqrt, squares)?;
        let inverse = net.builder.unary(UnaryOp::Reciprocal, norms)?;
        let factors = net.mul(lengths, inverse)?;
        let filter = net.mul(directions, factors)?;
        Ok(net.builder.reshape(filter, &[shape[0], shape[1], 1, size])?)
    }

    /// `x` `[b, f, width]` and what a convolution over its frames says of their positions.
    fn place(&self, net: &mut Net<'_>, x: Value, batch: usize) -> Result<Value, Error> {
        let [size, groups] = self.positions;
        let name = "wav2vec2.encoder.pos_conv_embed.conv";
        let filter = self.position_filter(net, name)?;
        let bias = net.weight(&format!("{name}.bias"), &[self.width])?;
        let frames = net.shape(x)[1];
        let across = net.builder.transpose(x, &[0, 2, 1])?;
        let across = net.builder.reshape(across, &[batch, self.width, 1, frames])?;
        // A filter of even size has one frame too many, of which the class drops the last.
        let padding = [[0, 0], [size / 2, (size - 1) / 2]];
        let window = Window { padding, ..Window::new([1, size]) };
        let identity = Activation::Identity;
        let placed = net.builder.conv([across, filter], Some(bias), window, groups, identity)?;
        let placed = self.features.activation().apply(&mut net.builder, placed)?;
        let placed = net.builder.reshape(placed, &[batch, self.width, frames])?;
        let placed = net.builder.transpose(placed, &[0, 2, 1])?;
        Ok(net.builder.add(x, placed)?)
    }

    fn attend(&self, net: &mut Net<'_>, name: &str, x: Value, mask: Value) -> Result<Value, Error> {
        let mut project = |which: &str| net.dense(&format!("{name}.{which}_proj"), x, self.width);
        let projected = [project("q")?, project("k")?, project("v")?];
        let heads = Heads::new(self.heads, self.width / self.heads);
        let attended = net.attention(heads, projected, Some(mask), None)?;
        net.dense(&format!("{name}.out_proj"), attended, self.width)
    }

    fn feed_forward(&self, net: &mut Net<'_>, name: &str, x: Value) -> Result<Value, Error> {
        let wide = format!("{name}.intermediate_dense");
        let wide = net.linear(&wide, x, self.intermediate, true, self.activation)?;
        net.dense(&format!("{name}.output_dense"), wide, self.width)
    }

    fn layer(&self, net: &mut Net<'_>, name: &str, x: Value, mask: Value) -> Result<Value, Error> {
        let part = |part: &str| format!("{name}.{part}");
        if self.stable {
            let normed = net.layer_norm(&part("layer_norm"), x, self.epsilon)?;
            let attended = self.attend(net, &part("attention"), normed, mask)?;
            let x = net.builder.add(x, attended)?;
            let normed = net.layer_norm(&part("final_layer_norm"), x, self.epsilon)?;
            let fed = self.feed_forward(net, &part("feed_forward"), normed)?;
            let x = net.builder.add(x, fed)?;
            return self.adapt_layer(net, &part("adapter_layer"), x);
        }
        let attended = self.attend(net, &part("attention"), x, mask)?;
        let sum = net.builder.add(x, attended)?;
        let x = net.layer_norm(&part("layer_norm"), sum, self.epsilon)?;
        let fed = self.feed_forward(net, &part("feed_forward"), x)?;
        let sum = net.builder.add(x, fed)?;
        net.layer_norm(&part("final_layer_norm"), sum, self.epsilon)
    }

    /// `x` and what the adapter of a layer makes of it, if there is one.
    fn adapt_layer(&self, net: &mut Net<'_>, name: &str, x: Value) -> Result<Value, Error> {
        let Some(inner) = self.attention_adapter else { return Ok(x) };
        let normed = net.layer_norm(&format!("{name}.norm"), x, EPSILON)?;
        let narrow = format!("{name}.linear_1");
        let narrow = net.linear(&narrow, normed, inner, true, Activation::Relu)?;
        let wide = net.dense(&format!("{name}.linear_2"), narrow, self.width)?;
        Ok(net.builder.add(x, wide)?)
    }

    /// The frames of a binding; too few samples are an error that says how many are needed.
    fn frames(&self, binding: &Binding) -> Result<usize, Error> {
        let samples = binding.get(&SEQUENCE)?;
        let needed = self.features.samples(self.adapter.as_ref().map_or(1, Adapter::frames));
        if samples < needed {
            let detail = format!("it has {samples} samples, the checkpoint needs {needed}");
            return Err(Error::Input { name: "input_values".into(), detail });
        }
        let frames = i64::try_from(samples).map(|samples| self.features.frames(samples));
        let frames = frames.ok().and_then(|frames| usize::try_from(frames).ok());
        frames.ok_or_else(|| Error::Input {
            name: "input_values".into(),
            detail: format!("it has {samples} samples, which give no frame"),
        })
    }
}

impl Architecture for Wav2Vec2 {
    /// `input_values` and `attention_mask`, both `[b, s]`, where `s` counts samples.
    fn arguments(&self) -> Vec<Argument> {
        let sizes = || vec![BATCH.into(), SEQUENCE.into()];
        vec![
            Argument::new("input_values", sizes(), Values::Real),
            Argument::new("attention_mask", sizes(), Values::Mask),
        ]
    }

    /// Outputs `logits` `[b, frames, vocab_size]`.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        let (batch, samples) = (binding.get(&BATCH)?, binding.get(&SEQUENCE)?);
        let frames = self.frames(binding)?;
        let mut net = Net::new(binding, weights);
        // A bare `Wav2Vec2Model` is held without a name.
        let first = "feature_extractor.conv_layers.0.conv.weight";
        if !net.has(&format!("wav2vec2.{first}")) && net.has(first) {
            net.rename("wav2vec2.", "");
        }
        let samples = net.input("input_values", Kind::Float, &[batch, samples])?;
        let mask = net.input("frame_mask", Kind::Index, &[batch, frames])?;
        let x = self.features.extract(&mut net, samples)?;
        let projection = "wav2vec2.feature_projection";
        let x = net.layer_norm(&format!("{projection}.layer_norm"), x, self.epsilon)?;
        let x = net.dense(&format!("{projection}.projection"), x, self.width)?;
        let seen = net.builder.to_float(mask)?;
        let seen = net.builder.reshape(seen, &[batch, frames, 1])?;
        let x = net.mul(x, seen)?;
        let mut x = self.place(&mut net, x, batch)?;
        let norm = "wav2vec2.encoder.layer_norm";
        if !self.stable {
            x = net.layer_norm(norm, x, self.epsilon)?;
        }
        for layer in 0..self.layers {
            x = self.layer(&mut net, &format!("wav2vec2.encoder.layers.{layer}"), x, mask)?;
        }
        if self.stable {
            x = net.layer_norm(norm, x, self.epsilon)?;
        }
        if let Some(adapter) = &self.adapter {
            x = adapter.adapt(&mut net, x)?;
        }
        let logits = net.dense("lm_head", x, self.vocabulary)?;
        net.builder.output("logits", logits)?;
        net.finish()
    }

    /// `frame_mask` `[b, frames]`: 1 for the frames of the samples that are seen.
    fn derive(&self, binding: &Binding, given: &Given) -> Result<Given, Error> {
        let fail = |detail| Error::Input { name: "attention_mask".into(), detail };
        let mask = given.get("attention_mask").and_then(Tensor::indices);
        let mask = mask.ok_or_else(|| fail("is missing".into()))?;
        let (samples, frames) = (binding.get(&SEQUENCE)?, self.frames(binding)?);
        let mut seen = Vec::new();
        for (i, row) in mask.chunks(samples).enumerate() {
            let last = self.features.last_seen(row, frames).ok_or_else(|| {
                fail(format!("row {i} shows too few samples: none of its {frames} frames is seen"))
            })?;
            seen.extend((0..frames).map(|frame| i32::from(frame <= last)));
        }
        let shape = [binding.get(&BATCH)?, frames];
        Ok([("frame_mask".to_owned(), Tensor::i32(shape, seen))].into())
    }

    /// Rows of the mask that show too few samples show all of them.
    fn reconcile(&self, binding: &Binding, given: &mut Given) -> Result<(), Error> {
        let (samples, frames) = (binding.get(&SEQUENCE)?, self.frames(binding)?);
        let Some(mask) = given.get_mut("attention_mask") else { return Ok(()) };
        let mut rows = mask.indices().unwrap_or_default().to_vec();
        for row in rows.chunks_mut(samples) {
            if self.features.last_seen(row, frames).is_none() {
                row.fill(1);
            }
        }
        *mask = Tensor::i32(mask.shape(), rows);
        Ok(())
    }

    fn unsupported_outputs(&self) -> &'static str {
        "attentions and the states of single layers are not among them"
    }

    fn example(&self) -> Binding {
        let frames = self.adapter.as_ref().map_or(1, Adapter::frames);
        Binding::batch_sequence(1, self.features.samples(frames.max(3)))
    }
}
