//! Whisper against its goldens, its configuration, and what it refuses.

use crate::catalogue::package_path;
use crate::checkpoint::Checkpoint;
use crate::families::{EMBEDDED, TARGET};
use crate::testing::{Copy, every_key_matters, goldens_agree};
use proofmark_kernels::{BATCH, Binding, Tensor};
use serde_json::{Value, json};

/// Another value for every key that shapes the result.
fn others() -> Vec<(&'static str, Value)> {
    vec![
        ("activation_function", json!("silu")),
        ("architectures", json!(["WhisperForAudioClassification"])),
        ("d_model", json!(60)),
        ("decoder_attention_heads", json!(5)),
        ("decoder_attention_heads", json!(4)),
        ("decoder_ffn_dim", json!(54)),
        ("decoder_layers", json!(2)),
        ("encoder_attention_heads", json!(3)),
        ("encoder_ffn_dim", json!(46)),
        ("encoder_layers", json!(2)),
        ("hidden_size", json!(31)),
        ("is_encoder_decoder", json!(false)),
        ("max_source_positions", json!(20)),
        ("max_target_positions", json!(20)),
        ("model_type", json!("other")),
        ("num_attention_heads", json!(3)),
        ("num_hidden_layers", json!(3)),
        ("num_mel_bins", json!(14)),
        ("pruned_heads", json!({"0": [1]})),
        ("quantization_config", json!({})),
        ("tie_word_embeddings", json!(true)),
        ("vocab_size", json!(102)),
    ]
}

#[test]
fn the_graph_agrees_with_pytorch_in_f64() {
    for name in ["whisper-tiny", "whisper-odd"] {
        goldens_agree(name, 1e-6);
    }
}

#[test]
fn every_key_that_is_read_changes_the_result_or_is_refused() {
    every_key_matters(|| Copy::of("whisper-odd"), &others());
}

#[test]
fn a_configuration_without_defaults_is_the_same_model() {
    let copy = Copy::of("whisper-tiny");
    let base = copy.outputs("golden.safetensors").unwrap();
    for key in ["activation_function", "tie_word_embeddings", "scale_embedding"] {
        copy.configure(key, None);
    }
    copy.configure("num_hidden_layers", Some(json!(2)));
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
}

#[test]
fn a_bare_model_is_read_without_its_name() {
    let copy = Copy::of("whisper-tiny");
    let base = copy.outputs("golden.safetensors").unwrap();
    copy.edit("model.safetensors", |tensors| {
        let bare = std::mem::take(tensors).into_iter();
        tensors.extend(bare.map(|(name, tensor)| (name.replace("model.", ""), tensor)));
    });
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
}

#[test]
fn too_many_tokens_and_contradictions_are_refused() {
    let copy = Copy::of("whisper-odd");
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let binding = |target| Binding::default().with(BATCH, 1).with(TARGET, target);
    let message = |binding| checkpoint.graph(&binding).unwrap_err().to_string();
    assert!(message(binding(22)).contains("has positions for at most 21"));
    assert!(message(binding(2).with(EMBEDDED, 7)).contains("d_model is 30"));
    let given = ["decoder_input_ids", "decoder_inputs_embeds"];
    let given = given.map(|name| (name.to_owned(), Tensor::i32([1], vec![0]))).into();
    let architecture = checkpoint.family().architecture();
    let error = architecture.derive(&binding(2), &given).unwrap_err().to_string();
    assert!(error.contains("leave one of them out"), "{error}");
}

#[test]
fn embeddings_in_place_of_ids_are_taken() {
    let copy = Copy::of("whisper-odd");
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let binding = Binding::default().with(BATCH, 2).with(TARGET, 3).with(EMBEDDED, 30);
    let graph = checkpoint.graph(&binding).unwrap();
    let names: Vec<_> = graph.inputs().map(|(name, _)| name).collect();
    assert!(names.contains(&"decoder_inputs_embeds") && !names.contains(&"decoder_input_ids"));
}

#[test]
fn the_published_size_is_read() {
    let folder = package_path("published/whisper-tiny");
    let checkpoint = Checkpoint::seeded(&folder).unwrap();
    checkpoint.graph(&checkpoint.family().architecture().example()).unwrap();
    assert_eq!(checkpoint.note(), None);
}
