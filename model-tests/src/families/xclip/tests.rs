//! X-CLIP against its goldens, its configuration, and what it refuses.

use crate::checkpoint::Checkpoint;
use crate::families::{FRAMES, IMAGES};
use crate::testing::{Copy, every_key_matters, goldens_agree, published_is_read};
use proofmark_kernels::Binding;
use serde_json::{Value, json};

/// Another value for every key that shapes the result.
fn others() -> Vec<(&'static str, Value)> {
    vec![
        ("architectures", json!(["XCLIPTextModel"])),
        ("model_type", json!("other")),
        ("projection_dim", json!(24)),
        ("prompt_hidden_act", json!("gelu")),
        ("prompt_layers", json!(0)),
        ("prompt_layers", json!(2)),
        ("prompt_num_attention_heads", json!(5)),
        ("prompt_num_attention_heads", json!(3)),
        ("pruned_heads", json!({"0": [1]})),
        ("quantization_config", json!({})),
        ("text_config", json!({})),
        ("text_config.hidden_act", json!("relu")),
        ("text_config.hidden_size", json!(30)),
        ("text_config.intermediate_size", json!(46)),
        ("text_config.is_causal", json!(false)),
        ("text_config.layer_norm_eps", json!(0.1)),
        ("text_config.max_position_embeddings", json!(22)),
        ("text_config.model_type", json!("clip_text_model")),
        ("text_config.num_attention_heads", json!(9)),
        ("text_config.num_hidden_layers", json!(2)),
        ("text_config.pruned_heads", json!({"0": [1]})),
        ("text_config.quantization_config", json!({})),
        ("text_config.vocab_size", json!(104)),
        ("text_config_dict", json!({"hidden_size": 27})),
        ("vision_config", json!({})),
        ("vision_config.hidden_act", json!("relu")),
        ("vision_config.hidden_size", json!(32)),
        ("vision_config.image_size", json!(30)),
        ("vision_config.intermediate_size", json!(44)),
        ("vision_config.layer_norm_eps", json!(0.1)),
        ("vision_config.mit_hidden_size", json!(25)),
        ("vision_config.mit_intermediate_size", json!(34)),
        ("vision_config.mit_num_attention_heads", json!(4)),
        ("vision_config.mit_num_hidden_layers", json!(1)),
        ("vision_config.model_type", json!("clip_vision_model")),
        ("vision_config.num_attention_heads", json!(7)),
        ("vision_config.num_channels", json!(1)),
        ("vision_config.num_frames", json!(4)),
        ("vision_config.num_hidden_layers", json!(2)),
        ("vision_config.patch_size", json!(7)),
        ("vision_config.pruned_heads", json!({"0": [1]})),
        ("vision_config.quantization_config", json!({})),
        ("vision_config.tie_last_hidden_states", json!(true)),
        ("vision_config_dict", json!({"hidden_size": 28})),
    ]
}

#[test]
fn the_graph_agrees_with_pytorch_in_f64() {
    for name in ["xclip-tiny", "xclip-odd"] {
        goldens_agree(name, 1e-6);
    }
}

#[test]
fn every_key_that_is_read_changes_the_result_or_is_refused() {
    every_key_matters(|| Copy::of("xclip-odd"), &others());
}

#[test]
fn texts_end_at_their_largest_id_whatever_the_configuration_says() {
    let copy = Copy::of("xclip-odd");
    let base = copy.outputs("golden.safetensors").unwrap();
    copy.configure("text_config.eos_token_id", Some(json!(5)));
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
}

#[test]
fn videos_of_another_number_of_frames_are_refused() {
    let copy = Copy::of("xclip-odd");
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let binding = Binding::batch_sequence(1, 4).with(IMAGES, 1).with(FRAMES, 10);
    let error = checkpoint.graph(&binding).unwrap_err().to_string();
    assert!(error.contains("have 10 frames, 5 are needed"), "{error}");
}

#[test]
fn the_published_size_is_read() {
    published_is_read("xclip-base");
}
