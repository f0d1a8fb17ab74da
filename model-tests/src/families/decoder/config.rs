//! The sizes of a decoder from the configuration of its class. Defaults are those of transformers, which leaves out
//! what is equal to them.

use super::rope::Rope;
use super::{Biases, Decoder};
use crate::config::Config;
use crate::error::Error;
use crate::families::activations::{ACTIVATIONS, SILU};
use serde_json::json;

/// A class whose decoder is of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Llama,
    Mistral,
    Qwen2,
}

/// The classes by the `model_type` of their configuration.
const CLASSES: [(&str, Class); 3] =
    [("llama", Class::Llama), ("mistral", Class::Mistral), ("qwen2", Class::Qwen2)];

/// Keys without influence on the logits: they act in training, in a tokenizer, in generation or in storage.
const IDLE: [&str; 30] = [
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "chunk_size_feed_forward",
    "dtype",
    "eos_token_id",
    "finetuning_task",
    "id2label",
    "initializer_range",
    "is_encoder_decoder",
    "label2id",
    "max_length",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    // Version 4 cut products into so many parts and added them up.
    "pretraining_tp",
    "problem_type",
    "return_dict",
    "sep_token_id",
    "task_specific_params",
    "temperature",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "use_return_dict",
];

impl Decoder {
    /// Reads a configuration, or a section of one, by its `model_type`; `default` holds if it has none.
    pub(in crate::families) fn read(config: &mut Config, default: &str) -> Result<Self, Error> {
        let (_, default) = CLASSES.iter().find(|(name, _)| *name == default).unwrap_or(&CLASSES[0]);
        let class = config.choice_or("model_type", &CLASSES, *default)?;
        config.held("is_causal", &[json!(true)])?;
        config.held("pruned_heads", &[json!({})])?;
        // Another arithmetic.
        config.held("quantization_config", &[])?;
        config.idle(&IDLE);
        let hidden = config.size_or("hidden_size", 4096)?;
        let layers = config.size_or("num_hidden_layers", 32)?;
        let heads = config.size_or("num_attention_heads", 32)?;
        let (width, kv_heads) = class.heads(config, hidden, heads)?;
        let (vocabulary, intermediate, max_positions) = class.defaults();
        let max_positions = config.size_or("max_position_embeddings", max_positions)?;
        Ok(Self {
            vocabulary: config.size_or("vocab_size", vocabulary)?,
            hidden,
            layers,
            heads,
            kv_heads,
            width,
            intermediate: config.size_or("intermediate_size", intermediate)?,
            activation: config.choice_or("hidden_act", &ACTIVATIONS, SILU)?,
            epsilon: config.at_least_zero("rms_norm_eps", Some(1e-6))?,
            max_positions,
            rope: Rope::read(config, width, max_positions)?,
            biases: class.biases(config)?,
            windows: class.windows(config, layers)?,
            tied: config.flag_or("tie_word_embeddings", false)?,
            caches: config.flag_or("use_cache", true)?,
        })
    }
}

impl Class {
    /// Vocabulary, width of the feed-forward, longest text.
    const fn defaults(self) -> (usize, usize, usize) {
        match self {
            Self::Llama => (32_000, 11_008, 2048),
            Self::Mistral => (32_000, 14_336, 131_072),
            Self::Qwen2 => (151_936, 22_016, 32_768),
        }
    }

    /// The width of a head, and the number of key and value heads.
    fn heads(
        self,
        config: &mut Config,
        hidden: usize,
        heads: usize,
    ) -> Result<(usize, usize), Error> {
        let width = config.size_or("head_dim", (hidden / heads).max(1))?;
        if self == Self::Llama && !hidden.is_multiple_of(heads) {
            let detail = format!("is {heads}: it must divide hidden_size, which is {hidden}");
            return Err(config.fault("num_attention_heads", detail));
        }
        if !width.is_multiple_of(2) {
            let detail =
                format!("makes heads of width {width}: even ones are needed to turn halves");
            let key = if config.has("head_dim") { "head_dim" } else { "hidden_size" };
            return Err(config.fault(key, detail));
        }
        // One for each query head where the key is null.
        let default = match self {
            _ if config.mentions("num_key_value_heads") => heads,
            Self::Llama => heads,
            Self::Mistral => 8,
            Self::Qwen2 => 32,
        };
        let kv_heads = config.size_or("num_key_value_heads", default)?;
        if !heads.is_multiple_of(kv_heads) {
            let detail =
                format!("is {kv_heads}: it must divide num_attention_heads, which is {heads}");
            return Err(config.fault("num_key_value_heads", detail));
        }
        Ok((width, kv_heads))
    }

    fn biases(self, config: &mut Config) -> Result<Biases, Error> {
        Ok(match self {
            Self::Llama => {
                let attention = config.flag_or("attention_bias", false)?;
                let feed_forward = config.flag_or("mlp_bias", false)?;
                Biases { projections: attention, output: attention, feed_forward }
            }
            Self::Mistral => Biases { projections: false, output: false, feed_forward: false },
            Self::Qwen2 => Biases { projections: true, output: false, feed_forward: false },
        })
    }

    /// How far back each layer sees.
    fn windows(self, config: &mut Config, layers: usize) -> Result<Vec<Option<usize>>, Error> {
        match self {
            Self::Llama => Ok(vec![None; layers]),
            Self::Mistral => {
                let none = config.mentions("sliding_window") && !config.has("sliding_window");
                let window = config.size_or("sliding_window", 4096)?;
                Ok(vec![(!none).then_some(window); layers])
            }
            Self::Qwen2 => qwen2_windows(config, layers),
        }
    }
}

/// The window acts if `use_sliding_window` says so, in the layers that `layer_types` names or, without such a list,
/// in those from `max_window_layers` on.
fn qwen2_windows(config: &mut Config, layers: usize) -> Result<Vec<Option<usize>>, Error> {
    let slides = config.flag_or("use_sliding_window", false)?;
    let window = config.size_or("sliding_window", 4096)?;
    let full = config.whole("max_window_layers")?.unwrap_or(28);
    let Some(types) = config.texts("layer_types")? else {
        let window = |layer: usize| (slides && layer >= full).then_some(window);
        return Ok((0..layers).map(window).collect());
    };
    if types.len() != layers {
        let detail = format!("names {} layers: there are {layers}", types.len());
        return Err(config.fault("layer_types", detail));
    }
    let window = |name: &String| match name.as_str() {
        "full_attention" | "attention" => Ok(None),
        "sliding_attention" if slides => Ok(Some(window)),
        "sliding_attention" => {
            let detail = "has `sliding_attention`, which needs `use_sliding_window` to be true";
            Err(config.fault("layer_types", detail))
        }
        other => {
            let detail = format!("has \"{other}\": possible are full_attention, sliding_attention");
            Err(config.fault("layer_types", detail))
        }
    };
    types.iter().map(window).collect()
}
