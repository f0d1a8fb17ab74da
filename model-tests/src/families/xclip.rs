//! X-CLIP (Ni et al. 2022), as `XCLIPModel` of transformers computes it: CLIP over videos, whose frames send each
//! other messages, and whose texts are prompted by what is seen.

use super::activations::{ACTIVATIONS, Function};
use super::clip::{scaled, unit};
use super::encoder::Encoder;
use super::idle::bookkeeping;
use super::net::{Heads, Net};
use super::text_tower::{TextTower, sections};
use super::vision_tower::{self, VisionTower};
use super::{Architecture, Argument, FRAMES, Given, IMAGES, Values, expect_class};
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{Activation, BATCH, Binding, Graph, Kind, Reduction, Value, Weights};

/// The sizes of one X-CLIP.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct XClip {
    text: TextTower,
    vision: VisionTower,
    /// The layers over the frames of a video.
    frames: Encoder,
    frame_count: usize,
    projection: usize,
    prompt: Prompt,
}

/// The sizes of the generator of prompts.
#[derive(Clone, Debug, PartialEq)]
struct Prompt {
    layers: usize,
    heads: usize,
    activation: Function,
}

/// What the vision side computes.
struct Videos {
    /// All tokens of all frames: `[i·f, tokens, hidden]`.
    states: Value,
    /// The first token of each frame, normalised: `[i·f, hidden]`.
    pooled: Value,
    /// Frames that have seen each other: `[i, f, d]`.
    frames: Value,
    /// Videos: `[i, d]`.
    embeds: Value,
    /// Patches on average over the frames: `[i, patches, d]`.
    patches: Value,
}

impl XClip {
    /// Reads the sizes, and refuses what would make another model of it.
    pub(super) fn read(config: &mut Config, architectures: &[String]) -> Result<Self, Error> {
        expect_class(config, architectures, &["XCLIPModel"])?;
        bookkeeping(config)?;
        config.idle(&[
            "logit_scale_init_value",
            "prompt_alpha",
            "prompt_attention_dropout",
            "prompt_projection_dropout",
            "tie_word_embeddings",
        ]);
        let [text, vision] = sections(config);
        let text = config.section(text, TextTower::xclip)?;
        let projection = config.size_or("projection_dim", 512)?;
        let (vision, frames, frame_count) = config.section(vision, |c| {
            let vision = VisionTower::read(c, vision_tower::Kind::XClip)?;
            let frames = Encoder::read(c, "mit_", &Encoder::defaults([512, 1, 8, 2048]))?;
            if frames.hidden != projection {
                let detail = format!(
                    "is {}: frames are projected to {projection} (`projection_dim`), which must be the same",
                    frames.hidden
                );
                return Err(c.fault("mit_hidden_size", detail));
            }
            Ok((vision, frames, c.size_or("num_frames", 8)?))
        })?;
        let heads = config.size_or("prompt_num_attention_heads", 8)?;
        if !projection.is_multiple_of(heads) {
            let detail =
                format!("is {heads}, which does not divide `projection_dim`, {projection}");
            return Err(config.fault("prompt_num_attention_heads", detail));
        }
        let quick = Activation::QuickGelu.into();
        let prompt = Prompt {
            layers: config.whole("prompt_layers")?.unwrap_or(2),
            heads,
            activation: config.choice_or("prompt_hidden_act", &ACTIVATIONS, quick)?,
        };
        Ok(Self { text, vision, frames, frame_count, projection, prompt })
    }

    /// One layer over tokens `[i·f, tokens, hidden]`: each frame sends its first token to the others of its video, and
    /// reads what it got as one more token.
    fn layer(&self, net: &mut Net<'_>, name: &str, x: Value) -> Result<Value, Error> {
        let (encoder, tokens) = (&self.vision.encoder, self.vision.tokens());
        let pictures = net.shape(x)[0];
        let part = |part: &str| format!("{name}.{part}");
        let first = net.builder.slice(x, 1, 0, 1)?;
        let message = net.dense(&part("message_fc"), first, encoder.hidden)?;
        let (videos, frames) = (pictures / self.frame_count, self.frame_count);
        let message = net.builder.reshape(message, &[videos, frames, encoder.hidden])?;
        let normed = net.layer_norm(&part("message_ln"), message, encoder.epsilon)?;
        let heard = encoder.attend(net, &part("message_attn"), normed, None, false)?;
        let message = net.builder.add(message, heard)?;
        let message = net.builder.reshape(message, &[pictures, 1, encoder.hidden])?;
        let with_message = net.builder.concat(&[x, message], 1)?;
        let normed = net.layer_norm(&part("layer_norm1"), with_message, encoder.epsilon)?;
        let attended = encoder.attend(net, &part("self_attn"), normed, None, false)?;
        let attended = net.builder.slice(attended, 1, 0, tokens)?;
        let x = net.builder.add(attended, x)?;
        encoder.feed_forward(net, name, x)
    }

    fn videos(&self, net: &mut Net<'_>, binding: &Binding) -> Result<Videos, Error> {
        let (videos, frames) = (binding.get(&IMAGES)?, binding.get(&FRAMES)?);
        // One position, and one frame that sends itself messages, fit any number of frames.
        if frames != self.frame_count && self.frame_count != 1 {
            let detail =
                format!("its videos have {frames} frames, {} are needed", self.frame_count);
            return Err(Error::Input { name: "pixel_values".into(), detail });
        }
        let patches = &self.vision.patches;
        let pixels = net.input("pixel_values", Kind::Float, &patches.shape(&[videos, frames]))?;
        let pictures = videos * frames;
        let pixels = net.builder.reshape(pixels, &patches.shape(&[pictures]))?;
        let mut x = self.vision.embed(net, "vision_model", pixels)?;
        for layer in 0..self.vision.encoder.layers {
            x = self.layer(net, &format!("vision_model.encoder.layers.{layer}"), x)?;
        }
        let pooled = self.vision.pool(net, "vision_model", x)?;
        let embeds =
            net.linear("visual_projection", pooled, self.projection, false, Activation::Identity)?;
        let embeds = net.builder.reshape(embeds, &[videos, frames, self.projection])?;
        let integrated = self.integrate(net, embeds)?;
        let embeds = net.builder.reduce(Reduction::Mean, integrated, 1, false)?;
        let patches = self.project_patches(net, x, [videos, frames])?;
        Ok(Videos { states: x, pooled, frames: integrated, embeds, patches })
    }

    /// Frames `[i, f, d]` that have seen each other.
    fn integrate(&self, net: &mut Net<'_>, frames: Value) -> Result<Value, Error> {
        let shape = [1, self.frame_count, self.projection];
        let positions = net.weight("mit.position_embedding", &shape)?;
        let mut x = net.builder.add(frames, positions)?;
        for layer in 0..self.frames.layers {
            x = self.frames.layer(net, &format!("mit.encoder.layers.{layer}"), x, None, false)?;
        }
        Ok(net.builder.add(x, frames)?)
    }

    /// Patches of all frames on average, as the prompts see them: `[i, patches, d]`.
    fn project_patches(
        &self,
        net: &mut Net<'_>,
        states: Value,
        [videos, frames]: [usize; 2],
    ) -> Result<Value, Error> {
        let (tokens, hidden) = (self.vision.tokens(), self.vision.encoder.hidden);
        let patches = net.builder.slice(states, 1, 1, tokens)?;
        let epsilon = self.vision.encoder.epsilon;
        let patches = net.layer_norm("prompts_visual_layernorm", patches, epsilon)?;
        let projection = net.weight("prompts_visual_projection", &[hidden, self.projection])?;
        let patches = net.builder.matmul(patches, projection, false)?;
        let shape = [videos, frames, tokens - 1, self.projection];
        let patches = net.builder.reshape(patches, &shape)?;
        Ok(net.builder.reduce(Reduction::Mean, patches, 1, false)?)
    }

    /// Texts `[b, d]` for each video, prompted by its patches: `[i, b, d]`.
    fn prompted(&self, net: &mut Net<'_>, text: Value, patches: Value) -> Result<Value, Error> {
        let (texts, videos, width) = (net.shape(text)[0], net.shape(patches)[0], self.projection);
        let rows = (0..videos * texts).map(|i| i32::try_from(i % texts).unwrap_or(i32::MAX));
        let rows = net.indices(&[videos, texts], rows.collect())?;
        let text = net.builder.gather(text, rows)?;
        let name = |part: &str| format!("prompts_generator.{part}");
        let seen = net.layer_norm(&name("layernorm"), patches, self.vision.encoder.epsilon)?;
        let mut x = text;
        for layer in 0..self.prompt.layers {
            let part = |part: &str| name(&format!("decoder.{layer}.{part}"));
            let normed = net.layer_norm(&part("norm1"), x, self.text.epsilon())?;
            let mut project = |which: &str, x| {
                let name = part(&format!("cross_attn.{which}"));
                net.linear(&name, x, width, false, Activation::Identity)
            };
            let query = project("q_proj", normed)?;
            let projected = [query, project("k_proj", seen)?, project("v_proj", seen)?];
            let heads = Heads::new(self.prompt.heads, width / self.prompt.heads);
            let attended = net.attention(heads, projected, None, None)?;
            let attended = net.dense(&part("cross_attn.proj"), attended, width)?;
            x = net.builder.add(x, attended)?;
            let normed = net.layer_norm(&part("norm3"), x, self.text.epsilon())?;
            let wide = width.saturating_mul(4);
            let wide = net.linear(&part("mlp.0"), normed, wide, true, self.prompt.activation)?;
            let narrow = net.dense(&part("mlp.3"), wide, width)?;
            x = net.builder.add(x, narrow)?;
        }
        let alpha = net.weight(&name("alpha"), &[width])?;
        let prompt = net.mul(alpha, x)?;
        Ok(net.builder.add(text, prompt)?)
    }
}

impl Architecture for XClip {
    /// `input_ids` `[b, s]`, `pixel_values` `[i, f, c, h, w]`, `attention_mask` and `position_ids` `[b, s]`.
    fn arguments(&self) -> Vec<Argument> {
        let pixels = self.vision.patches.sizes([IMAGES.into(), FRAMES.into()]);
        let mut arguments = Vec::from(self.text.arguments());
        arguments.insert(1, Argument::new("pixel_values", pixels, Values::Real));
        arguments
    }

    /// Outputs `logits_per_video` `[i, b]`, `logits_per_text` `[b, i]`, `text_embeds` `[i, b, d]`, `video_embeds`
    /// `[i, d]`, and `last_hidden_state` and `pooler_output` of each tower and of the frames.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        let (texts, count) = (binding.get(&BATCH)?, binding.get(&IMAGES)?);
        let mut net = Net::new(binding, weights);
        let videos = self.videos(&mut net, binding)?;
        let towers = self.text.graph(&mut net, binding)?;
        let text = net.linear(
            "text_projection",
            towers.ends,
            self.projection,
            false,
            Activation::Identity,
        )?;
        let text = self.prompted(&mut net, text, videos.patches)?;
        let (text_embeds, video_embeds) = (unit(&mut net, text)?, unit(&mut net, videos.embeds)?);
        let each = net.builder.reshape(video_embeds, &[count, 1, self.projection])?;
        let likeness = net.builder.matmul(each, text_embeds, true)?;
        let likeness = net.builder.reshape(likeness, &[count, texts])?;
        let per_video = scaled(&mut net, likeness)?;
        let per_text = net.builder.transpose(per_video, &[1, 0])?;
        let outputs = [
            ("logits_per_video", per_video),
            ("logits_per_text", per_text),
            ("text_embeds", text_embeds),
            ("video_embeds", video_embeds),
            ("text_model_output.last_hidden_state", towers.states),
            ("text_model_output.pooler_output", towers.ends),
            ("vision_model_output.last_hidden_state", videos.states),
            ("vision_model_output.pooler_output", videos.pooled),
            ("mit_output.last_hidden_state", videos.frames),
            ("mit_output.pooler_output", videos.embeds),
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
        let text = Binding::batch_sequence(2, self.max_sequence().min(8));
        text.with(IMAGES, 1).with(FRAMES, self.frame_count)
    }

    fn max_sequence(&self) -> usize {
        self.text.max_positions()
    }
}

#[cfg(test)]
mod tests;
