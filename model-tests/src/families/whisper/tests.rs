//! Whisper against its goldens, its configuration, and what it refuses.

use crate::catalogue::package_path;
use crate::checkpoint::Checkpoint;
use crate::families::{EMBEDDED, Given, PAST, TARGET, complete};
use crate::testing::{Copy, difference, every_key_matters, goldens_agree};
use proofmark_kernels::{Array, BATCH, Binding, Tensor, evaluate};
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
        ("tie_word_embeddings", json!(false)),
        ("use_cache", json!(false)),
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
    every_key_matters(tied, &others());
}

/// A tied model whose golden gives positions that do not count on, without a mask.
fn tied() -> Copy {
    let copy = Copy::of("whisper-odd");
    std::fs::copy(copy.path("golden-2.safetensors"), copy.path("golden.safetensors")).unwrap();
    copy.edit("golden.safetensors", |tensors| {
        tensors.remove("input.decoder_attention_mask").unwrap();
    });
    copy.edit("model.safetensors", |tensors| {
        tensors.remove("proj_out.weight").unwrap();
    });
    copy.configure("tie_word_embeddings", Some(json!(true)));
    copy
}

#[test]
fn a_last_matrix_that_is_stored_counts_whatever_the_configuration_says() {
    let copy = Copy::of("whisper-odd");
    let base = copy.outputs("golden.safetensors").unwrap();
    copy.configure("tie_word_embeddings", Some(json!(true)));
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
    assert_ne!(tied().outputs("golden.safetensors").unwrap(), base);
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

/// The outputs of one call, by name.
fn call(checkpoint: &Checkpoint, binding: &Binding, given: Given) -> BTreeMap<String, Array> {
    let arguments = checkpoint.family().architecture().arguments();
    let given = complete(&arguments, binding, given).unwrap();
    let graph = checkpoint.graph(binding).unwrap();
    let inputs = checkpoint.tensors(&graph, binding, &given).unwrap();
    let names = graph.outputs().iter().map(|(name, _)| name.clone());
    names.zip(evaluate(&graph, checkpoint.weights(), &inputs).unwrap()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "devices take inputs as f32")]
fn tensor(array: &Array) -> Tensor {
    Tensor::f32(array.shape.clone(), array.data.iter().map(|&v| v as f32).collect())
}

#[test]
fn tokens_decoded_by_steps_are_those_of_the_whole() {
    let copy = Copy::of("whisper-odd");
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let ids = [[7, 3, 99, 12, 5], [0, 4, 8, 100, 1]];
    let mask = [[1, 1, 1, 1, 1], [0, 1, 1, 1, 1]];
    let tokens = |rows: &[[i32; 5]; 2], from: usize, to: usize| {
        Tensor::i32([2, to - from], rows.iter().flat_map(|row| row[from..to].to_vec()).collect())
    };
    let sound = (0u16..2 * 13 * 38).map(|i| f32::from(i * 29 % 97) / 48.0 - 1.0).collect();
    let sound = Tensor::f32([2, 13, 38], sound);
    let given = |from, to| {
        Given::from([
            ("decoder_input_ids".to_owned(), tokens(&ids, from, to)),
            ("decoder_attention_mask".to_owned(), tokens(&mask, from, to)),
        ])
    };
    let binding = |target| Binding::default().with(BATCH, 2).with(TARGET, target);
    let mut whole = given(0, 5);
    whole.insert("input_features".into(), sound.clone());
    let whole = call(&checkpoint, &binding(5), whole);
    let mut prefill = given(0, 3);
    prefill.insert("input_features".into(), sound);
    let mut cache = call(&checkpoint, &binding(3).with(PAST, 0), prefill);
    for past in 3..5 {
        let mut step = given(past, past + 1);
        step.insert("cache.mask".into(), tokens(&mask, 0, past));
        let kept = cache.iter().filter(|(name, _)| name.starts_with('c'));
        step.extend(kept.map(|(name, array)| (name.clone(), tensor(array))));
        let found = call(&checkpoint, &binding(1).with(PAST, past), step);
        let logits = &whole["logits"];
        let rows = logits.data.chunks(101).skip(past).step_by(5).flatten().copied().collect();
        let expected = Array::new([2, 1, 101], rows);
        // The cache between two steps is f32 here.
        assert!(difference(&expected, &found["logits"]) < 1e-6);
        for (name, new) in found.iter().filter(|(name, _)| name.starts_with("cache.")) {
            let old = cache.get_mut(name).unwrap();
            let rows = old.data.chunks(past * 30).zip(new.data.chunks(30));
            let data = rows.flat_map(|(old, new)| [old, new].concat()).collect();
            *old = Array::new([2, past + 1, 30], data);
        }
    }
}

#[test]
fn the_published_size_is_read() {
    let folder = package_path("published/whisper-tiny");
    let checkpoint = Checkpoint::seeded(&folder).unwrap();
    checkpoint.graph(&checkpoint.family().architecture().example()).unwrap();
    assert_eq!(checkpoint.note(), None);
}
