//! LLaVA against its goldens, its configuration, its cache, and what it refuses.

use crate::checkpoint::Checkpoint;
use crate::families::{Given, IMAGES, PAST, complete};
use crate::testing::{
    Copy, Tensors, change_index, difference, goldens_agree, keys_matter, published_is_read,
};
use proofmark_kernels::{Array, Binding, Tensor, evaluate};
use safetensors::Dtype;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Another value for every key that shapes the result. The decoder's own are tested with the decoder.
fn others() -> Vec<(&'static str, Value)> {
    vec![
        ("architectures", json!(["LlavaModel"])),
        ("image_token_id", json!(6)),
        ("image_token_index", json!(6)),
        ("model_type", json!("other")),
        ("multimodal_projector_bias", json!(true)),
        ("projector_hidden_act", json!("relu")),
        ("pruned_heads", json!({"0": [1]})),
        ("quantization_config", json!({})),
        ("text_config", json!({})),
        ("tie_word_embeddings", json!("yes")),
        ("vision_config", json!({})),
        ("vision_config.hidden_act", json!("relu")),
        ("vision_config.hidden_size", json!(30)),
        ("vision_config.image_size", json!(20)),
        ("vision_config.intermediate_size", json!(42)),
        ("vision_config.layer_norm_eps", json!(0.1)),
        ("vision_config.model_type", json!("siglip_vision_model")),
        ("vision_config.model_type", json!("dinov2")),
        ("vision_config.num_attention_heads", json!(9)),
        ("vision_config.num_channels", json!(1)),
        ("vision_config.num_hidden_layers", json!(3)),
        ("vision_config.patch_size", json!(4)),
        ("vision_config.pruned_heads", json!({"0": [1]})),
        ("vision_config.quantization_config", json!({})),
        ("vision_config.tie_last_hidden_states", json!(true)),
        ("vision_feature_layer", json!([-1, 0, 2, -3])),
        ("vision_feature_layer", json!([-6])),
        ("vision_feature_select_strategy", json!("default")),
        ("vision_feature_select_strategy", json!("cls")),
    ]
}

#[test]
fn the_graph_agrees_with_pytorch_in_f64() {
    for name in ["llava-tiny", "llava-odd"] {
        goldens_agree(name, 1e-6);
    }
}

#[test]
fn every_key_that_is_read_changes_the_result_or_is_refused() {
    keys_matter(|| Copy::of("llava-odd"), |key| !key.starts_with("text_config."), &others());
}

#[test]
fn names_of_all_versions_are_read() {
    // What each version has for the names that version 5 writes.
    let versions: [&[(&str, &str)]; 3] = [
        &[("vision_tower.", "vision_tower.vision_model.")],
        &[
            ("language_model.model.", "model.language_model."),
            ("language_model.lm_head.", "lm_head."),
            ("vision_tower.", "model.vision_tower.vision_model."),
            ("multi_modal_projector.", "model.multi_modal_projector."),
        ],
        &[
            ("language_model.model.", "model.language_model."),
            ("language_model.lm_head.", "lm_head."),
            ("vision_tower.", "model.vision_tower."),
            ("multi_modal_projector.", "model.multi_modal_projector."),
        ],
    ];
    let base = Copy::of("llava-odd").outputs("golden.safetensors").unwrap();
    for version in versions {
        let copy = Copy::of("llava-odd");
        copy.edit("model.safetensors", |tensors| {
            for (name, tensor) in std::mem::take(tensors) {
                let new = version.iter().find_map(|(today, other)| {
                    Some(format!("{other}{}", name.strip_prefix(today)?))
                });
                tensors.insert(new.unwrap_or(name), tensor);
            }
        });
        assert_eq!(copy.outputs("golden.safetensors").unwrap(), base, "{version:?}");
    }
}

#[test]
fn embeddings_are_tied_if_either_configuration_says_so() {
    let copy = Copy::of("llava-tiny");
    let base = copy.outputs("golden.safetensors").unwrap();
    copy.configure("tie_word_embeddings", None);
    copy.configure("text_config.tie_word_embeddings", Some(json!(true)));
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
    copy.configure("text_config.tie_word_embeddings", None);
    let error = copy.outputs("golden.safetensors").unwrap_err().to_string();
    assert!(error.contains("lm_head.weight"), "{error}");
}

#[test]
fn the_image_token_has_two_names_that_must_agree() {
    let copy = Copy::of("llava-odd");
    let base = copy.outputs("golden.safetensors").unwrap();
    copy.configure("image_token_id", Some(json!(5)));
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
    copy.configure("image_token_index", None);
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
}

#[test]
fn image_tokens_and_pictures_must_be_as_many() {
    let message = |edit: &dyn Fn(&mut Tensors)| {
        let copy = Copy::of("llava-odd");
        copy.edit("golden.safetensors", edit);
        copy.outputs("golden.safetensors").unwrap_err().to_string()
    };
    let error = message(&|tensors| change_index(tensors, "input.input_ids", 0, 8));
    assert!(error.contains("29 image tokens (id 5), the pictures have 30 features"), "{error}");
    let error = message(&|tensors| drop(tensors.remove("input.pixel_values")));
    assert!(error.contains("30 image tokens (id 5), and there are no `pixel_values`"), "{error}");
    let error = message(&|tensors| {
        let pixels = (Dtype::F32, vec![1, 3, 17, 18], vec![0; 4 * 3 * 17 * 18]);
        tensors.insert("input.pixel_values".into(), pixels);
    });
    assert!(error.contains("[i, 3, 17, 17]"), "{error}");
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
fn a_text_decoded_by_steps_behind_its_picture_is_that_of_the_whole() {
    let copy = Copy::of("llava-odd");
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let ids: Vec<i32> = [3, 9].into_iter().chain([5; 10]).chain([40, 77, 1]).collect();
    let pixels = (0u16..3 * 17 * 17).map(|i| f32::from(i * 29 % 97) / 48.0 - 1.0).collect();
    let pixels = Tensor::f32([1, 3, 17, 17], pixels);
    let part = |range: std::ops::Range<usize>| {
        let ids = Tensor::i32([1, range.len()], ids[range].to_vec());
        Given::from([("input_ids".to_owned(), ids)])
    };
    let seen = |mut given: Given| {
        given.insert("pixel_values".into(), pixels.clone());
        given
    };
    let binding = |tokens| Binding::batch_sequence(1, tokens);
    let whole = call(&checkpoint, &binding(15).with(IMAGES, 1), seen(part(0..15)));
    let first = binding(13).with(IMAGES, 1).with(PAST, 0);
    let mut cache = call(&checkpoint, &first, seen(part(0..13)));
    assert_eq!(cache["image_hidden_states"], whole["image_hidden_states"]);
    for past in 13..15 {
        let mut step = part(past..past + 1);
        let kept = cache.iter().filter(|(name, _)| name.starts_with("cache."));
        step.extend(kept.map(|(name, array)| (name.clone(), tensor(array))));
        let found = call(&checkpoint, &binding(1).with(PAST, past), step);
        let expected = whole["logits"].data[103 * past..][..103].to_vec();
        // The cache between two steps is f32 here.
        assert!(difference(&Array::new([1, 1, 103], expected), &found["logits"]) < 1e-6);
        for (name, new) in found.iter().filter(|(name, _)| name.starts_with("cache.")) {
            let old = cache.get_mut(name).unwrap();
            let data = [old.data.as_slice(), &new.data].concat();
            *old = Array::new([1, past + 1, new.shape[2]], data);
        }
    }
}

#[test]
fn the_published_size_is_read() {
    published_is_read("llava-7b");
}
