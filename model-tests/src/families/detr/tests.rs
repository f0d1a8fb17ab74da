//! DETR against its goldens, its configuration, and what it refuses.

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::golden::Golden;
use crate::testing::{Copy, Tensors, every_key_matters, goldens_agree, published_is_read};
use proofmark_kernels::{Array, Binding};
use serde_json::{Value, json};

fn logits(copy: &Copy) -> Result<Array, Error> {
    Ok(copy.outputs("golden.safetensors")?.remove("logits").unwrap())
}

/// Another value for every key that shapes the result.
fn others() -> Vec<(&'static str, Value)> {
    vec![
        ("activation_function", json!("relu")),
        ("architectures", json!(["DetrForSegmentation"])),
        ("auxiliary_loss", json!(true)),
        ("backbone", json!("resnet50")),
        ("backbone_config", json!({"model_type": "swin"})),
        ("backbone_config.depths", json!([1, 1, 1, 2])),
        ("backbone_config.downsample_in_bottleneck", json!(false)),
        ("backbone_config.downsample_in_first_stage", json!(false)),
        ("backbone_config.embedding_size", json!(7)),
        ("backbone_config.hidden_act", json!("relu")),
        ("backbone_config.hidden_sizes", json!([12, 20, 28, 40])),
        ("backbone_config.layer_type", json!("basic")),
        ("backbone_config.model_type", json!("resnext")),
        ("backbone_config.num_channels", json!(3)),
        ("backbone_config.out_features", json!(["stage3"])),
        ("backbone_kwargs", json!({"output_stride": 16})),
        ("d_model", json!(40)),
        ("decoder_attention_heads", json!(6)),
        ("decoder_ffn_dim", json!(38)),
        ("decoder_layers", json!(2)),
        ("dilation", json!(true)),
        ("encoder_attention_heads", json!(4)),
        ("encoder_ffn_dim", json!(42)),
        ("encoder_layers", json!(2)),
        ("id2label", json!({"0": "a"})),
        ("model_type", json!("other")),
        ("num_queries", json!(8)),
        ("position_embedding_type", json!("sine")),
        ("quantization_config", json!({})),
    ]
}

#[test]
fn the_graph_agrees_with_pytorch_in_f64() {
    for name in ["detr-tiny", "detr-odd"] {
        goldens_agree(name, 1e-6);
    }
}

#[test]
fn every_key_that_is_read_changes_the_result_or_is_refused() {
    every_key_matters(|| Copy::of("detr-odd"), &others());
}

/// The names of version 5's modules.
fn todays_names(tensors: &mut Tensors) {
    const PARTS: [(&str, &str); 4] = [
        ("backbone.conv_encoder.", "backbone."),
        ("out_proj", "o_proj"),
        (".fc1", ".mlp.fc1"),
        (".fc2", ".mlp.fc2"),
    ];
    for (name, tensor) in std::mem::take(tensors) {
        let name = PARTS.iter().fold(name, |name, (old, new)| name.replace(old, new));
        tensors.insert(name, tensor);
    }
}

#[test]
fn names_of_all_versions_are_read() {
    let base = logits(&Copy::of("detr-odd")).unwrap();
    let copy = Copy::of("detr-odd");
    copy.edit("model.safetensors", todays_names);
    assert_eq!(logits(&copy).unwrap(), base);
}

#[test]
fn pixels_that_are_hidden_and_queries_count() {
    let base = logits(&Copy::of("detr-tiny")).unwrap();
    let copy = Copy::of("detr-tiny");
    copy.edit("golden.safetensors", |tensors| drop(tensors.remove("input.pixel_mask")));
    assert_ne!(logits(&copy).unwrap(), base);
}

#[test]
fn pictures_that_it_cannot_take_are_refused() {
    let checkpoint = Checkpoint::open(Copy::of("detr-odd").folder()).unwrap();
    let refused = |shape: &str| {
        let binding: Binding = shape.parse().unwrap();
        checkpoint.graph(&binding).unwrap_err().to_string()
    };
    let message = refused("b1-h9999-w64");
    assert!(message.contains("positions for at most 50 rows and columns"), "{message}");
    let message = refused("b1-h64-w64-q3");
    assert!(message.contains("it has 3 queries, the model has 9"), "{message}");
    let copy = Copy::of("detr-odd");
    copy.edit("golden.safetensors", |tensors| drop(tensors.remove("input.pixel_values")));
    let golden = Golden::open(&copy.path("golden.safetensors")).unwrap();
    let message = golden.inputs(checkpoint.family()).unwrap_err().to_string();
    assert!(message.contains("`input.pixel_values` is missing"), "{message}");
}

#[test]
fn the_published_sizes_are_read_with_the_names_of_timm() {
    published_is_read("detr-resnet-50");
}
