//! A graph in the making from a checkpoint: layers by the names of their weights, as every family uses them.
//!
//! Families write the names of today's transformers; where a checkpoint has older ones, a renaming is declared once.

use super::activations::Function;
use crate::error::Error;
use proofmark_kernels::{
    Activation, BinaryOp, Binding, Builder, Graph, Kind, Op, Size, Tensor, TensorType, Value,
    Weights, Window,
};

/// Heads of an attention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    /// Query heads.
    pub(super) count: usize,
    /// Key and value heads.
    pub(super) kv: usize,
    /// Multiplies the scores.
    pub(super) scale: f32,
    /// Whether a query sees only what is not behind it.
    pub(super) causal: bool,
}

impl Heads {
    /// As many key heads as query heads, each of this width, scaled by its root, all keys seen.
    pub(super) fn new(count: usize, width: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "head widths are small")]
        Self { count, kv: count, scale: 1.0 / (width as f32).sqrt(), causal: false }
    }

    pub(super) const fn causal(mut self) -> Self {
        self.causal = true;
        self
    }
}

/// A builder, the weights, and how this checkpoint calls them.
#[derive(Debug)]
pub(super) struct Net<'a> {
    pub(super) builder: Builder,
    weights: &'a Weights,
    /// Beginnings of names: today's, and those of this checkpoint. The first that fits is taken.
    renamed: Vec<(String, String)>,
    /// Parts of names, and how some checkpoints spell them.
    respelled: Vec<(&'static str, &'static str)>,
}

impl<'a> Net<'a> {
    pub(super) fn new(binding: &Binding, weights: &'a Weights) -> Self {
        Self {
            builder: Builder::new(binding.clone()),
            weights,
            renamed: Vec::new(),
            respelled: Vec::new(),
        }
    }

    /// Names that begin with `today` begin with `stored` in this checkpoint.
    pub(super) fn rename(&mut self, today: &str, stored: &str) {
        self.renamed.push((today.to_owned(), stored.to_owned()));
    }

    /// A weight whose name has `part` may have `other` in its place.
    pub(super) fn respell(&mut self, part: &'static str, other: &'static str) {
        self.respelled.push((part, other));
    }

    /// The name of this checkpoint for today's name.
    fn stored(&self, name: &str) -> String {
        let renamed = self.renamed.iter().find_map(|(today, stored)| {
            name.strip_prefix(today.as_str()).map(|rest| format!("{stored}{rest}"))
        });
        let name = renamed.unwrap_or_else(|| name.to_owned());
        if self.respelled.is_empty() || self.weights.contains(&name) {
            return name;
        }
        let other = self.respelled.iter().map(|(part, other)| name.replace(part, other));
        other.into_iter().find(|other| self.weights.contains(other)).unwrap_or(name)
    }

    /// Whether the checkpoint has a weight of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.weights.contains(&self.stored(name))
    }

    /// Whether the files hold a weight of this name. Those from a seed hold none, although they have every name:
    /// what a checkpoint may hold beside what its configuration says is asked here.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.weights.names().contains(&self.stored(name).as_str())
    }

    /// A weight of this shape, which its header must have.
    pub(super) fn weight(&mut self, name: &str, shape: &[usize]) -> Result<Value, Error> {
        let name = self.stored(name);
        // Sizes of a configuration are anything: none goes into the graph before a header holds it.
        self.weights.check(&name, &TensorType::float(shape))?;
        Ok(self.builder.weight(&name, shape)?)
    }

    /// An input of the graph: an argument of the forward function, or a value derived from them.
    pub(super) fn input(
        &mut self,
        name: &str,
        kind: Kind,
        shape: &[usize],
    ) -> Result<Value, Error> {
        let sizes: Vec<Size> = shape.iter().map(|&size| size.into()).collect();
        Ok(self.builder.input(name, kind, &sizes)?)
    }

    /// The sizes of a value.
    pub(super) fn shape(&self, value: Value) -> &[usize] {
        &self.builder.type_of(value).shape
    }

    fn last(&self, value: Value) -> usize {
        self.shape(value).last().copied().unwrap_or(1)
    }

    /// `activation(x · name.weightᵀ + name.bias)`, with `width` results.
    pub(super) fn linear(
        &mut self,
        name: &str,
        x: Value,
        width: usize,
        bias: bool,
        activation: impl Into<Function>,
    ) -> Result<Value, Error> {
        let inner = self.last(x);
        let weight = self.weight(&format!("{name}.weight"), &[width, inner])?;
        let bias = bias.then(|| self.weight(&format!("{name}.bias"), &[width])).transpose()?;
        activation.into().linear(&mut self.builder, x, weight, bias)
    }

    /// [`Self::linear`] with a bias and no activation.
    pub(super) fn dense(&mut self, name: &str, x: Value, width: usize) -> Result<Value, Error> {
        self.linear(name, x, width, true, Activation::Identity)
    }

    /// Rows of `name.weight` `[rows, width]` by index.
    pub(super) fn embedding(
        &mut self,
        name: &str,
        [rows, width]: [usize; 2],
        indices: Value,
    ) -> Result<Value, Error> {
        let table = self.weight(&format!("{name}.weight"), &[rows, width])?;
        Ok(self.builder.gather(table, indices)?)
    }

    /// Checkpoints converted from TensorFlow call the scale `gamma` and the shift `beta`. Each is renamed by itself,
    /// as transformers does.
    pub(super) fn norm_part(
        &mut self,
        name: &str,
        part: &str,
        width: usize,
    ) -> Result<Value, Error> {
        let old = if part == "weight" { "gamma" } else { "beta" };
        let name = |part: &str| format!("{name}.{part}");
        let part = if !self.has(&name(part)) && self.has(&name(old)) { old } else { part };
        self.weight(&name(part), &[width])
    }

    /// Layer normalisation of the last axis by `name.weight` and `name.bias`.
    pub(super) fn layer_norm(
        &mut self,
        name: &str,
        x: Value,
        epsilon: f32,
    ) -> Result<Value, Error> {
        let width = self.last(x);
        let scale = self.norm_part(name, "weight", width)?;
        let shift = self.norm_part(name, "bias", width)?;
        Ok(self.builder.layer_norm(x, scale, shift, epsilon)?)
    }

    /// Normalisation of the last axis by its root mean square, scaled by `name.weight`.
    pub(super) fn rms_norm(&mut self, name: &str, x: Value, epsilon: f32) -> Result<Value, Error> {
        let width = self.last(x);
        let scale = self.weight(&format!("{name}.weight"), &[width])?;
        Ok(self.builder.rms_norm(x, scale, epsilon)?)
    }

    /// Attention of `[query, key, value]`, with a mask over the keys and a bias of the scores if there are any.
    pub(super) fn attention(
        &mut self,
        heads: Heads,
        operands: [Value; 3],
        mask: Option<Value>,
        bias: Option<Value>,
    ) -> Result<Value, Error> {
        let op = Op::Attention {
            heads: heads.count,
            kv_heads: heads.kv,
            scale: heads.scale,
            causal: heads.causal,
            mask: mask.is_some(),
            bias: bias.is_some(),
        };
        let operands: Vec<_> = operands.into_iter().chain(mask).chain(bias).collect();
        Ok(self.builder.push(op, &operands)?)
    }

    /// Convolution of `[b, c, h, w]` by `name.weight` and, if there is one, `name.bias`, with `channels` results.
    pub(super) fn conv(
        &mut self,
        name: &str,
        x: Value,
        channels: usize,
        window: Window,
        bias: bool,
    ) -> Result<Value, Error> {
        let inner = self.shape(x).get(1).copied().unwrap_or(1);
        let shape = [channels, inner, window.size[0], window.size[1]];
        let weight = self.weight(&format!("{name}.weight"), &shape)?;
        let bias = bias.then(|| self.weight(&format!("{name}.bias"), &[channels])).transpose()?;
        Ok(self.builder.conv([x, weight], bias, window, 1, Activation::Identity)?)
    }

    /// Convolution of `[b, c, t]` along its last axis by `name.weight` `[channels, c, size]`.
    pub(super) fn conv_1d(
        &mut self,
        name: &str,
        x: Value,
        channels: usize,
        window: Window,
        bias: bool,
    ) -> Result<Value, Error> {
        let &[batch, inner, time] = self.shape(x) else {
            return Err(Error::Input { name: name.into(), detail: "is not [b, c, t]".into() });
        };
        let size = window.size[1];
        let weight = self.weight(&format!("{name}.weight"), &[channels, inner, size])?;
        let weight = self.builder.reshape(weight, &[channels, inner, 1, size])?;
        let bias = bias.then(|| self.weight(&format!("{name}.bias"), &[channels])).transpose()?;
        let x = self.builder.reshape(x, &[batch, inner, 1, time])?;
        let y = self.builder.conv([x, weight], bias, window, 1, Activation::Identity)?;
        let time = self.last(y);
        Ok(self.builder.reshape(y, &[batch, channels, time])?)
    }

    /// `x` times a number.
    pub(super) fn scale(&mut self, x: Value, factor: f32) -> Result<Value, Error> {
        let factor = self.builder.scalar(factor);
        Ok(self.builder.binary(BinaryOp::Mul, x, factor)?)
    }

    /// `a · b`, element by element.
    pub(super) fn mul(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        Ok(self.builder.binary(BinaryOp::Mul, a, b)?)
    }

    /// Floats that are part of the graph.
    pub(super) fn floats(&mut self, shape: &[usize], data: Vec<f32>) -> Result<Value, Error> {
        Ok(self.builder.constant(Tensor::f32(shape, data))?)
    }

    /// Indices that are part of the graph.
    pub(super) fn indices(&mut self, shape: &[usize], data: Vec<i32>) -> Result<Value, Error> {
        Ok(self.builder.constant(Tensor::i32(shape, data))?)
    }

    /// The finished graph.
    pub(super) fn finish(self) -> Result<Graph, Error> {
        Ok(self.builder.finish()?)
    }
}
