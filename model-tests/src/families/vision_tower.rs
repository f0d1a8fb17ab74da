//! The vision towers of CLIP and SigLIP: pictures as tokens, and the layers over them. CLIP, X-CLIP and LLaVA have one;
//! what they make of its tokens is in their own files.

use super::encoder::Encoder;
use super::idle::bookkeeping;
use super::net::Net;
use super::patches::{Patches, behind_first};
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::Value;
use serde_json::json;

/// The sizes of one tower.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VisionTower {
    pub(super) patches: Patches,
    pub(super) encoder: Encoder,
    kind: Kind,
}

/// Whose tower it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A class token before the patches, and a norm before the layers.
    Clip,
    /// As CLIP's, whose norm has another name.
    XClip,
    /// No class token, no norm before the layers, and a bias of the patches.
    Siglip,
}

impl VisionTower {
    /// Reads a `vision_config` of CLIP or X-CLIP, whose defaults are those of CLIP's base model.
    pub(super) fn read(config: &mut Config, kind: Kind) -> Result<Self, Error> {
        let (name, encoder, patch) = match kind {
            Kind::Clip => ("clip_vision_model", Encoder::defaults([768, 12, 12, 3072]), 32),
            Kind::XClip => ("xclip_vision_model", Encoder::defaults([768, 12, 12, 3072]), 32),
            Kind::Siglip => ("siglip_vision_model", Encoder::siglip(), 16),
        };
        config.held("model_type", &[json!(name)])?;
        Self::sized(config, kind, &encoder, [224, patch])
    }

    /// The same with other defaults: of the layers, of the picture and of a patch.
    pub(super) fn sized(
        config: &mut Config,
        kind: Kind,
        encoder: &Encoder,
        picture: [usize; 2],
    ) -> Result<Self, Error> {
        bookkeeping(config)?;
        config.idle(&[
            "architectures",
            "drop_path_rate",
            "eos_token_id",
            "id2label",
            "label2id",
            "projection_dim",
            "tie_word_embeddings",
            "vision_use_head",
            "vocab_size",
        ]);
        config.held("tie_last_hidden_states", &[json!(false)])?;
        let encoder = Encoder::read(config, "", encoder)?;
        Ok(Self { patches: Patches::read(config, picture, false)?, encoder, kind })
    }

    /// Tokens of a picture.
    pub(super) fn tokens(&self) -> usize {
        self.patches.count() + usize::from(self.kind != Kind::Siglip)
    }

    /// What the first layer takes for pixels `[b, c, h, w]`: `[b, tokens, hidden]`.
    pub(super) fn embed(
        &self,
        net: &mut Net<'_>,
        name: &str,
        pixels: Value,
    ) -> Result<Value, Error> {
        let (hidden, siglip) = (self.encoder.hidden, self.kind == Kind::Siglip);
        let part = |part: &str| format!("{name}.{part}");
        let patches = part("embeddings.patch_embedding");
        let patches = self.patches.embed(net, &patches, pixels, hidden, siglip)?;
        let positions = part("embeddings.position_embedding.weight");
        let positions = net.weight(&positions, &[self.tokens(), hidden])?;
        if siglip {
            return Ok(net.builder.add(patches, positions)?);
        }
        let first = net.weight(&part("embeddings.class_embedding"), &[hidden])?;
        let first = net.builder.reshape(first, &[1, hidden])?;
        let tokens = behind_first(net, patches, first, positions)?;
        // CLIP's norm has been misspelled since its first checkpoint; X-CLIP corrected it.
        let norm = if self.kind == Kind::Clip { "pre_layrnorm" } else { "pre_layernorm" };
        net.layer_norm(&part(norm), tokens, self.encoder.epsilon)
    }

    /// The first `layers` layers over what [`Self::embed`] gives: what goes into each, and last what comes out.
    pub(super) fn states(
        &self,
        net: &mut Net<'_>,
        name: &str,
        tokens: Value,
        layers: usize,
    ) -> Result<Vec<Value>, Error> {
        let mut states = vec![tokens];
        let mut x = tokens;
        for layer in 0..layers {
            x = self.encoder.layer(
                net,
                &format!("{name}.encoder.layers.{layer}"),
                x,
                None,
                false,
            )?;
            states.push(x);
        }
        Ok(states)
    }

    /// The first token of every picture, normalised: `[b, hidden]`.
    pub(super) fn pool(&self, net: &mut Net<'_>, name: &str, x: Value) -> Result<Value, Error> {
        let batch = net.shape(x).first().copied().unwrap_or(1);
        let first = net.builder.slice(x, 1, 0, 1)?;
        let first = net.builder.reshape(first, &[batch, self.encoder.hidden])?;
        net.layer_norm(&format!("{name}.post_layernorm"), first, self.encoder.epsilon)
    }
}
