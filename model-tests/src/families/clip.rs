//! CLIP (Radford et al. 2021), as `CLIPModel` of transformers computes it: a text tower, a vision tower, and how alike
//! their results are.

use super::idle::bookkeeping;
use super::net::Net;
use super::text_tower::{TextTower, sections};
use super::vision_tower::{self, VisionTower};
use super::{Architecture, Argument, Given, IMAGES, Values, expect_class};
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{
    Activation, BinaryOp, Binding, Graph, Kind, Reduction, UnaryOp, Value, Weights,
};

/// The sizes of one CLIP.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Clip {
    text: TextTower,
    vision: VisionTower,
    projection: usize,
}

impl Clip {
    /// Reads the sizes, and refuses what would make another model of it.
    pub(super) fn read(config: &mut Config, architectures: &[String]) -> Result<Self, Error> {
        expect_class(config, architectures, &["CLIPModel"])?;
        bookkeeping(config)?;
        config.idle(&["logit_scale_init_value", "tie_word_embeddings"]);
        let [text, vision] = sections(config);
        Ok(Self {
            text: config.section(text, TextTower::clip)?,
            vision: config.section(vision, |c| VisionTower::read(c, vision_tower::Kind::Clip))?,
            projection: config.size_or("projection_dim", 512)?,
        })
    }
}

/// Rows of length 1: `x` `[.., d]` by the root of the sum of its squares.
pub(super) fn unit(net: &mut Net<'_>, x: Value) -> Result<Value, Error> {
    let axis = net.shape(x).len() - 1;
    let squares = net.mul(x, x)?;
    let sum = net.builder.reduce(Reduction::Sum, squares, axis, true)?;
    let length = net.builder.unary(UnaryOp::Sqrt, sum)?;
    Ok(net.builder.binary(BinaryOp::Div, x, length)?)
}

/// `x` times the exponential of `logit_scale`.
pub(super) fn scaled(net: &mut Net<'_>, x: Value) -> Result<Value, Error> {
    let scale = net.weight("logit_scale", &[])?;
    let scale = net.builder.unary(UnaryOp::Exp, scale)?;
    net.mul(x, scale)
}

impl Architecture for Clip {
    /// `input_ids` `[b, s]`, `pixel_values` `[i, c, h, w]`, `attention_mask` and `position_ids` `[b, s]`.
    fn arguments(&self) -> Vec<Argument> {
        let pixels = self.vision.patches.sizes([IMAGES.into()]);
        let mut arguments = Vec::from(self.text.arguments());
        arguments.insert(1, Argument::new("pixel_values", pixels, Values::Real));
        arguments
    }

    /// Outputs `logits_per_image` `[i, b]`, `logits_per_text` `[b, i]`, `text_embeds` `[b, d]`, `image_embeds`
    /// `[i, d]`, and of each tower `last_hidden_state` and the projected `pooler_output`.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        let mut net = Net::new(binding, weights);
        let shape = self.vision.patches.shape(&[binding.get(&IMAGES)?]);
        let pixels = net.input("pixel_values", Kind::Float, &shape)?;
        let project = |net: &mut Net<'_>, name: &str, x| {
            net.linear(name, x, self.projection, false, Activation::Identity)
        };
        let texts = self.text.graph(&mut net, binding)?;
        let text = project(&mut net, "text_projection", texts.ends)?;
        let tokens = self.vision.embed(&mut net, "vision_model", pixels)?;
        let layers = self.vision.encoder.layers;
        let states = self.vision.states(&mut net, "vision_model", tokens, layers)?;
        let pictures = states[layers];
        let picture = self.vision.pool(&mut net, "vision_model", pictures)?;
        let picture = project(&mut net, "visual_projection", picture)?;
        let (text_embeds, image_embeds) = (unit(&mut net, text)?, unit(&mut net, picture)?);
        let per_text = net.builder.matmul(text_embeds, image_embeds, true)?;
        let per_text = scaled(&mut net, per_text)?;
        let per_image = net.builder.transpose(per_text, &[1, 0])?;
        let outputs = [
            ("logits_per_image", per_image),
            ("logits_per_text", per_text),
            ("text_embeds", text_embeds),
            ("image_embeds", image_embeds),
            ("text_model_output.last_hidden_state", texts.states),
            ("text_model_output.pooler_output", text),
            ("vision_model_output.last_hidden_state", pictures),
            ("vision_model_output.pooler_output", picture),
        ];
        for (name, value) in outputs {
            net.builder.output(name, value)?;
        }
        net.finish()
    }

    fn derive(&self, _binding: &Binding, given: &Given) -> Result<Given, Error> {
        self.text.derive(given)
    }

    fn unsupported_outputs(&self) -> &'static str {
        "hidden_states, attentions and losses are not computed"
    }

    fn example(&self) -> Binding {
        Binding::batch_sequence(2, self.max_sequence().min(8)).with(IMAGES, 1)
    }

    fn max_sequence(&self) -> usize {
        self.text.max_positions()
    }
}

#[cfg(test)]
mod tests;
