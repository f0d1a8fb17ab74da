//! The decoder of LLaMA and its kin (Touvron et al. 2023): root mean square norms, rotary positions, grouped heads,
//! a gated feed-forward, and the head that gives logits. Language models and LLaVA are built on it.
//!
//! With [`PAST`] bound it keeps a cache. The layout is our own: `cache.<layer>.key` and `cache.<layer>.value` are
//! `[b, p, kv_heads·width]`, keys after their rotation, heads side by side, the latest token last. They are inputs if
//! `p` is not 0, as is `cache.mask` `[b, p]` (0 hides; all are seen where it is not given). The outputs of these
//! names are what this call adds, `[b, s, kv_heads·width]`, so that no step copies what is there already, and
//! `logits` are those of the last position only, `[b, 1, vocabulary]`. Hidden tokens at the left of a cache are
//! padding: a cache of a fixed capacity begins with hidden slots, and one graph serves all steps.

mod config;
mod rope;

use super::activations::Function;
use super::net::{Heads, Net};
use super::{Argument, Decoding, Given, PAST, Values};
use crate::error::Error;
use proofmark_kernels::{Activation, BATCH, Binding, Kind, SEQUENCE, Symbol, Tensor, Value};
use rope::Rope;

/// The sizes of one decoder.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decoder {
    pub(super) vocabulary: usize,
    pub(super) hidden: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    /// Width of a head.
    pub(super) width: usize,
    pub(super) intermediate: usize,
    pub(super) activation: Function,
    pub(super) epsilon: f32,
    /// Tokens of the longest text that it was made for; the class refuses none that is longer.
    pub(super) max_positions: usize,
    rope: Rope,
    biases: Biases,
    /// How many tokens each layer sees, the last one included; none sees all.
    windows: Vec<Option<usize>>,
    /// Whether logits are products with the embeddings where the checkpoint has no head of its own.
    pub(super) tied: bool,
    /// Whether the class keeps a cache by itself; without one it takes jumping positions for packed texts.
    caches: bool,
}

/// Which products add a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Biases {
    /// Queries, keys and values.
    projections: bool,
    /// The product behind attention.
    output: bool,
    /// The three of the feed-forward.
    feed_forward: bool,
}

/// What every layer takes, and where names of weights begin.
struct Inputs<'a> {
    prefix: &'a str,
    rotation: [Value; 2],
    mask: Value,
    window: Option<Windowed>,
    /// Tokens in the cache, if one is kept.
    past: Option<usize>,
}

/// What layers with a window take, where it is shorter than the text.
#[derive(Clone, Copy)]
struct Windowed {
    /// Hides what is further back: `[1, 1, s, p + s]`.
    bias: Value,
    /// Hides all keys: `[b, p + s]`.
    nothing: Value,
    /// For each query the row of its result: its own, or the last one of its text if it sees no key.
    rows: Value,
}

/// Far below every score, yet a number of f16.
const OUTSIDE: f32 = -65504.0;

impl Decoder {
    /// `attention_mask` `[b, s]` and `position_ids` `[b, s]`, which continue behind the cache, and the cache.
    pub(super) fn arguments(&self) -> Vec<Argument> {
        let all = vec![BATCH.into(), SEQUENCE.into()];
        let below = usize::try_from(i32::MAX).unwrap_or(usize::MAX);
        let mut arguments = vec![
            Argument::new("attention_mask", all.clone(), Values::Mask),
            Argument::new("position_ids", all, Values::Positions { below, first: 0 }),
            Argument::optional("cache.mask", vec![BATCH.into(), PAST.into()], Values::Mask),
        ];
        let sizes = vec![BATCH.into(), PAST.into(), (self.kv_heads * self.width).into()];
        for layer in 0..self.layers {
            for part in ["key", "value"] {
                let name = format!("cache.{layer}.{part}");
                arguments.push(Argument::optional(name, sizes.clone(), Values::Real));
            }
        }
        arguments
    }

    /// How a model of this decoder continues a text. Its positions have no end, although it may not have learned more
    /// than `max_positions`.
    pub(super) const fn decoding() -> Decoding {
        Decoding {
            tokens: "input_ids",
            mask: "attention_mask",
            positions: Some("position_ids"),
            length: SEQUENCE,
            kept: &[],
            limit: usize::MAX,
        }
    }

    /// `rotary.cosines` and `rotary.sines` `[b, s, width / 2]`; with a cache `cache.seen` `[b, p + s]`, the masks of
    /// the cache and of the new tokens side by side; `window.rows` `[b, s]` where layers have a window.
    pub(super) fn derive(&self, binding: &Binding, given: &Given) -> Result<Given, Error> {
        let (batch, sequence) = (binding.get(&BATCH)?, binding.get(&SEQUENCE)?);
        let past = binding.get(&PAST).ok();
        let positions = indices(given, "position_ids")?;
        let mask = indices(given, "attention_mask")?;
        if !self.caches && past.is_none() {
            refuse_packed(positions, mask, sequence)?;
        }
        let [cosines, sines] = self.rope.tables(positions);
        let shape = [batch, sequence, self.width / 2];
        let mut derived = Given::from([
            ("rotary.cosines".to_owned(), Tensor::f32(shape, cosines)),
            ("rotary.sines".to_owned(), Tensor::f32(shape, sines)),
        ]);
        if past.is_some_and(|past| past > 0) {
            let seen = seen(binding, given, "attention_mask", &SEQUENCE)?;
            derived.insert("cache.seen".into(), seen);
        }
        if let Some(window) = self.window(past.unwrap_or(0) + sequence) {
            let seen = derived.get("cache.seen").and_then(Tensor::indices).unwrap_or(mask);
            let rows = rows_by_window(seen, [batch, sequence], window);
            derived.insert("window.rows".into(), rows);
        }
        Ok(derived)
    }

    /// The window of the layers that have one, if it is shorter than this many keys.
    fn window(&self, keys: usize) -> Option<usize> {
        self.windows.iter().flatten().copied().find(|window| *window < keys)
    }

    /// Embeddings `[b, s, hidden]` of ids, by the table below `prefix`.
    pub(super) fn embed(
        &self,
        net: &mut Net<'_>,
        prefix: &str,
        ids: Value,
    ) -> Result<Value, Error> {
        net.embedding(&format!("{prefix}.embed_tokens"), [self.vocabulary, self.hidden], ids)
    }

    /// Everything behind the embeddings `x` `[b, s, hidden]`, which may be spliced: declares the inputs, runs the
    /// layers, whose weights' names begin with `prefix`, and names the outputs. `head` is the name of the head.
    pub(super) fn finish(
        &self,
        net: &mut Net<'_>,
        [prefix, head]: [&str; 2],
        x: Value,
    ) -> Result<(), Error> {
        let past = net.builder.binding().get(&PAST).ok();
        let &[batch, sequence, _] = net.shape(x) else {
            return Err(Error::Input { name: prefix.into(), detail: "is not [b, s, d]".into() });
        };
        let mask = match past {
            None | Some(0) => net.input("attention_mask", Kind::Index, &[batch, sequence])?,
            Some(past) => net.input("cache.seen", Kind::Index, &[batch, past + sequence])?,
        };
        let shape = [batch, sequence, self.width / 2];
        let cosines = net.input("rotary.cosines", Kind::Float, &shape)?;
        let sines = net.input("rotary.sines", Kind::Float, &shape)?;
        let window = self.windowed(net, [batch, sequence], past.unwrap_or(0))?;
        let inputs = Inputs { prefix, rotation: [cosines, sines], mask, window, past };
        let mut x = x;
        for layer in 0..self.layers {
            x = self.layer(net, &inputs, layer, x)?;
        }
        if past.is_some() {
            x = net.builder.slice(x, 1, sequence - 1, sequence)?;
        }
        let x = net.rms_norm(&format!("{prefix}.norm"), x, self.epsilon)?;
        let logits = self.logits(net, [prefix, head], x)?;
        Ok(net.builder.output("logits", logits)?)
    }

    /// The product with the head. A checkpoint that has one is not tied, whatever its configuration says, as
    /// transformers reads it.
    fn logits(
        &self,
        net: &mut Net<'_>,
        [prefix, head]: [&str; 2],
        x: Value,
    ) -> Result<Value, Error> {
        let own = format!("{head}.weight");
        let tied = self.tied && !net.holds(&own);
        let name = if tied { format!("{prefix}.embed_tokens.weight") } else { own };
        let head = net.weight(&name, &[self.vocabulary, self.hidden])?;
        Ok(net.builder.linear(x, head, None, Activation::Identity)?)
    }

    fn layer(
        &self,
        net: &mut Net<'_>,
        inputs: &Inputs<'_>,
        layer: usize,
        x: Value,
    ) -> Result<Value, Error> {
        let name = |part: &str| format!("{}.layers.{layer}.{part}", inputs.prefix);
        let normed = net.rms_norm(&name("input_layernorm"), x, self.epsilon)?;
        let attended = self.attend(net, inputs, layer, normed)?;
        let output = name("self_attn.o_proj");
        let output =
            net.linear(&output, attended, self.hidden, self.biases.output, Activation::Identity)?;
        let x = net.builder.add(x, output)?;
        let normed = net.rms_norm(&name("post_attention_layernorm"), x, self.epsilon)?;
        let (wide, bias) = (self.intermediate, self.biases.feed_forward);
        let gate = net.linear(&name("mlp.gate_proj"), normed, wide, bias, self.activation)?;
        let up = net.linear(&name("mlp.up_proj"), normed, wide, bias, Activation::Identity)?;
        let gated = net.mul(gate, up)?;
        let down = name("mlp.down_proj");
        let down = net.linear(&down, gated, self.hidden, bias, Activation::Identity)?;
        Ok(net.builder.add(x, down)?)
    }

    /// Queries, keys and values of `x`, and the attention over the cache and them.
    fn attend(
        &self,
        net: &mut Net<'_>,
        inputs: &Inputs<'_>,
        layer: usize,
        x: Value,
    ) -> Result<Value, Error> {
        let &[batch, sequence, _] = net.shape(x) else {
            return Err(Error::Input {
                name: inputs.prefix.into(),
                detail: "is not [b, s, d]".into(),
            });
        };
        let mut project = |part: &str, heads: usize| {
            let name = format!("{}.layers.{layer}.self_attn.{part}_proj", inputs.prefix);
            let bias = self.biases.projections;
            net.linear(&name, x, heads * self.width, bias, Activation::Identity)
        };
        let query = project("q", self.heads)?;
        let mut key = project("k", self.kv_heads)?;
        let mut value = project("v", self.kv_heads)?;
        let query = net.builder.rotary(query, inputs.rotation, self.heads)?;
        key = net.builder.rotary(key, inputs.rotation, self.kv_heads)?;
        if let Some(past) = inputs.past {
            for (part, new) in [("key", &mut key), ("value", &mut value)] {
                let name = format!("cache.{layer}.{part}");
                net.builder.output(&name, *new)?;
                if past > 0 {
                    let shape = [batch, past, self.kv_heads * self.width];
                    let cached = net.input(&name, Kind::Float, &shape)?;
                    *new = net.builder.concat(&[cached, *new], 1)?;
                }
            }
        }
        let heads = Heads { kv: self.kv_heads, ..Heads::new(self.heads, self.width) };
        let window = inputs.window.filter(|_| self.windows[layer].is_some());
        let bias = window.map(|window| window.bias);
        let operands = [query, key, value];
        let attended = net.attention(heads.causal(), operands, Some(inputs.mask), bias)?;
        let Some(window) = window else { return Ok(attended) };
        // A query that sees no key attends to all alike, those outside of its window too.
        let first = net.builder.slice(query, 1, 0, 1)?;
        let alike = net.attention(heads, [first, key, value], Some(window.nothing), None)?;
        let all = net.builder.concat(&[attended, alike], 1)?;
        let all = net.builder.reshape(all, &[batch * (sequence + 1), self.heads * self.width])?;
        Ok(net.builder.gather(all, window.rows)?)
    }

    /// Declares what layers with a window take, if theirs is shorter than the keys.
    fn windowed(
        &self,
        net: &mut Net<'_>,
        [batch, sequence]: [usize; 2],
        past: usize,
    ) -> Result<Option<Windowed>, Error> {
        let keys = past + sequence;
        let Some(window) = self.window(keys) else { return Ok(None) };
        let hidden = (past..keys).flat_map(|query| {
            (0..keys).map(move |key| if key + window > query { 0.0 } else { OUTSIDE })
        });
        let bias = net.floats(&[1, 1, sequence, keys], hidden.collect())?;
        let nothing = net.indices(&[batch, keys], vec![0; batch * keys])?;
        let rows = net.input("window.rows", Kind::Index, &[batch, sequence])?;
        Ok(Some(Windowed { bias, nothing, rows }))
    }
}

/// Where the results of queries lie among `[b, s + 1]` rows: the last one of each text stands for queries whose window
/// shows no key of `seen` `[b, p + s]`.
fn rows_by_window(seen: &[i32], [batch, sequence]: [usize; 2], window: usize) -> Tensor {
    let keys = seen.len() / batch;
    let row = |i: usize| {
        let (text, query) = (i / sequence, i % sequence);
        let end = keys - sequence + query + 1;
        let shown = &seen[text * keys..][end.saturating_sub(window)..end];
        let row = if shown.contains(&1) { query } else { sequence };
        i32::try_from(text * (sequence + 1) + row).unwrap_or(i32::MAX)
    };
    Tensor::i32([batch, sequence], (0..batch * sequence).map(row).collect())
}

/// `cache.mask` `[b, p]` and the mask of the new tokens, whose number `length` binds, side by side.
pub(super) fn seen(
    binding: &Binding,
    given: &Given,
    mask: &str,
    length: &Symbol,
) -> Result<Tensor, Error> {
    let (past, new) = (binding.get(&PAST)?, binding.get(length)?);
    let rows = indices(given, "cache.mask")?.chunks(past).zip(indices(given, mask)?.chunks(new));
    let seen = rows.flat_map(|(cached, new)| [cached, new].concat()).collect();
    Ok(Tensor::i32([binding.get(&BATCH)?, past + new], seen))
}

/// The indices of an argument that is given or filled in.
fn indices<'a>(given: &'a Given, name: &str) -> Result<&'a [i32], Error> {
    given
        .get(name)
        .and_then(Tensor::indices)
        .ok_or_else(|| Error::Input { name: name.into(), detail: "is missing".into() })
}

/// A class that keeps no cache takes positions that jump for texts packed into one row, unless a mask is given;
/// a mask that hides nothing cannot be told from none.
fn refuse_packed(positions: &[i32], mask: &[i32], sequence: usize) -> Result<(), Error> {
    let jumps = |row: &[i32]| row.windows(2).any(|pair| pair[1] != pair[0].saturating_add(1));
    if mask.contains(&0) || !positions.chunks(sequence).any(jumps) {
        return Ok(());
    }
    let detail = "they jump, which without a mask stands for packed texts where `use_cache` is false: \
                  give positions that count, or a mask";
    Err(Error::Input { name: "position_ids".into(), detail: detail.into() })
}
