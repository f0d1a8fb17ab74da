//! LLaVA (Liu et al. 2023), as `LlavaForConditionalGeneration` of transformers computes it: every picture is seen
//! whole, and each of its features is a token of the text.

pub(super) mod seeing;

use super::decoder::Decoder;
use super::net::Net;
use super::{Architecture, Argument, Decoding, Given, IMAGES, Values, expect_class};
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{Binding, Graph, Kind, Weights};
use seeing::Seeing;

/// The sizes of one LLaVA.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Llava {
    seeing: Seeing,
}

impl Llava {
    /// Reads the sizes, and refuses what would make another model of it.
    pub(super) fn read(config: &mut Config, architectures: &[String]) -> Result<Self, Error> {
        expect_class(config, architectures, &["LlavaForConditionalGeneration"])?;
        Ok(Self { seeing: Seeing::read(config, true)? })
    }
}

impl Architecture for Llava {
    /// `input_ids` `[b, s]`, `pixel_values` `[i, c, h, w]` if there are pictures, and what the decoder takes.
    fn arguments(&self) -> Vec<Argument> {
        let pixels = self.seeing.tower.patches.sizes([IMAGES.into()]);
        let mut arguments =
            vec![self.seeing.ids(), Argument::optional("pixel_values", pixels, Values::Real)];
        arguments.extend(self.seeing.decoder.arguments());
        arguments
    }

    /// Outputs `logits`, and the cache where `p` is bound, as the decoder gives them; with pictures
    /// `image_hidden_states` `[i·features, hidden]`.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        let mut net = Net::new(binding, weights);
        Seeing::rename(&mut net);
        let mut features = None;
        if let Ok(pictures) = binding.get(&IMAGES) {
            let shape = self.seeing.tower.patches.shape(&[pictures]);
            let pixels = net.input("pixel_values", Kind::Float, &shape)?;
            let seen = self.seeing.see(&mut net, pixels)?;
            net.builder.output("image_hidden_states", seen)?;
            features = Some(seen);
        }
        self.seeing.finish(&mut net, features)?;
        net.finish()
    }

    fn derive(&self, binding: &Binding, given: &Given) -> Result<Given, Error> {
        let pictures = binding.get(&IMAGES).ok();
        let rows = pictures.map(|pictures| {
            (0..pictures.saturating_mul(self.seeing.features())).collect::<Vec<_>>()
        });
        self.seeing.derive(binding, given, rows.as_deref())
    }

    fn reconcile(&self, binding: &Binding, given: &mut Given) -> Result<(), Error> {
        let pictures = binding.get(&IMAGES).unwrap_or(0);
        self.seeing.reconcile(binding, given, &vec![self.seeing.features(); pictures])
    }

    fn picture_tokens(&self, given: &Given) -> Result<Vec<usize>, Error> {
        let pictures = given.get("pixel_values").and_then(|pixels| pixels.shape().first());
        Ok(vec![self.seeing.features(); pictures.copied().unwrap_or(0)])
    }

    fn decoding(&self) -> Option<Decoding> {
        Some(Decoder::decoding())
    }

    fn unsupported_outputs(&self) -> &'static str {
        "image_hidden_states needs pixel_values; hidden_states and attentions are not given out"
    }

    fn example(&self) -> Binding {
        let tokens = self.seeing.features().saturating_add(8);
        Binding::batch_sequence(1, tokens).with(IMAGES, 1)
    }

    fn max_sequence(&self) -> usize {
        self.seeing.decoder.max_positions
    }
}

#[cfg(test)]
mod tests;
