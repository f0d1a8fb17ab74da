//! ViT (Dosovitskiy et al. 2021), as `ViTForImageClassification` and `ViTModel` of transformers compute it.

use super::activations::{ACTIVATIONS, Function};
use super::idle::bookkeeping;
use super::net::{Heads, Net};
use super::patches::{Patches, behind_first};
use super::{Architecture, Argument, Values, expect_class};
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{Activation, BATCH, Binding, Graph, Kind, SEQUENCE, Value, Weights};

/// The sizes of one ViT.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Vit {
    patches: Patches,
    hidden: usize,
    layers: usize,
    heads: usize,
    head_width: usize,
    intermediate: usize,
    activation: Function,
    epsilon: f32,
    /// Whether queries, keys and values have biases.
    biases: bool,
    head: Head,
}

/// What stands on the encoder.
#[derive(Clone, Debug, PartialEq)]
enum Head {
    /// A classifier of so many labels.
    Classifier(usize),
    /// The pooler of `ViTModel`: its width and its activation.
    Pooler(usize, Function),
}

impl Vit {
    /// Reads the sizes, and refuses what would make another model of it.
    pub(super) fn read(config: &mut Config, architectures: &[String]) -> Result<Self, Error> {
        expect_class(config, architectures, &["ViTForImageClassification", "ViTModel"])?;
        bookkeeping(config)?;
        config.idle(&[
            "attention_probs_dropout_prob",
            "encoder_stride",
            "hidden_dropout_prob",
            "label2id",
            "tie_word_embeddings",
        ]);
        let hidden = config.size_or("hidden_size", 768)?;
        let heads = config.size_or("num_attention_heads", 12)?;
        if heads > hidden {
            let detail = format!("is {heads}, more than the width of a layer, {hidden}");
            return Err(config.fault("num_attention_heads", detail));
        }
        let head = if architectures.iter().any(|class| class == "ViTModel") {
            config.idle(&["id2label", "num_labels"]);
            let width = config.size_or("pooler_output_size", hidden)?;
            let tanh = Activation::Tanh.into();
            Head::Pooler(width, config.choice_or("pooler_act", &ACTIVATIONS, tanh)?)
        } else {
            config.idle(&["pooler_act", "pooler_output_size"]);
            Head::Classifier(labels(config)?)
        };
        Ok(Self {
            patches: Patches::read(config, [224, 16], true)?,
            hidden,
            layers: config.size_or("num_hidden_layers", 12)?,
            heads,
            head_width: config.size_or("head_dim", hidden / heads)?,
            intermediate: config.size_or("intermediate_size", 3072)?,
            activation: config.choice_or("hidden_act", &ACTIVATIONS, Activation::Gelu.into())?,
            epsilon: config.at_least_zero("layer_norm_eps", Some(1e-12))?,
            biases: config.flag_or("qkv_bias", true)?,
            head,
        })
    }

    /// Tells the net how this checkpoint calls today's names.
    fn rename(&self, net: &mut Net<'_>) {
        let first = "embeddings.cls_token";
        let base = if !net.has(&format!("vit.{first}")) && net.has(first) { "" } else { "vit." };
        let has = |name: &str| net.has(&format!("{base}{name}"));
        let today = has("layers.0.layernorm_before.weight");
        if !today && has("encoder.layer.0.layernorm_before.weight") {
            for layer in 0..self.layers {
                let stored = format!("{base}encoder.layer.{layer}.");
                let name = format!("vit.layers.{layer}.");
                for (today, part) in VERSION_4 {
                    net.rename(&format!("{name}{today}"), &format!("{stored}{part}"));
                }
                net.rename(&name, &stored);
            }
        }
        net.rename("vit.", base);
    }

    fn embed(&self, net: &mut Net<'_>, pixels: Value) -> Result<Value, Error> {
        let (name, tokens) = ("vit.embeddings.patch_embeddings.projection", self.tokens());
        let patches = self.patches.embed(net, name, pixels, self.hidden, true)?;
        let first = net.weight("vit.embeddings.cls_token", &[1, 1, self.hidden])?;
        let first = net.builder.reshape(first, &[1, self.hidden])?;
        let positions =
            net.weight("vit.embeddings.position_embeddings", &[1, tokens, self.hidden])?;
        let positions = net.builder.reshape(positions, &[tokens, self.hidden])?;
        behind_first(net, patches, first, positions)
    }

    fn layer(
        &self,
        net: &mut Net<'_>,
        name: &str,
        x: Value,
        mask: Option<Value>,
    ) -> Result<Value, Error> {
        let part = |part: &str| format!("{name}.{part}");
        let normed = net.layer_norm(&part("layernorm_before"), x, self.epsilon)?;
        let inner = self.heads.saturating_mul(self.head_width);
        let mut project = |which: &str| {
            let name = part(&format!("attention.{which}"));
            net.linear(&name, normed, inner, self.biases, Activation::Identity)
        };
        let projected = [project("q_proj")?, project("k_proj")?, project("v_proj")?];
        let heads = Heads::new(self.heads, self.head_width);
        let attended = net.attention(heads, projected, mask, None)?;
        let attended = net.dense(&part("attention.o_proj"), attended, self.hidden)?;
        let x = net.builder.add(attended, x)?;
        let normed = net.layer_norm(&part("layernorm_after"), x, self.epsilon)?;
        let wide = part("mlp.fc1");
        let wide = net.linear(&wide, normed, self.intermediate, true, self.activation)?;
        let narrow = net.dense(&part("mlp.fc2"), wide, self.hidden)?;
        Ok(net.builder.add(narrow, x)?)
    }

    /// Tokens of a picture: its patches and the one before them.
    fn tokens(&self) -> usize {
        self.patches.count() + 1
    }
}

/// Parts of a layer: today's names, and those of version 4. What is not listed kept its name.
const VERSION_4: [(&str, &str); 6] = [
    ("attention.q_proj.", "attention.attention.query."),
    ("attention.k_proj.", "attention.attention.key."),
    ("attention.v_proj.", "attention.attention.value."),
    ("attention.o_proj.", "attention.output.dense."),
    ("mlp.fc1.", "intermediate.dense."),
    ("mlp.fc2.", "output.dense."),
];

/// The labels of a classifier: those that are named, or so many, or two.
fn labels(config: &mut Config) -> Result<usize, Error> {
    match config.value("id2label") {
        None => config.size_or("num_labels", 2),
        Some(serde_json::Value::Object(labels)) if !labels.is_empty() => {
            config.idle(&["num_labels"]);
            Ok(labels.len())
        }
        Some(other) => {
            let detail = format!("is {other}: an object with a name for every label is needed");
            Err(config.fault("id2label", detail))
        }
    }
}

impl Architecture for Vit {
    /// `pixel_values` `[b, c, h, w]`; `attention_mask` `[b, tokens]` over the first token and the patches.
    fn arguments(&self) -> Vec<Argument> {
        let pixels = self.patches.sizes([BATCH.into()]);
        // The symbol is bound by a mask alone, so that a graph without one has none.
        let mask = vec![BATCH.into(), SEQUENCE.into()];
        vec![
            Argument::new("pixel_values", pixels, Values::Real),
            Argument::optional("attention_mask", mask, Values::Mask),
        ]
    }

    /// Outputs `logits` `[b, labels]` with a classifier; without one `last_hidden_state` `[b, tokens, hidden]` and,
    /// with a pooler, `pooler_output` `[b, width]`.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        let (batch, tokens) = (binding.get(&BATCH)?, self.tokens());
        let mut net = Net::new(binding, weights);
        self.rename(&mut net);
        let pixels = net.input("pixel_values", Kind::Float, &self.patches.shape(&[batch]))?;
        let mask = match binding.get(&SEQUENCE) {
            Err(_) => None,
            Ok(found) if found == tokens => {
                Some(net.input("attention_mask", Kind::Index, &[batch, tokens])?)
            }
            Ok(found) => {
                let detail = format!("it has {found} columns, a picture has {tokens} tokens");
                return Err(Error::Input { name: "attention_mask".into(), detail });
            }
        };
        let mut x = self.embed(&mut net, pixels)?;
        for layer in 0..self.layers {
            x = self.layer(&mut net, &format!("vit.layers.{layer}"), x, mask)?;
        }
        let x = net.layer_norm("vit.layernorm", x, self.epsilon)?;
        let first = net.builder.slice(x, 1, 0, 1)?;
        let first = net.builder.reshape(first, &[batch, self.hidden])?;
        match self.head {
            Head::Classifier(labels) => {
                let logits = net.dense("classifier", first, labels)?;
                net.builder.output("logits", logits)?;
            }
            Head::Pooler(width, activation) => {
                net.builder.output("last_hidden_state", x)?;
                if net.has("vit.pooler.dense.weight") {
                    let pooled = net.linear("vit.pooler.dense", first, width, true, activation)?;
                    net.builder.output("pooler_output", pooled)?;
                }
            }
        }
        net.finish()
    }

    fn unsupported_outputs(&self) -> &'static str {
        "logits are possible for ViTForImageClassification; last_hidden_state, and pooler_output where the \
         checkpoint has a pooler, for ViTModel"
    }

    fn example(&self) -> Binding {
        Binding::default().with(BATCH, 1)
    }
}

#[cfg(test)]
mod tests;
