//! The layers of T5's two stacks, and what relative positions add to their scores.

use super::T5;
use crate::error::Error;
use crate::families::activations::Function;
use crate::families::net::{Heads, Net};
use proofmark_kernels::{Activation, Kind, Value};

/// One of the two stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stack {
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
pub(super) struct Inputs {
    pub(super) mask: Value,
    pub(super) bias: Value,
    /// The encoder's states, where they are computed.
    pub(super) memory: Option<Value>,
    pub(super) memory_mask: Value,
    pub(super) past: Option<usize>,
}

impl T5 {
    /// Embeddings of a stack's ids, or those that are given.
    pub(super) fn embed(
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
    pub(super) fn bias(
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

    pub(super) fn encode(&self, net: &mut Net<'_>, x: Value, mask: Value) -> Result<Value, Error> {
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
    pub(super) fn decode(
        &self,
        net: &mut Net<'_>,
        x: Value,
        inputs: &Inputs,
    ) -> Result<Value, Error> {
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
