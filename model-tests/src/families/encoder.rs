//! The layers of CLIP's towers (Radford et al. 2021): norms before attention and before the feed-forward network,
//! biases everywhere. SigLIP's and X-CLIP's towers are made of the same parts.

use super::activations::{ACTIVATIONS, Function};
use super::net::{Heads, Net};
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{Activation, Value};

/// The sizes of a stack of layers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Encoder {
    pub(super) hidden: usize,
    pub(super) layers: usize,
    heads: usize,
    intermediate: usize,
    activation: Function,
    pub(super) epsilon: f32,
}

impl Encoder {
    /// Sizes that a configuration need not say: width, layers, heads and inner width.
    pub(super) fn defaults([hidden, layers, heads, intermediate]: [usize; 4]) -> Self {
        let activation = Activation::QuickGelu.into();
        Self { hidden, layers, heads, intermediate, activation, epsilon: 1e-5 }
    }

    /// The defaults of SigLIP's vision tower.
    pub(super) fn siglip() -> Self {
        let activation = Activation::GeluTanh.into();
        Self { activation, epsilon: 1e-6, ..Self::defaults([768, 12, 12, 3072]) }
    }

    /// Reads the sizes; the keys of those that one configuration has twice begin with the prefix.
    pub(super) fn read(config: &mut Config, prefix: &str, default: &Self) -> Result<Self, Error> {
        let mut size =
            |key: &str, default: usize| config.size_or(&format!("{prefix}{key}"), default);
        let hidden = size("hidden_size", default.hidden)?;
        let layers = size("num_hidden_layers", default.layers)?;
        let heads = size("num_attention_heads", default.heads)?;
        let intermediate = size("intermediate_size", default.intermediate)?;
        if !hidden.is_multiple_of(heads) {
            let key = format!("{prefix}num_attention_heads");
            let detail =
                format!("is {heads}, which does not divide {hidden}, the width of a layer");
            return Err(config.fault(&key, detail));
        }
        let activation = config.choice_or("hidden_act", &ACTIVATIONS, default.activation)?;
        let epsilon = config.at_least_zero("layer_norm_eps", Some(default.epsilon))?;
        Ok(Self { hidden, layers, heads, intermediate, activation, epsilon })
    }

    /// One layer; `causal` hides what is behind a token, the mask hides tokens altogether.
    pub(super) fn layer(
        &self,
        net: &mut Net<'_>,
        name: &str,
        x: Value,
        mask: Option<Value>,
        causal: bool,
    ) -> Result<Value, Error> {
        let normed = net.layer_norm(&format!("{name}.layer_norm1"), x, self.epsilon)?;
        let attended = self.attend(net, &format!("{name}.self_attn"), normed, mask, causal)?;
        let x = net.builder.add(attended, x)?;
        self.feed_forward(net, name, x)
    }

    /// Attention of `x` to itself, projected.
    pub(super) fn attend(
        &self,
        net: &mut Net<'_>,
        name: &str,
        x: Value,
        mask: Option<Value>,
        causal: bool,
    ) -> Result<Value, Error> {
        let mut project = |which: &str| net.dense(&format!("{name}.{which}"), x, self.hidden);
        let projected = [project("q_proj")?, project("k_proj")?, project("v_proj")?];
        let heads = Heads { causal, ..Heads::new(self.heads, self.hidden / self.heads) };
        let attended = net.attention(heads, projected, mask, None)?;
        net.dense(&format!("{name}.out_proj"), attended, self.hidden)
    }

    /// `x` and what the feed-forward network makes of it.
    pub(super) fn feed_forward(
        &self,
        net: &mut Net<'_>,
        name: &str,
        x: Value,
    ) -> Result<Value, Error> {
        let normed = net.layer_norm(&format!("{name}.layer_norm2"), x, self.epsilon)?;
        let wide = format!("{name}.mlp.fc1");
        let wide = net.linear(&wide, normed, self.intermediate, true, self.activation)?;
        let narrow = net.dense(&format!("{name}.mlp.fc2"), wide, self.hidden)?;
        Ok(net.builder.add(narrow, x)?)
    }
}
