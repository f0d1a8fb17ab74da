//! A decoder that sees pictures, as LLaVA and LLaVA-NeXT have it: a vision tower whose states are projected to the
//! width of tokens, and take the places of image tokens in a text.

use crate::config::Config;
use crate::error::Error;
use crate::families::activations::{ACTIVATIONS, Function};
use crate::families::decoder::Decoder;
use crate::families::encoder::Encoder;
use crate::families::idle::bookkeeping;
use crate::families::net::Net;
use crate::families::vision_tower::{Kind, VisionTower};
use crate::families::{Argument, Given, PAST, Values};
use proofmark_kernels::{Activation, BATCH, Binding, Kind as Elements, SEQUENCE, Tensor, Value};

/// The input of the graph that says which row each token is: its own embedding, or one of the features behind all
/// embeddings.
const ROWS: &str = "spliced_rows";

/// Today's names of the parts.
const TEXT: &str = "model.language_model";
const TOWER: &str = "model.vision_tower";
const PROJECTOR: &str = "model.multi_modal_projector";

/// The sizes of a vision tower, a projector and a decoder.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::families) struct Seeing {
    pub(in crate::families) tower: VisionTower,
    pub(in crate::families) decoder: Decoder,
    /// The id in whose places features stand.
    token: usize,
    /// The states of the tower that are projected side by side: 0 is what its first layer takes.
    states: Vec<usize>,
    /// Whether the first token of a picture is kept.
    whole: bool,
    activation: Function,
    biases: bool,
}

impl Seeing {
    /// Reads the sizes; `ties` says whether the decoder's own section may tie the embeddings.
    pub(in crate::families) fn read(config: &mut Config, ties: bool) -> Result<Self, Error> {
        bookkeeping(config)?;
        config.idle(&[
            "eos_token_id",
            "id2label",
            "ignore_index",
            "image_seq_length",
            "label2id",
            "multimodal_patch_merge_type",
            "use_image_newline_parameter",
            "vocab_size",
        ]);
        let described = config.has("vision_config");
        let tower = config.section("vision_config", |c| vision(c, described))?;
        let mut decoder = config.section("text_config", |c| Decoder::read(c, "llama"))?;
        decoder.tied = config.flag_or("tie_word_embeddings", false)? || (ties && decoder.tied);
        let [token, other] = ["image_token_index", "image_token_id"].map(|key| config.whole(key));
        let (token, other) = (token?, other?);
        if let (Some(token), Some(other)) = (token, other.filter(|_| token != other)) {
            let detail = format!("is {other}, and `image_token_index` is {token}: leave one out");
            return Err(config.fault("image_token_id", detail));
        }
        let strategies = [("default", false), ("full", true)];
        Ok(Self {
            states: states(config, tower.encoder.layers)?,
            whole: config.choice_or("vision_feature_select_strategy", &strategies, false)?,
            activation: config.choice_or(
                "projector_hidden_act",
                &ACTIVATIONS,
                Activation::Gelu.into(),
            )?,
            biases: config.flag_or("multimodal_projector_bias", true)?,
            token: token.or(other).unwrap_or(32000),
            tower,
            decoder,
        })
    }

    /// Features of a picture.
    pub(in crate::families) fn features(&self) -> usize {
        self.tower.tokens() - usize::from(!self.whole)
    }

    /// `input_ids` `[b, s]`.
    pub(in crate::families) fn ids(&self) -> Argument {
        let ids = Values::Ids { below: self.decoder.vocabulary, default: None };
        Argument::new("input_ids", vec![BATCH.into(), SEQUENCE.into()], ids)
    }

    /// Tells the net how this checkpoint calls today's names.
    pub(in crate::families) fn rename(net: &mut Net<'_>) {
        let places: [(&str, &str, &[&str]); 5] = [
            (TEXT, "embed_tokens.weight", &["language_model.model", "language_model"]),
            ("lm_head", "weight", &["language_model.lm_head"]),
            (
                TOWER,
                "embeddings.patch_embedding.weight",
                &["model.vision_tower.vision_model", "vision_tower", "vision_tower.vision_model"],
            ),
            (PROJECTOR, "linear_1.weight", &["multi_modal_projector"]),
            ("model", "image_newline", &[""]),
        ];
        for (today, part, others) in places {
            let has = |net: &Net<'_>, place: &str| {
                net.has(format!("{place}.{part}").trim_start_matches('.'))
            };
            if has(net, today) {
                continue;
            }
            if let Some(stored) = others.iter().find(|place| has(net, place)) {
                // The newline is a name of its own; the other parts are beginnings.
                if stored.is_empty() {
                    net.rename(&format!("{today}.{part}"), part);
                } else {
                    net.rename(&format!("{today}."), &format!("{stored}."));
                }
            }
        }
    }

    /// The features of pixels `[t, c, h, w]`: `[t·features, hidden]`.
    pub(in crate::families) fn see(
        &self,
        net: &mut Net<'_>,
        pixels: Value,
    ) -> Result<Value, Error> {
        let tokens = self.tower.tokens();
        let last = self.states.iter().copied().max().unwrap_or(0);
        let embedded = self.tower.embed(net, TOWER, pixels)?;
        let states = self.tower.states(net, TOWER, embedded, last)?;
        let chosen: Vec<_> = self.states.iter().map(|&state| states[state]).collect();
        let mut x = match *chosen.as_slice() {
            [one] => one,
            _ => net.builder.concat(&chosen, 2)?,
        };
        if !self.whole {
            x = net.builder.slice(x, 1, 1, tokens)?;
        }
        let width = self.decoder.hidden;
        let name = |part: &str| format!("{PROJECTOR}.{part}");
        let x = net.linear(&name("linear_1"), x, width, self.biases, self.activation)?;
        let x = net.linear(&name("linear_2"), x, width, self.biases, Activation::Identity)?;
        let rows = net.shape(x)[0] * self.features();
        Ok(net.builder.reshape(x, &[rows, width])?)
    }

    /// The decoder over the text, in which features `[n, hidden]` stand if there are pictures.
    pub(in crate::families) fn finish(
        &self,
        net: &mut Net<'_>,
        features: Option<Value>,
    ) -> Result<(), Error> {
        let binding = net.builder.binding();
        let (batch, sequence) = (binding.get(&BATCH)?, binding.get(&SEQUENCE)?);
        let ids = net.input("input_ids", Elements::Index, &[batch, sequence])?;
        let mut x = self.decoder.embed(net, TEXT, ids)?;
        if let Some(features) = features {
            let rows = net.input(ROWS, Elements::Index, &[batch, sequence])?;
            let own = net.builder.reshape(x, &[batch * sequence, self.decoder.hidden])?;
            let all = net.builder.concat(&[own, features], 0)?;
            x = net.builder.gather(all, rows)?;
        }
        self.decoder.finish(net, [TEXT, "lm_head"], x)
    }

    /// Where each token's row is, if features stand at these rows in the order of the image tokens; none without
    /// pictures.
    pub(in crate::families) fn derive(
        &self,
        binding: &Binding,
        given: &Given,
        features: Option<&[usize]>,
    ) -> Result<Given, Error> {
        let fail = |detail: String| Error::Input { name: "input_ids".into(), detail };
        let ids = given.get("input_ids");
        let indices = ids.and_then(Tensor::indices).ok_or_else(|| fail("is missing".into()))?;
        let is_image = |id: i32| usize::try_from(id) == Ok(self.token);
        let tokens = indices.iter().filter(|&&id| is_image(id)).count();
        let mut derived = self.decoder.derive(binding, given)?;
        let Some(features) = features else {
            // A step of a cache may go on behind any token.
            if tokens > 0 && binding.get(&PAST).unwrap_or(0) == 0 {
                return Err(fail(format!(
                    "it has {tokens} image tokens (id {}), and there are no `pixel_values`",
                    self.token
                )));
            }
            return Ok(derived);
        };
        if tokens != features.len() {
            return Err(fail(format!(
                "it has {tokens} image tokens (id {}), the pictures have {} features: there must be a token for each",
                self.token,
                features.len()
            )));
        }
        let mut features = features.iter().map(|row| indices.len() + row);
        let row = |(i, &id): (usize, &i32)| if is_image(id) { features.next() } else { Some(i) };
        let rows = indices.iter().enumerate().map(row);
        let rows = rows.map(|row| i32::try_from(row.unwrap_or_default()));
        let rows =
            rows.collect::<Result<_, _>>().map_err(|_| fail("has too many tokens".into()))?;
        let shape = [binding.get(&BATCH)?, binding.get(&SEQUENCE)?];
        derived.insert(ROWS.into(), Tensor::i32(shape, rows));
        Ok(derived)
    }

    /// Puts image tokens of pictures with so many features where texts begin, the same number of pictures in each
    /// text as far as it goes, and nowhere else.
    pub(in crate::families) fn reconcile(
        &self,
        binding: &Binding,
        given: &mut Given,
        features: &[usize],
    ) -> Result<(), Error> {
        let (batch, sequence) = (binding.get(&BATCH)?, binding.get(&SEQUENCE)?);
        let fail = |detail: String| Error::Input { name: "input_ids".into(), detail };
        let ids = given.get("input_ids").and_then(Tensor::indices);
        let mut ids = ids.ok_or_else(|| fail("is missing".into()))?.to_vec();
        let token = i32::try_from(self.token).unwrap_or(i32::MAX);
        let other = if token == 0 { 1 } else { token - 1 };
        ids.iter_mut().filter(|id| **id == token).for_each(|id| *id = other);
        let each = features.len().div_ceil(batch).max(1);
        for (row, features) in ids.chunks_mut(sequence).zip(features.chunks(each)) {
            let wanted: usize = features.iter().sum();
            let Some(places) = row.get_mut(..wanted) else {
                return Err(fail(format!("{sequence} tokens do not hold {wanted} image tokens")));
            };
            places.fill(token);
        }
        given.insert("input_ids".into(), Tensor::i32([batch, sequence], ids));
        Ok(())
    }
}

/// Reads the vision tower of a section; one that is not there is that of LLaVA 1.5.
fn vision(config: &mut Config, described: bool) -> Result<VisionTower, Error> {
    let kinds = [("clip_vision_model", Kind::Clip), ("siglip_vision_model", Kind::Siglip)];
    let kind = config.choice_or("model_type", &kinds, Kind::Clip)?;
    if described {
        return VisionTower::read(config, kind);
    }
    VisionTower::sized(config, kind, &Encoder::defaults([1024, 24, 16, 4096]), [336, 14])
}

/// The states that `vision_feature_layer` names; negative numbers count from the last.
fn states(config: &mut Config, layers: usize) -> Result<Vec<usize>, Error> {
    let key = "vision_feature_layer";
    let value = config.value(key).unwrap_or_else(|| (-2).into());
    let named = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let count = i64::try_from(layers).unwrap_or(i64::MAX).saturating_add(1);
    let state = |named: &serde_json::Value| {
        let named = named.as_i64().filter(|named| (-count..count).contains(named))?;
        usize::try_from(named.rem_euclid(count)).ok()
    };
    let states: Option<Vec<_>> = named.iter().map(state).collect();
    states.filter(|states| !states.is_empty()).ok_or_else(|| {
        let detail =
            format!("is {value}: a number or a list of numbers in -{count}..{count} is needed");
        config.fault(key, detail)
    })
}
