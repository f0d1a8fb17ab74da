//! BERT (Devlin et al. 2019), as `BertModel` of transformers computes it: embeddings, post-norm encoder layers, and
//! the pooler if the checkpoint has one. Heads of `BertFor…` classes are not run.

use super::activations::{ACTIVATIONS, Function};
use super::net::{Heads, Net};
use super::{Architecture, Argument, Values, expect_class};
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{Activation, BATCH, Binding, Graph, Kind, SEQUENCE, Value, Weights};
use serde_json::json;

/// The sizes of one BERT.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bert {
    vocabulary: usize,
    hidden: usize,
    layers: usize,
    heads: usize,
    intermediate: usize,
    activation: Function,
    max_positions: usize,
    token_types: usize,
    epsilon: f32,
}

/// Classes whose encoder is a `BertModel`.
const ARCHITECTURES: [&str; 9] = [
    "BertModel",
    "BertLMHeadModel",
    "BertForPreTraining",
    "BertForMaskedLM",
    "BertForNextSentencePrediction",
    "BertForSequenceClassification",
    "BertForMultipleChoice",
    "BertForTokenClassification",
    "BertForQuestionAnswering",
];

/// Keys without influence on what `BertModel` computes in inference: dropout and initialisation act in training,
/// the rest is of heads, tokenizers, generation, storage or bookkeeping.
const IDLE: [&str; 42] = [
    "_name_or_path",
    "attention_probs_dropout_prob",
    "bos_token_id",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cls_token_id",
    "decoder_start_token_id",
    "directionality",
    "dtype",
    "embedding_dropout",
    "eos_token_id",
    "finetuning_task",
    "gradient_checkpointing",
    "hidden_dropout_prob",
    "id2label",
    "initializer_range",
    "label2id",
    "language",
    "mask_token_id",
    "model_max_length",
    "name",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "pad_token_id",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    "problem_type",
    "return_dict",
    "sep_token_id",
    "task_specific_params",
    "tie_word_embeddings",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "use_cache",
    "use_return_dict",
];

impl Bert {
    /// Reads the sizes, and refuses what would make another model of it.
    pub(super) fn read(config: &mut Config, architectures: &[String]) -> Result<Self, Error> {
        expect_class(config, architectures, &ARCHITECTURES)?;
        config.held("position_embedding_type", &[json!("absolute")])?;
        for key in ["is_decoder", "add_cross_attention", "is_encoder_decoder"] {
            config.held(key, &[json!(false)])?;
        }
        config.held("pruned_heads", &[json!({})])?;
        // Another arithmetic.
        config.held("quantization_config", &[])?;
        config.idle(&IDLE);
        let bert = Self {
            vocabulary: config.size("vocab_size")?,
            hidden: config.size("hidden_size")?,
            layers: config.size("num_hidden_layers")?,
            heads: config.size("num_attention_heads")?,
            intermediate: config.size("intermediate_size")?,
            activation: config.choice("hidden_act", &ACTIVATIONS)?,
            max_positions: config.size("max_position_embeddings")?,
            token_types: config.size("type_vocab_size")?,
            // A constant of the first release, whose configurations therefore lack the key.
            epsilon: config.at_least_zero("layer_norm_eps", Some(1e-12))?,
        };
        if !bert.hidden.is_multiple_of(bert.heads) {
            let detail =
                format!("is {}: it must divide hidden_size, which is {}", bert.heads, bert.hidden);
            return Err(config.fault("num_attention_heads", detail));
        }
        Ok(bert)
    }

    fn embed(
        &self,
        net: &mut Net<'_>,
        ids: Value,
        types: Value,
        sequence: usize,
    ) -> Result<Value, Error> {
        let words =
            net.embedding("embeddings.word_embeddings", [self.vocabulary, self.hidden], ids)?;
        let types = net.embedding(
            "embeddings.token_type_embeddings",
            [self.token_types, self.hidden],
            types,
        )?;
        let positions = net
            .weight("embeddings.position_embeddings.weight", &[self.max_positions, self.hidden])?;
        let positions = net.builder.slice(positions, 0, 0, sequence)?;
        let sum = net.builder.add(words, types)?;
        let sum = net.builder.add(sum, positions)?;
        net.layer_norm("embeddings.LayerNorm", sum, self.epsilon)
    }

    fn layer(&self, net: &mut Net<'_>, name: &str, x: Value, mask: Value) -> Result<Value, Error> {
        let part = |part: &str| format!("{name}.{part}");
        let mut project =
            |which: &str| net.dense(&part(&format!("attention.self.{which}")), x, self.hidden);
        let projected = [project("query")?, project("key")?, project("value")?];
        let heads = Heads::new(self.heads, self.hidden / self.heads);
        let attended = net.attention(heads, projected, Some(mask), None)?;
        let attended = net.dense(&part("attention.output.dense"), attended, self.hidden)?;
        let sum = net.builder.add(attended, x)?;
        let x = net.layer_norm(&part("attention.output.LayerNorm"), sum, self.epsilon)?;
        let wide = part("intermediate.dense");
        let wide = net.linear(&wide, x, self.intermediate, true, self.activation)?;
        let narrow = net.dense(&part("output.dense"), wide, self.hidden)?;
        let sum = net.builder.add(narrow, x)?;
        net.layer_norm(&part("output.LayerNorm"), sum, self.epsilon)
    }
}

impl Architecture for Bert {
    /// `input_ids`, `attention_mask`, `token_type_ids`, all `[b, s]`.
    fn arguments(&self) -> Vec<Argument> {
        let ids = |below, default| Values::Ids { below, default };
        let argument =
            |name, values| Argument::new(name, vec![BATCH.into(), SEQUENCE.into()], values);
        vec![
            argument("input_ids", ids(self.vocabulary, None)),
            argument("attention_mask", Values::Mask),
            argument("token_type_ids", ids(self.token_types, Some(0))),
        ]
    }

    /// Outputs `last_hidden_state` `[b, s, hidden]` and, with a pooler, `pooler_output` `[b, hidden]`.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        let (batch, sequence) = (binding.get(&BATCH)?, binding.get(&SEQUENCE)?);
        if sequence > self.max_positions {
            let detail = format!(
                "its sequence length is {sequence}, the checkpoint has positions for at most {}",
                self.max_positions
            );
            return Err(Error::Input { name: "input_ids".into(), detail });
        }
        let mut net = Net::new(binding, weights);
        // Checkpoints of `BertFor…` classes hold the encoder below `bert.`.
        if !net.has("embeddings.word_embeddings.weight")
            && net.has("bert.embeddings.word_embeddings.weight")
        {
            net.rename("", "bert.");
        }
        let mut input = |name: &str| net.input(name, Kind::Index, &[batch, sequence]);
        let (ids, mask, types) =
            (input("input_ids")?, input("attention_mask")?, input("token_type_ids")?);
        let mut x = self.embed(&mut net, ids, types, sequence)?;
        for layer in 0..self.layers {
            x = self.layer(&mut net, &format!("encoder.layer.{layer}"), x, mask)?;
        }
        net.builder.output("last_hidden_state", x)?;
        if net.has("pooler.dense.weight") {
            let first = net.builder.slice(x, 1, 0, 1)?;
            let first = net.builder.reshape(first, &[batch, self.hidden])?;
            let pooled = net.linear("pooler.dense", first, self.hidden, true, Activation::Tanh)?;
            net.builder.output("pooler_output", pooled)?;
        }
        net.finish()
    }

    fn positions(&self) -> &'static [&'static str] {
        &["position_ids"]
    }

    fn unsupported_outputs(&self) -> &'static str {
        "heads of BertFor… classes are not run; last_hidden_state is possible, and pooler_output where the \
         checkpoint has a pooler"
    }

    fn example(&self) -> Binding {
        Binding::batch_sequence(1, self.max_positions.min(8))
    }

    fn max_sequence(&self) -> usize {
        self.max_positions
    }
}

#[cfg(test)]
mod tests {
    use crate::checkpoint::Checkpoint;
    use crate::error::Error;
    use crate::testing::{Copy, every_key_matters, goldens_agree};
    use serde_json::{Value, json};

    /// `last_hidden_state` in f64 for the inputs of the golden.
    fn hidden_state(copy: &Copy) -> Result<Vec<f64>, Error> {
        let mut outputs = copy.outputs("golden.safetensors")?;
        Ok(outputs.remove("last_hidden_state").unwrap().data)
    }

    /// Another value for every key that shapes the result.
    fn others() -> Vec<(&'static str, Value)> {
        vec![
            ("vocab_size", json!(98)),
            ("hidden_size", json!(65)),
            ("num_hidden_layers", json!(2)),
            ("num_attention_heads", json!(4)),
            ("intermediate_size", json!(132)),
            ("hidden_act", json!("relu")),
            ("max_position_embeddings", json!(42)),
            ("type_vocab_size", json!(2)),
            ("layer_norm_eps", json!(0.01)),
            ("model_type", json!("other")),
            ("architectures", json!(["Other"])),
            ("position_embedding_type", json!("relative_key")),
            ("is_decoder", json!(true)),
            ("add_cross_attention", json!(true)),
            ("is_encoder_decoder", json!(true)),
            ("pruned_heads", json!({"0": [1]})),
            ("quantization_config", json!({})),
        ]
    }

    #[test]
    fn every_key_that_is_read_changes_the_result_or_is_refused() {
        every_key_matters(|| Copy::of("bert-odd"), &others());
    }

    #[test]
    fn keys_that_are_idle_or_unknown_change_nothing_and_unknown_ones_are_told() {
        let copy = Copy::of("bert-odd");
        let base = hidden_state(&copy).unwrap();
        copy.configure("hidden_dropout_prob", Some(json!(0.9)));
        copy.configure("initializer_range", Some(json!(3)));
        assert_eq!(Checkpoint::open(copy.folder()).unwrap().note(), None);
        copy.configure("surprise", Some(json!(1)));
        copy.configure("auto_map", Some(json!({"AutoModel": "modeling.Other"})));
        copy.configure("embedding_size", Some(json!(16)));
        let note = Checkpoint::open(copy.folder()).unwrap().note().unwrap();
        assert!(["auto_map", "embedding_size", "surprise"].iter().all(|key| note.contains(key)));
        assert_eq!(hidden_state(&copy).unwrap(), base);
    }

    #[test]
    fn names_of_the_first_checkpoints_are_read_as_well_each_by_itself() {
        let base = hidden_state(&Copy::of("bert-odd")).unwrap();
        let (gamma, beta) = (("weight", "gamma"), ("bias", "beta"));
        for renamed in [&[gamma][..], &[beta], &[gamma, beta]] {
            let copy = Copy::of("bert-odd");
            copy.edit("model.safetensors", |tensors| {
                for (mut name, tensor) in std::mem::take(tensors) {
                    for (new, old) in renamed {
                        let (new, old) = (format!("LayerNorm.{new}"), format!("LayerNorm.{old}"));
                        name = name.replace(&new, &old);
                    }
                    tensors.insert(name, tensor);
                }
            });
            copy.configure("model_type", None);
            assert_eq!(hidden_state(&copy).unwrap(), base, "{renamed:?}");
        }
    }

    #[test]
    fn a_language_model_that_is_no_decoder_is_an_encoder() {
        let copy = Copy::of("bert-odd");
        let base = hidden_state(&copy).unwrap();
        copy.configure("architectures", Some(json!(["BertLMHeadModel"])));
        assert_eq!(hidden_state(&copy).unwrap(), base);
        copy.configure("is_decoder", Some(json!(true)));
        assert!(hidden_state(&copy).unwrap_err().to_string().contains("`is_decoder` is true"));
    }

    #[test]
    fn a_norm_without_an_epsilon_is_computed() {
        let copy = Copy::of("bert-odd");
        copy.configure("layer_norm_eps", Some(json!(0)));
        assert!(hidden_state(&copy).unwrap().iter().all(|v| v.is_finite()));
    }

    #[test]
    fn the_graph_agrees_with_pytorch_in_f64() {
        // Only the attention scale and the epsilon are f32 here and f64 there.
        for name in ["bert-tiny", "bert-odd"] {
            goldens_agree(name, 1e-6);
        }
    }
}
