//! Keys that transformers writes into the configuration of any family and that an inference does not ask for. What a
//! family itself does not ask for is in its own file.

use crate::config::Config;
use crate::error::Error;

/// Bookkeeping, generation, training, and heads that are not run.
const IDLE: [&str; 58] = [
    "_attn_implementation_autoset",
    "_name_or_path",
    "add_cross_attention",
    "attention_dropout",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "initializer_factor",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_cache",
    "use_return_dict",
];

/// Declares these keys idle, and refuses what would make other weights of those that are stored.
pub(super) fn bookkeeping(config: &mut Config) -> Result<(), Error> {
    config.idle(&IDLE);
    config.held("pruned_heads", &[serde_json::json!({})])?;
    config.held("quantization_config", &[])
}
