//! ViT against its goldens, its configuration, and what it refuses.

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::testing::{Copy, Tensors, every_key_matters, goldens_agree, published_is_read};
use proofmark_kernels::Array;
use safetensors::Dtype;
use serde_json::{Value, json};

fn logits(copy: &Copy) -> Result<Array, Error> {
    Ok(copy.outputs("golden.safetensors")?.remove("logits").unwrap())
}

/// Another value for every key that shapes the result.
fn others() -> Vec<(&'static str, Value)> {
    vec![
        ("architectures", json!(["ViTForMaskedImageModeling"])),
        ("head_dim", json!(7)),
        ("hidden_act", json!("relu")),
        ("hidden_size", json!(40)),
        ("id2label", json!({"0": "a"})),
        ("image_size", json!([31, 30])),
        ("intermediate_size", json!(54)),
        ("layer_norm_eps", json!(0.1)),
        ("model_type", json!("other")),
        ("num_attention_heads", json!(3)),
        ("num_channels", json!(3)),
        ("num_hidden_layers", json!(2)),
        ("patch_size", json!([7, 5])),
        ("pruned_heads", json!({"0": [1]})),
        ("qkv_bias", json!(true)),
        ("quantization_config", json!({})),
    ]
}

#[test]
fn the_graph_agrees_with_pytorch_in_f64() {
    for name in ["vit-tiny", "vit-odd"] {
        goldens_agree(name, 1e-6);
    }
}

#[test]
fn every_key_that_is_read_changes_the_result_or_is_refused() {
    every_key_matters(|| Copy::of("vit-odd"), &others());
}

/// The names of version 5's modules, with the model's own or without.
fn todays_names(tensors: &mut Tensors, base: &str) {
    const PARTS: [(&str, &str); 7] = [
        ("encoder.layer.", "layers."),
        ("attention.attention.query", "attention.q_proj"),
        ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"),
        ("attention.output.dense", "attention.o_proj"),
        ("intermediate.dense", "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
    ];
    for (name, tensor) in std::mem::take(tensors) {
        let name = PARTS.iter().fold(name, |name, (old, new)| name.replace(old, new));
        tensors.insert(name.replace("vit.", base), tensor);
    }
}

#[test]
fn names_of_all_versions_are_read() {
    let base = logits(&Copy::of("vit-odd")).unwrap();
    for prefix in ["vit.", ""] {
        let copy = Copy::of("vit-odd");
        copy.edit("model.safetensors", |tensors| todays_names(tensors, prefix));
        assert_eq!(logits(&copy).unwrap(), base);
    }
    let copy = Copy::of("vit-odd");
    copy.edit("model.safetensors", |tensors| {
        let bare = std::mem::take(tensors).into_iter();
        tensors.extend(bare.map(|(name, tensor)| (name.replace("vit.", ""), tensor)));
    });
    assert_eq!(logits(&copy).unwrap(), base);
}

#[test]
fn labels_that_have_no_names_are_counted() {
    let copy = Copy::of("vit-odd");
    let base = logits(&copy).unwrap();
    copy.configure("id2label", None);
    assert!(logits(&copy).unwrap_err().to_string().contains("classifier.weight"));
    copy.configure("num_labels", Some(json!(11)));
    assert_eq!(logits(&copy).unwrap(), base);
}

/// A tensor of numbers that are all alike.
fn filled(shape: &[usize], value: f32) -> (Dtype, Vec<usize>, Vec<u8>) {
    let bytes = value.to_le_bytes().repeat(shape.iter().product());
    (Dtype::F32, shape.to_vec(), bytes)
}

#[test]
fn a_bare_model_gives_its_states_and_what_its_pooler_makes_of_the_first() {
    let copy = Copy::of("vit-tiny");
    copy.configure("architectures", Some(json!(["ViTModel"])));
    copy.configure("pooler_output_size", Some(json!(3)));
    copy.configure("pooler_act", Some(json!("sigmoid")));
    assert!(!copy.outputs("golden.safetensors").unwrap().contains_key("pooler_output"));
    copy.edit("model.safetensors", |tensors| {
        tensors.insert("vit.pooler.dense.weight".into(), filled(&[3, 32], 0.125));
        tensors.insert("vit.pooler.dense.bias".into(), filled(&[3], 0.5));
    });
    let outputs = copy.outputs("golden.safetensors").unwrap();
    let (states, pooled) = (&outputs["last_hidden_state"], &outputs["pooler_output"]);
    assert_eq!((&*states.shape, &*pooled.shape), (&[2, 10, 32][..], &[2, 3][..]));
    for (tokens, pooled) in states.data.chunks(320).zip(pooled.data.chunks(3)) {
        let sum: f64 = tokens[..32].iter().sum();
        let expected = 1.0 / (1.0 + (-0.5 - 0.125 * sum).exp());
        assert!(pooled.iter().all(|v| (v - expected).abs() < 1e-12));
    }
}

#[test]
fn pictures_and_masks_of_other_sizes_are_refused() {
    let copy = Copy::of("vit-odd");
    copy.edit("golden.safetensors", |tensors| {
        tensors.insert("input.pixel_values".into(), filled(&[1, 2, 31, 24], 0.5));
    });
    let error = logits(&copy).unwrap_err().to_string();
    assert!(error.contains("`pixel_values`") && error.contains("[b, 2, 31, 23]"), "{error}");
    let copy = Copy::of("vit-odd");
    copy.edit("golden.safetensors", |tensors| {
        tensors.insert("input.attention_mask".into(), filled(&[3, 18], 1.0));
    });
    let error = logits(&copy).unwrap_err().to_string();
    assert!(error.contains("18 columns, a picture has 19 tokens"), "{error}");
    copy.configure("patch_size", Some(json!([40, 5])));
    let error = Checkpoint::open(copy.folder()).unwrap_err().to_string();
    assert!(error.contains("larger than a picture of [31, 23]"), "{error}");
}

#[test]
fn the_published_size_is_read() {
    published_is_read("vit-base");
}
