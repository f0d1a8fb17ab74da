//! Language models that continue a text: `LlamaForCausalLM` and `Qwen2ForCausalLM` of transformers. The layers and
//! the cache are the decoder's; here are the ids or embeddings that go in.

use super::decoder::Decoder;
use super::net::Net;
use super::{Architecture, Argument, Decoding, EMBEDDED, Given, Values};
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{BATCH, Binding, Graph, Kind, SEQUENCE, Weights};

/// A decoder with its embeddings and its head.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CausalLm {
    decoder: Decoder,
}

impl CausalLm {
    /// Reads the sizes of a class by its `model_type`, or by this one if there is none.
    pub(super) fn read(config: &mut Config, model_type: &str) -> Result<Self, Error> {
        Ok(Self { decoder: Decoder::read(config, model_type)? })
    }
}

#[cfg(test)]
mod tests;

impl Architecture for CausalLm {
    /// `input_ids` `[b, s]` or `inputs_embeds` `[b, s, e]`, and what the decoder takes.
    fn arguments(&self) -> Vec<Argument> {
        let ids = Values::Ids { below: self.decoder.vocabulary, default: None };
        let sizes = vec![BATCH.into(), SEQUENCE.into()];
        let embedded = vec![BATCH.into(), SEQUENCE.into(), EMBEDDED.into()];
        let mut arguments = vec![
            Argument::optional("input_ids", sizes, ids),
            Argument::optional("inputs_embeds", embedded, Values::Real),
        ];
        arguments.extend(self.decoder.arguments());
        arguments
    }

    /// Output `logits` `[b, s, vocabulary]`, or those of the last position and the cache where `p` is bound.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        let (batch, sequence) = (binding.get(&BATCH)?, binding.get(&SEQUENCE)?);
        let mut net = Net::new(binding, weights);
        // Checkpoints of the classes without a head have no prefix.
        if !net.has("model.embed_tokens.weight") && net.has("embed_tokens.weight") {
            net.rename("model.", "");
        }
        let x = match binding.get(&EMBEDDED) {
            Err(_) => {
                let ids = net.input("input_ids", Kind::Index, &[batch, sequence])?;
                self.decoder.embed(&mut net, "model", ids)?
            }
            Ok(width) if width == self.decoder.hidden => {
                net.input("inputs_embeds", Kind::Float, &[batch, sequence, width])?
            }
            Ok(width) => {
                let detail = format!("they are {width} wide, {} is needed", self.decoder.hidden);
                return Err(Error::Input { name: "inputs_embeds".into(), detail });
            }
        };
        self.decoder.finish(&mut net, ["model", "lm_head"], x)?;
        net.finish()
    }

    fn derive(&self, binding: &Binding, given: &Given) -> Result<Given, Error> {
        let embedded = given.contains_key("inputs_embeds");
        if given.contains_key("input_ids") == embedded {
            let found = if embedded { "both are" } else { "neither is" };
            let detail = format!("it or `inputs_embeds` must be given: {found}");
            return Err(Error::Input { name: "input_ids".into(), detail });
        }
        self.decoder.derive(binding, given)
    }

    fn reconcile(&self, binding: &Binding, given: &mut Given) -> Result<(), Error> {
        if binding.get(&EMBEDDED).is_ok() {
            given.remove("input_ids");
        }
        Ok(())
    }

    fn unsupported_outputs(&self) -> &'static str {
        "hidden states and attentions are not given out"
    }

    fn example(&self) -> Binding {
        Binding::batch_sequence(1, self.decoder.max_positions.min(8))
    }

    fn decoding(&self) -> Option<Decoding> {
        Some(Decoder::decoding())
    }

    fn max_sequence(&self) -> usize {
        self.decoder.max_positions
    }
}
