//! T5 against its goldens, its configuration, and what it refuses.

use crate::catalogue::package_path;
use crate::checkpoint::Checkpoint;
use crate::families::{EMBEDDED, TARGET};
use crate::testing::{Copy, every_key_matters, goldens_agree};
use proofmark_kernels::{Binding, Tensor};
use serde_json::{Value, json};

#[test]
fn the_graph_agrees_with_pytorch_in_f64() {
    for name in ["t5-tiny", "t5-odd"] {
        goldens_agree(name, 1e-6);
    }
}

/// Another value for every key that shapes the result.
fn others() -> Vec<(&'static str, Value)> {
    vec![
        ("architectures", json!(["T5EncoderModel"])),
        ("d_ff", json!(53)),
        ("d_kv", json!(6)),
        ("d_model", json!(37)),
        ("dense_act_fn", json!("relu")),
        ("feed_forward_proj", json!("gated-relu")),
        ("is_encoder_decoder", json!(false)),
        ("is_gated_act", json!(false)),
        ("layer_norm_epsilon", json!(0.1)),
        ("model_type", json!("other")),
        ("num_decoder_layers", json!(1)),
        ("num_heads", json!(4)),
        ("num_layers", json!(2)),
        ("pruned_heads", json!({"0": [1]})),
        ("quantization_config", json!({})),
        ("relative_attention_max_distance", json!(60)),
        ("relative_attention_max_distance", json!(7)),
        ("relative_attention_num_buckets", json!(3)),
        ("relative_attention_num_buckets", json!(15)),
        ("scale_decoder_outputs", json!(true)),
        ("tie_word_embeddings", json!(true)),
        ("vocab_size", json!(100)),
    ]
}

/// A configuration as version 4 wrote it: without the keys that repeat `feed_forward_proj` and
/// `tie_word_embeddings`.
fn older(name: &str, tied: bool) -> Copy {
    let copy = Copy::of(name);
    for key in ["dense_act_fn", "is_gated_act", "scale_decoder_outputs"] {
        copy.configure(key, None);
    }
    copy.configure("tie_word_embeddings", Some(json!(tied)));
    copy
}

#[test]
fn every_key_that_is_read_changes_the_result_or_is_refused() {
    every_key_matters(|| older("t5-odd", false), &others());
}

#[test]
fn configurations_of_version_4_are_the_same_models() {
    for (name, tied) in [("t5-tiny", true), ("t5-odd", false)] {
        let base = Copy::of(name).outputs("golden.safetensors").unwrap();
        assert_eq!(older(name, tied).outputs("golden.safetensors").unwrap(), base);
    }
    let copy = older("t5-tiny", true);
    let base = copy.outputs("golden.safetensors").unwrap();
    for key in ["tie_word_embeddings", "feed_forward_proj", "num_decoder_layers"] {
        copy.configure(key, None);
    }
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
}

#[test]
fn tables_that_a_file_holds_are_taken_whatever_the_configuration_says() {
    let base = Copy::of("t5-odd").outputs("golden.safetensors").unwrap();
    for name in ["encoder.embed_tokens", "decoder.embed_tokens", "lm_head"] {
        let copy = Copy::of("t5-odd");
        copy.edit("model.safetensors", |tensors| {
            let (dtype, shape, mut bytes) = tensors["shared.weight"].clone();
            bytes.rotate_left(4 * shape[1]);
            tensors.insert(format!("{name}.weight"), (dtype, shape, bytes));
        });
        assert_ne!(copy.outputs("golden.safetensors").unwrap(), base, "{name}");
        // The same table under another name alone is all three.
        let copy = Copy::of("t5-odd");
        copy.edit("model.safetensors", |tensors| {
            let table = tensors.remove("shared.weight").unwrap();
            tensors.insert(format!("{name}.weight"), table);
        });
        assert_eq!(copy.outputs("golden.safetensors").unwrap(), base, "{name}");
    }
}

#[test]
fn contradictions_are_refused() {
    let copy = Copy::of("t5-tiny");
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let binding = Binding::batch_sequence(1, 2).with(TARGET, 1);
    let error = checkpoint.graph(&binding.clone().with(EMBEDDED, 7)).unwrap_err().to_string();
    assert!(error.contains("they are 7 wide, 32 is needed"), "{error}");
    let ids = ("decoder_input_ids".to_owned(), Tensor::i32([1, 1], vec![0]));
    let architecture = checkpoint.family().architecture();
    let error = architecture.derive(&binding, &[ids].into()).unwrap_err().to_string();
    assert!(error.contains("`input_ids`: it or `inputs_embeds` must be given"), "{error}");
    let copy = older("t5-tiny", true);
    copy.configure("feed_forward_proj", Some(json!("gated-silu-gelu")));
    let error = Checkpoint::open(copy.folder()).unwrap_err().to_string();
    assert!(error.contains("is \"gated-silu-gelu\": possible are"), "{error}");
}

#[test]
fn the_published_size_is_read() {
    let checkpoint = Checkpoint::seeded(&package_path("published/t5-small")).unwrap();
    let graph = checkpoint.graph(&checkpoint.family().architecture().example()).unwrap();
    assert_eq!(checkpoint.note(), None);
    assert_eq!(graph.weights().map(|(_, of)| of.len()).sum::<usize>(), 60_506_624);
}
