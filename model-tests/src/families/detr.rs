//! DETR (Carion et al. 2020), as `DetrForObjectDetection` of transformers computes it: a ResNet, an encoder over its
//! last map, and a decoder over learned queries with heads for classes and boxes.
//!
//! Positions and the mask of the map follow from `pixel_mask`; they are derived on the host.

use super::activations::{ACTIVATIONS, Function};
use super::net::{Heads, Net};
use super::resnet::ResNet;
use super::{Architecture, Argument, Given, HEIGHT, Values, WIDTH, expect_class};
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{
    Activation, BATCH, Binding, Graph, Kind, Symbol, Tensor, UnaryOp, Value, Weights, Window,
};
use serde_json::json;

/// Queries of a given `decoder_attention_mask`; not bound where all queries see each other.
const QUERIES: Symbol = Symbol::new("q");
/// Queries of given `decoder_inputs_embeds`; not bound where the queries begin as zeros.
const EMBEDDED: Symbol = Symbol::new("e");
/// `LayerNorm`'s own, which no configuration changes.
const EPSILON: f32 = 1e-5;
/// Rows and columns that learned positions have.
const LEARNED: usize = 50;
/// What positions are scaled to, and what keeps them from being divided by zero.
const SCALE: f64 = std::f64::consts::TAU;
const TEMPERATURE: f64 = 10_000.0;
const TINY: f64 = 1e-6;

/// The sizes of one DETR.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Detr {
    backbone: ResNet,
    width: usize,
    queries: usize,
    labels: usize,
    encoder: Stack,
    decoder: Stack,
    activation: Function,
    learned: bool,
    /// Whether the last norm stands behind every layer of the decoder as well, as training with auxiliary losses
    /// has it.
    normed: bool,
}

/// Layers of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stack {
    layers: usize,
    heads: usize,
    inner: usize,
}

/// Keys that act in training, are of losses, or are written for other classes.
const IDLE: [&str; 29] = [
    "activation_dropout",
    "attention_dropout",
    "bbox_cost",
    "bbox_loss_coefficient",
    "class_cost",
    "classifier_dropout",
    "decoder_layerdrop",
    "dice_loss_coefficient",
    "dropout",
    "dtype",
    "encoder_layerdrop",
    "eos_coefficient",
    "giou_cost",
    "giou_loss_coefficient",
    "init_std",
    "init_xavier_std",
    "label2id",
    "mask_loss_coefficient",
    "max_position_embeddings",
    "num_hidden_layers",
    "output_attentions",
    "output_hidden_states",
    "scale_embedding",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "use_pretrained_backbone",
    "_name_or_path",
    "is_encoder_decoder",
];

impl Detr {
    /// Reads the sizes, and refuses what would make another model of it.
    pub(super) fn read(config: &mut Config, architectures: &[String]) -> Result<Self, Error> {
        expect_class(config, architectures, &["DetrForObjectDetection"])?;
        config.held("quantization_config", &[])?;
        config.idle(&IDLE);
        let backbone = backbone(config)?;
        let width = config.size_or("d_model", 256)?;
        let mut stack = |side: &str, layers: usize| {
            let heads = format!("{side}_attention_heads");
            let stack = Stack {
                layers: config.size_or(&format!("{side}_layers"), layers)?,
                heads: config.size_or(&heads, 8)?,
                inner: config.size_or(&format!("{side}_ffn_dim"), 2048)?,
            };
            if !width.is_multiple_of(stack.heads) {
                let detail =
                    format!("is {}: it must divide d_model, which is {width}", stack.heads);
                return Err(config.fault(&heads, detail));
            }
            Ok(stack)
        };
        let (encoder, decoder) = (stack("encoder", 6)?, stack("decoder", 6)?);
        let learned = config.choice_or(
            "position_embedding_type",
            &[("sine", false), ("learned", true)],
            false,
        )?;
        let divides = if learned { 2 } else { 4 };
        if !width.is_multiple_of(divides) {
            let detail =
                format!("is {width}: positions of rows and columns need a multiple of {divides}");
            return Err(config.fault("d_model", detail));
        }
        Ok(Self {
            backbone,
            width,
            queries: config.size_or("num_queries", 100)?,
            labels: config.labels()?,
            encoder,
            decoder,
            activation: config.choice_or(
                "activation_function",
                &ACTIVATIONS,
                Activation::Relu.into(),
            )?,
            learned,
            normed: config.flag_or("auxiliary_loss", false)?,
        })
    }

    /// Rows and columns of the last map; an error if the picture is too small or too large for it.
    fn map_size(&self, binding: &Binding) -> Result<[usize; 2], Error> {
        let picture = [binding.get(&HEIGHT)?, binding.get(&WIDTH)?];
        let fail = |detail: String| Err(Error::Input { name: "pixel_values".into(), detail });
        let Some(map) = self.backbone.map_size(picture) else {
            return fail(format!("a picture of {picture:?} leaves nothing of the map"));
        };
        if self.learned && map.iter().any(|&size| size > LEARNED) {
            return fail(format!(
                "a picture of {picture:?} gives a map of {map:?}, the checkpoint has positions for at most {LEARNED} \
                 rows and columns"
            ));
        }
        Ok(map)
    }

    fn expect_queries(&self, name: &str, given: usize) -> Result<(), Error> {
        if given == self.queries {
            return Ok(());
        }
        let detail = format!("it has {given} queries, the model has {}", self.queries);
        Err(Error::Input { name: name.into(), detail })
    }

    /// Learned positions of the map `[1, rows·columns, width]`: columns first, then rows.
    fn learned_positions(
        &self,
        net: &mut Net<'_>,
        [rows, columns]: [usize; 2],
    ) -> Result<Value, Error> {
        let half = self.width / 2;
        let prefix = ["model.position_embedding", "model.backbone.position_embedding"];
        let prefix = prefix
            .into_iter()
            .find(|prefix| net.has(&format!("{prefix}.row_embeddings.weight")))
            .unwrap_or(prefix[0]);
        let indices = |of: &dyn Fn(usize) -> usize| {
            let indices = (0..rows * columns).map(|i| i32::try_from(of(i)).unwrap_or(i32::MAX));
            indices.collect::<Vec<_>>()
        };
        let count = [1, rows * columns];
        let column = net.indices(&count, indices(&|i| i % columns))?;
        let row = net.indices(&count, indices(&|i| i / columns))?;
        let table = [LEARNED, half];
        let column = net.embedding(&format!("{prefix}.column_embeddings"), table, column)?;
        let row = net.embedding(&format!("{prefix}.row_embeddings"), table, row)?;
        Ok(net.builder.concat(&[column, row], 2)?)
    }

    /// Attention whose queries and keys carry positions, and the residual and the norm behind it.
    fn attend(
        &self,
        net: &mut Net<'_>,
        name: &str,
        stack: Stack,
        [x, at]: [Value; 2],
        [memory, memory_at]: [Value; 2],
        mask: Option<Value>,
    ) -> Result<Value, Error> {
        let placed = net.builder.add(x, at)?;
        let keyed = if memory == x && memory_at == at {
            placed
        } else {
            net.builder.add(memory, memory_at)?
        };
        let part = |part: &str| format!("{name}.{part}");
        let query = net.dense(&part("q_proj"), placed, self.width)?;
        let key = net.dense(&part("k_proj"), keyed, self.width)?;
        let value = net.dense(&part("v_proj"), memory, self.width)?;
        let heads = Heads::new(stack.heads, self.width / stack.heads);
        let attended = net.attention(heads, [query, key, value], mask, None)?;
        let attended = net.dense(&part("out_proj"), attended, self.width)?;
        let sum = net.builder.add(attended, x)?;
        net.layer_norm(&format!("{name}_layer_norm"), sum, EPSILON)
    }

    fn feed_forward(
        &self,
        net: &mut Net<'_>,
        name: &str,
        stack: Stack,
        x: Value,
    ) -> Result<Value, Error> {
        let wide = net.linear(&format!("{name}.fc1"), x, stack.inner, true, self.activation)?;
        let narrow = net.dense(&format!("{name}.fc2"), wide, self.width)?;
        let sum = net.builder.add(narrow, x)?;
        net.layer_norm(&format!("{name}.final_layer_norm"), sum, EPSILON)
    }

    fn encode(
        &self,
        net: &mut Net<'_>,
        mut x: Value,
        positions: Value,
        mask: Value,
    ) -> Result<Value, Error> {
        for layer in 0..self.encoder.layers {
            let name = format!("model.encoder.layers.{layer}");
            let part = format!("{name}.self_attn");
            x =
                self.attend(net, &part, self.encoder, [x, positions], [x, positions], Some(mask))?;
            x = self.feed_forward(net, &name, self.encoder, x)?;
        }
        Ok(x)
    }

    /// The heads: `logits` `[b, q, labels + 1]`, `pred_boxes` `[b, q, 4]`.
    fn heads(&self, net: &mut Net<'_>, x: Value) -> Result<(), Error> {
        let logits = net.dense("class_labels_classifier", x, self.labels + 1)?;
        let layer = |index: usize| format!("bbox_predictor.layers.{index}");
        let boxes = net.linear(&layer(0), x, self.width, true, Activation::Relu)?;
        let boxes = net.linear(&layer(1), boxes, self.width, true, Activation::Relu)?;
        let boxes = net.dense(&layer(2), boxes, 4)?;
        let boxes = net.builder.unary(UnaryOp::Sigmoid, boxes)?;
        net.builder.output("logits", logits)?;
        net.builder.output("pred_boxes", boxes)?;
        Ok(())
    }
}

/// The backbone: transformers' own ResNet, or timm's by name.
fn backbone(config: &mut Config) -> Result<ResNet, Error> {
    config.held("dilation", &[json!(false)])?;
    config.held("backbone_kwargs", &[json!({})])?;
    if !config.has("backbone_config") {
        let channels = config.size_or("num_channels", 3)?;
        config.held("use_timm_backbone", &[json!(true)])?;
        return ResNet::timm(config, "backbone", channels, "resnet50");
    }
    config.held("backbone", &[])?;
    // Transformers' backbones have their own number of channels.
    config.idle(&["use_timm_backbone", "num_channels"]);
    config.section("backbone_config", |section| {
        if section.text("model_type")?.as_deref() == Some("timm_backbone") {
            section.held("features_only", &[json!(true)])?;
            section.held("output_stride", &[json!(32)])?;
            section.held("out_indices", &[json!([1, 2, 3, 4]), json!([4]), json!([-1])])?;
            section.idle(&["use_pretrained_backbone", "freeze_batch_norm_2d"]);
            let channels = section.size_or("num_channels", 3)?;
            return ResNet::timm(section, "backbone", channels, "");
        }
        section.idle(&[
            "_name_or_path",
            "architectures",
            "chunk_size_feed_forward",
            "dtype",
            "torch_dtype",
            "id2label",
            "label2id",
            "is_encoder_decoder",
            "output_attentions",
            "output_hidden_states",
            "problem_type",
            "return_dict",
            "transformers_version",
        ]);
        ResNet::read(section)
    })
}

impl Architecture for Detr {
    /// `pixel_values` `[b, channels, h, w]`, `pixel_mask` `[b, h, w]`, `decoder_attention_mask` `[b, queries]`, and
    /// `decoder_inputs_embeds` `[b, queries, d_model]`.
    fn arguments(&self) -> Vec<Argument> {
        let (batch, height, width) = (BATCH.into(), HEIGHT.into(), WIDTH.into());
        let picture = vec![batch, self.backbone.channels.into(), height, width];
        let mask = vec![BATCH.into(), HEIGHT.into(), WIDTH.into()];
        let queries = vec![BATCH.into(), QUERIES.into()];
        let embedded = vec![BATCH.into(), EMBEDDED.into(), self.width.into()];
        vec![
            Argument::new("pixel_values", picture, Values::Real),
            Argument::new("pixel_mask", mask, Values::Mask),
            Argument::optional("decoder_attention_mask", queries, Values::Mask),
            Argument::optional("decoder_inputs_embeds", embedded, Values::Real),
        ]
    }

    /// Outputs `logits` `[b, queries, labels + 1]`, `pred_boxes` `[b, queries, 4]` (centre, width and height, as
    /// parts of the picture), `last_hidden_state` `[b, queries, d_model]`, and `encoder_last_hidden_state`
    /// `[b, h'·w', d_model]`.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        let [rows, columns] = self.map_size(binding)?;
        let (batch, count) = (binding.get(&BATCH)?, rows * columns);
        let mut net = Net::new(binding, weights);
        // How transformers 5 names its own modules; its files have the older names.
        net.respell("model.backbone.conv_encoder.", "model.backbone.");
        net.respell(".out_proj.", ".o_proj.");
        net.respell(".fc1.", ".mlp.fc1.");
        net.respell(".fc2.", ".mlp.fc2.");
        let picture = [batch, self.backbone.channels, binding.get(&HEIGHT)?, binding.get(&WIDTH)?];
        let pixels = net.input("pixel_values", Kind::Float, &picture)?;
        let mask = net.input("map_mask", Kind::Index, &[batch, count])?;
        let positions = if self.learned {
            self.learned_positions(&mut net, [rows, columns])?
        } else {
            net.input("map_positions", Kind::Float, &[batch, count, self.width])?
        };
        let map = self.backbone.map(&mut net, "model.backbone.conv_encoder.model", pixels)?;
        let map = net.conv("model.input_projection", map, self.width, Window::new([1, 1]), true)?;
        let map = net.builder.reshape(map, &[batch, self.width, count])?;
        let x = net.builder.transpose(map, &[0, 2, 1])?;
        let x = self.encode(&mut net, x, positions, mask)?;
        let memory = [x, positions];
        let query_mask = match binding.get(&QUERIES) {
            Err(_) => None,
            Ok(given) => {
                self.expect_queries("decoder_attention_mask", given)?;
                Some(net.input("decoder_attention_mask", Kind::Index, &[batch, given])?)
            }
        };
        let at =
            net.weight("model.query_position_embeddings.weight", &[self.queries, self.width])?;
        let at = net.builder.reshape(at, &[1, self.queries, self.width])?;
        let shape = [batch, self.queries, self.width];
        let mut y = match binding.get(&EMBEDDED) {
            Err(_) => net.floats(&shape, vec![0.0; shape.iter().product()])?,
            Ok(given) => {
                self.expect_queries("decoder_inputs_embeds", given)?;
                net.input("decoder_inputs_embeds", Kind::Float, &shape)?
            }
        };
        for layer in 0..self.decoder.layers {
            let name = format!("model.decoder.layers.{layer}");
            let part = |part: &str| format!("{name}.{part}");
            let own = [y, at];
            y = self.attend(&mut net, &part("self_attn"), self.decoder, own, own, query_mask)?;
            let own = [y, at];
            y = self.attend(
                &mut net,
                &part("encoder_attn"),
                self.decoder,
                own,
                memory,
                Some(mask),
            )?;
            y = self.feed_forward(&mut net, &name, self.decoder, y)?;
            if self.normed {
                y = net.layer_norm("model.decoder.layernorm", y, EPSILON)?;
            }
        }
        let y = net.layer_norm("model.decoder.layernorm", y, EPSILON)?;
        self.heads(&mut net, y)?;
        net.builder.output("last_hidden_state", y)?;
        net.builder.output("encoder_last_hidden_state", memory[0])?;
        net.finish()
    }

    /// `map_mask` `[b, h'·w']`, the nearest pixel of `pixel_mask`; `map_positions` `[b, h'·w', d_model]`, the sines and
    /// cosines of how many seen rows and columns are above and before.
    fn derive(&self, binding: &Binding, given: &Given) -> Result<Given, Error> {
        let [rows, columns] = self.map_size(binding)?;
        let picture = [binding.get(&HEIGHT)?, binding.get(&WIDTH)?];
        let batch = binding.get(&BATCH)?;
        let seen = given.get("pixel_mask").and_then(Tensor::indices).unwrap_or_default();
        let mut mask = Vec::with_capacity(batch * rows * columns);
        for image in seen.chunks(picture[0] * picture[1]) {
            for row in 0..rows {
                let y = nearest(row, rows, picture[0]);
                let line = &image[y * picture[1]..][..picture[1]];
                mask.extend((0..columns).map(|column| line[nearest(column, columns, picture[1])]));
            }
        }
        let shape = [batch, rows * columns];
        let mut derived = Given::new();
        if !self.learned {
            let images = mask.chunks(rows * columns);
            let data: Vec<_> =
                images.flat_map(|mask| sines(mask, [rows, columns], self.width)).collect();
            let positions = Tensor::f32([shape[0], shape[1], self.width], data);
            derived.insert("map_positions".into(), positions);
        }
        derived.insert("map_mask".into(), Tensor::i32(shape, mask));
        Ok(derived)
    }

    fn unsupported_outputs(&self) -> &'static str {
        "logits, pred_boxes, last_hidden_state and encoder_last_hidden_state are possible"
    }

    fn example(&self) -> Binding {
        Binding::default().with(BATCH, 1).with(HEIGHT, 64).with(WIDTH, 64)
    }
}

/// The element of `from` that PyTorch's nearest interpolation takes for `index` of `to`; it counts in f32.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of pictures"
)]
fn nearest(index: usize, to: usize, from: usize) -> usize {
    ((index as f32 * (from as f32 / to as f32)).floor() as usize).min(from - 1)
}

/// Positions `[rows·columns, width]` of one map: half of each for the row, half for the column; even places are sines
/// and odd ones cosines of the scaled count of seen positions, over falling frequencies.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "sizes of maps, and inputs are f32"
)]
fn sines(mask: &[i32], [rows, columns]: [usize; 2], width: usize) -> Vec<f32> {
    let seen = |y: usize, x: usize| f64::from(mask[y * columns + x]);
    let half = width / 2;
    let frequency = |i: usize| TEMPERATURE.powf((2 * (i / 2)) as f64 / half as f64);
    let wave = |at: f64, i: usize| {
        let angle = at / frequency(i);
        if i.is_multiple_of(2) { angle.sin() } else { angle.cos() }
    };
    let mut data = Vec::with_capacity(mask.len() * width);
    for y in 0..rows {
        for x in 0..columns {
            let above = |to: usize| (0..=to).map(|y| seen(y, x)).sum::<f64>();
            let before = |to: usize| (0..=to).map(|x| seen(y, x)).sum::<f64>();
            let row = above(y) / (above(rows - 1) + TINY) * SCALE;
            let column = before(x) / (before(columns - 1) + TINY) * SCALE;
            data.extend((0..half).map(|i| wave(row, i) as f32));
            data.extend((0..half).map(|i| wave(column, i) as f32));
        }
    }
    data
}

#[cfg(test)]
mod tests;
