//! LLaVA-NeXT against its goldens, its configuration, and what it refuses. The decoder that sees is tested with LLaVA.

use crate::checkpoint::Checkpoint;
use crate::families::{ALL_TILES, FEATURES, Family, Given, IMAGES, TILES};
use crate::inputs::deterministic;
use crate::testing::{Copy, Tensors, change_index, goldens_agree, keys_matter, published_is_read};
use proofmark_kernels::{Binding, evaluate};
use safetensors::Dtype;
use serde_json::{Value, json};

/// Another value for every key that shapes the result. The decoder's own are tested with the decoder.
fn others() -> Vec<(&'static str, Value)> {
    vec![
        ("architectures", json!(["LlavaNextModel"])),
        ("image_grid_pinpoints", json!([[12, 24], [24, 12], [24, 24]])),
        ("image_grid_pinpoints", json!([[12, 25]])),
        ("image_grid_pinpoints", json!([12, 24])),
        ("image_token_id", json!(6)),
        ("image_token_index", json!(6)),
        ("model_type", json!("other")),
        ("multimodal_projector_bias", json!(false)),
        ("projector_hidden_act", json!("relu")),
        ("pruned_heads", json!({"0": [1]})),
        ("quantization_config", json!({})),
        ("text_config", json!({})),
        ("tie_word_embeddings", json!("yes")),
        ("vision_config", json!({})),
        ("vision_config.hidden_act", json!("relu")),
        ("vision_config.hidden_size", json!(36)),
        ("vision_config.image_size", json!(24)),
        ("vision_config.intermediate_size", json!(42)),
        ("vision_config.layer_norm_eps", json!(0.1)),
        ("vision_config.model_type", json!("siglip_vision_model")),
        ("vision_config.num_attention_heads", json!(2)),
        ("vision_config.num_channels", json!(1)),
        ("vision_config.num_hidden_layers", json!(2)),
        ("vision_config.patch_size", json!(6)),
        ("vision_config.pruned_heads", json!({"0": [1]})),
        ("vision_config.quantization_config", json!({})),
        ("vision_config.tie_last_hidden_states", json!(true)),
        ("vision_feature_layer", json!(-1)),
        ("vision_feature_select_strategy", json!("full")),
    ]
}

#[test]
fn the_graph_agrees_with_pytorch_in_f64() {
    for name in ["llavanext-tiny", "llavanext-odd"] {
        goldens_agree(name, 1e-6);
    }
}

#[test]
fn every_key_that_is_read_changes_the_result_or_is_refused() {
    keys_matter(|| Copy::of("llavanext-tiny"), |key| !key.starts_with("text_config."), &others());
}

#[test]
fn only_the_configuration_itself_ties_embeddings() {
    let copy = Copy::of("llavanext-odd");
    let base = copy.outputs("golden.safetensors").unwrap();
    copy.configure("text_config.tie_word_embeddings", Some(json!(false)));
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
    copy.configure("tie_word_embeddings", None);
    copy.configure("text_config.tie_word_embeddings", Some(json!(true)));
    let error = copy.outputs("golden.safetensors").unwrap_err().to_string();
    assert!(error.contains("lm_head.weight"), "{error}");
}

#[test]
fn the_newline_has_two_names() {
    let copy = Copy::of("llavanext-odd");
    let base = copy.outputs("golden.safetensors").unwrap();
    copy.edit("model.safetensors", |tensors| {
        let newline = tensors.remove("image_newline").unwrap();
        tensors.insert("model.image_newline".into(), newline);
    });
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
}

#[test]
fn pictures_that_do_not_match_are_refused() {
    let message = |golden: &str, edit: &dyn Fn(&mut Tensors)| {
        let copy = Copy::of("llavanext-tiny");
        copy.edit(golden, edit);
        copy.outputs(golden).unwrap_err().to_string()
    };
    let stacked = "golden.safetensors";
    let error = message(stacked, &|tensors| change_index(tensors, "input.image_sizes", 1, 0));
    assert!(error.contains("picture 0 is [9, 0]: nothing is in it"), "{error}");
    let error = message(stacked, &|tensors| drop(tensors.remove("input.image_sizes")));
    assert!(error.contains("`input.image_sizes` is missing"), "{error}");
    let error = message(stacked, &|tensors| drop(tensors.remove("input.pixel_values")));
    assert!(error.contains("there are no `pixel_values`"), "{error}");
    let error = message(stacked, &|tensors| change_index(tensors, "input.input_ids", 2, 1));
    assert!(error.contains("there must be a token for each"), "{error}");
    let few = (Dtype::F32, vec![3, 2, 3, 12, 12], vec![0; 4 * 3 * 2 * 3 * 144]);
    let error = message(stacked, &|tensors| {
        tensors.insert("input.pixel_values".into(), few.clone());
    });
    assert!(error.contains("picture 0 of [9, 35] takes 4 tiles, 2 are given"), "{error}");
    let joined = "golden-2.safetensors";
    let error = message(joined, &|tensors| change_index(tensors, "input.image_sizes", 0, 10));
    assert!(error.contains("tiles"), "{error}");
    let five = (Dtype::F32, vec![5, 3, 12, 12], vec![0; 4 * 5 * 3 * 144]);
    let error = message(joined, &|tensors| {
        tensors.insert("input.pixel_values".into(), five.clone());
    });
    assert!(error.contains("picture 1 of [10, 31] takes"), "{error}");
}

/// Inputs that are made up, and the outputs for them.
fn made_up(family: &Family, checkpoint: &Checkpoint, binding: &Binding) -> (Given, Vec<String>) {
    let given = deterministic(family, binding).unwrap();
    let graph = checkpoint.graph(binding).unwrap();
    let inputs = checkpoint.tensors(&graph, binding, &given).unwrap();
    evaluate(&graph, checkpoint.weights(), &inputs).unwrap();
    (given, graph.outputs().iter().map(|(name, _)| name.clone()).collect())
}

#[test]
fn inputs_that_are_made_up_are_legal() {
    let copy = Copy::of("llavanext-tiny");
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let family = checkpoint.family();
    let text = Binding::batch_sequence(2, 60);
    let stacked = text.clone().with(IMAGES, 2).with(TILES, 5);
    let (given, outputs) = made_up(family, &checkpoint, &stacked);
    assert_eq!(outputs, ["logits"]);
    assert_eq!(given["image_sizes"].indices().unwrap(), [24, 24, 24, 24]);
    let joined = text.with(IMAGES, 2).with(ALL_TILES, 6);
    let (given, _) = made_up(family, &checkpoint, &joined);
    let measured = family.architecture().measure(joined, &given).unwrap();
    // The whole picture, two tiles side by side or one above the other, and newlines.
    let count = measured.get(&FEATURES).unwrap();
    assert!([2 * (9 + 18 + 3), 2 * (9 + 18 + 6)].contains(&count), "{count}");
    let (_, outputs) = made_up(family, &checkpoint, &measured);
    assert_eq!(outputs, ["image_hidden_states", "logits"]);
}

#[test]
fn the_published_size_is_read() {
    published_is_read("llavanext-7b");
}
