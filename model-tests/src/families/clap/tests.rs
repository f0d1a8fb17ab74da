//! CLAP against its goldens, its configuration, and what it refuses.

use crate::catalogue::package_path;
use crate::checkpoint::Checkpoint;
use crate::families::{FRAMES, IMAGES};
use crate::testing::{Copy, every_key_matters, goldens_agree};
use proofmark_kernels::{Binding, Tensor};
use serde_json::{Value, json};

/// Another value for every key that shapes the result.
fn others() -> Vec<(&'static str, Value)> {
    let mut others = vec![
        ("architectures", json!(["ClapTextModelWithProjection"])),
        ("audio_config", json!({})),
        ("model_type", json!("other")),
        ("projection_dim", json!(18)),
        ("projection_hidden_act", json!("relu")),
        ("pruned_heads", json!({"0": [1]})),
        ("quantization_config", json!({})),
        ("text_config", json!({})),
        ("text_config.hidden_act", json!("relu")),
        ("text_config.hidden_size", json!(35)),
        ("text_config.intermediate_size", json!(46)),
        ("text_config.layer_norm_eps", json!(0.1)),
        ("text_config.max_position_embeddings", json!(30)),
        ("text_config.max_position_embeddings", json!(2)),
        ("text_config.model_type", json!("roberta")),
        ("text_config.num_attention_heads", json!(3)),
        ("text_config.num_attention_heads", json!(4)),
        ("text_config.num_hidden_layers", json!(2)),
        ("text_config.pad_token_id", json!(3)),
        ("text_config.position_embedding_type", json!("relative_key")),
        ("text_config.pruned_heads", json!({"0": [1]})),
        ("text_config.quantization_config", json!({})),
        ("text_config.type_vocab_size", json!(2)),
        ("text_config.vocab_size", json!(104)),
    ];
    others.extend(other_audio());
    others
}

/// The same for the audio tower.
fn other_audio() -> Vec<(&'static str, Value)> {
    vec![
        ("audio_config.aff_block_r", json!(3)),
        ("audio_config.aff_block_r", json!(13)),
        ("audio_config.depths", json!([1, 1, 3])),
        ("audio_config.depths", json!([2, 1, 3, 1])),
        ("audio_config.enable_fusion", json!(false)),
        ("audio_config.enable_patch_layer_norm", json!(true)),
        ("audio_config.flatten_patch_embeds", json!(false)),
        ("audio_config.fusion_type", json!("channel_map")),
        ("audio_config.hidden_act", json!("relu")),
        ("audio_config.hidden_size", json!(47)),
        ("audio_config.layer_norm_eps", json!(0.1)),
        ("audio_config.mlp_ratio", json!(2.5)),
        ("audio_config.mlp_ratio", json!(0)),
        ("audio_config.model_type", json!("other")),
        ("audio_config.num_attention_heads", json!([2, 3])),
        ("audio_config.num_attention_heads", json!([2, 3, 5])),
        ("audio_config.num_mel_bins", json!(8)),
        ("audio_config.num_mel_bins", json!(41)),
        ("audio_config.patch_embed_input_channels", json!(2)),
        ("audio_config.patch_embeds_hidden_size", json!(24)),
        ("audio_config.patch_size", json!([4, 4])),
        ("audio_config.patch_size", json!([5, 4])),
        ("audio_config.patch_stride", json!(4)),
        ("audio_config.patch_stride", json!([2, 2, 2])),
        ("audio_config.pruned_heads", json!({"0": [1]})),
        ("audio_config.qkv_bias", json!(true)),
        ("audio_config.quantization_config", json!({})),
        ("audio_config.spec_size", json!(80)),
        ("audio_config.window_size", json!(4)),
        ("audio_config.window_size", json!(6)),
    ]
}

#[test]
fn the_graph_agrees_with_pytorch_in_f64() {
    for name in ["clap-tiny", "clap-odd"] {
        goldens_agree(name, 1e-6);
    }
}

#[test]
fn every_key_that_is_read_changes_the_result_or_is_refused() {
    every_key_matters(|| Copy::of("clap-odd"), &others());
}

#[test]
fn what_is_not_fused_does_not_read_the_keys_of_the_fusion() {
    let copy = Copy::of("clap-tiny");
    let base = copy.outputs("golden.safetensors").unwrap();
    copy.configure("audio_config.fusion_type", Some(json!("channel_map")));
    copy.configure("audio_config.aff_block_r", Some(json!(1000)));
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
}

#[test]
fn long_sounds_and_long_texts_are_refused() {
    let copy = Copy::of("clap-odd");
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let architecture = checkpoint.family().architecture();
    let binding =
        |tokens, frames| Binding::batch_sequence(1, tokens).with(IMAGES, 1).with(FRAMES, frames);
    let error = checkpoint.graph(&binding(3, 161)).unwrap_err().to_string();
    assert!(error.contains("it has 161 frames, the checkpoint takes at most 160"), "{error}");
    let derive = |tokens: usize, padding: usize| {
        let ids = (0..tokens).map(|i| if i < padding { 1 } else { 5 }).collect();
        let given = [
            ("input_ids".to_owned(), Tensor::i32([1, tokens], ids)),
            ("is_longer".to_owned(), Tensor::i32([1, 1], vec![0])),
        ];
        architecture.derive(&binding(tokens, 160), &given.into())
    };
    let error = derive(28, 0).unwrap_err().to_string();
    assert!(error.contains("it has 28 tokens") && error.contains("at most 27"), "{error}");
    // Padding takes no position of its own.
    let derived = derive(30, 3).unwrap();
    let positions = derived["position_ids"].indices().unwrap();
    assert_eq!((&positions[..5], positions[29]), (&[1, 1, 1, 2, 3][..], 28));
    assert_eq!(derived["fused_rows"].indices(), Some(&[1][..]));
}

#[test]
fn the_published_size_is_read() {
    let checkpoint = Checkpoint::seeded(&package_path("published/clap-htsat-unfused")).unwrap();
    checkpoint.graph(&checkpoint.family().architecture().example()).unwrap();
    assert_eq!(checkpoint.note(), None);
}
