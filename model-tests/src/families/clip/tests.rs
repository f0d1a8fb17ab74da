//! CLIP against its goldens, its configuration, and what it refuses.

use crate::testing::{
    Copy, Tensors, change_index, difference, every_key_matters, goldens_agree, published_is_read,
};
use safetensors::Dtype;
use serde_json::{Value, json};

/// Another value for every key that shapes the result.
fn others() -> Vec<(&'static str, Value)> {
    vec![
        ("architectures", json!(["CLIPForImageClassification"])),
        ("model_type", json!("other")),
        ("projection_dim", json!(20)),
        ("pruned_heads", json!({"0": [1]})),
        ("quantization_config", json!({})),
        ("text_config", json!({})),
        ("text_config.eos_token_id", json!(9)),
        ("text_config.eos_token_id", json!(2)),
        ("text_config.eos_token_id", json!([7])),
        ("text_config.hidden_act", json!("relu")),
        ("text_config.hidden_size", json!(30)),
        ("text_config.intermediate_size", json!(48)),
        ("text_config.is_causal", json!(false)),
        ("text_config.layer_norm_eps", json!(0.1)),
        ("text_config.max_position_embeddings", json!(22)),
        ("text_config.model_type", json!("siglip_text_model")),
        ("text_config.num_attention_heads", json!(9)),
        ("text_config.num_attention_heads", json!(4)),
        ("text_config.num_hidden_layers", json!(2)),
        ("text_config.pruned_heads", json!({"0": [1]})),
        ("text_config.quantization_config", json!({})),
        ("text_config.vocab_size", json!(102)),
        ("text_config_dict", json!({"hidden_size": 27})),
        ("vision_config", json!({})),
        ("vision_config.hidden_act", json!("relu")),
        ("vision_config.hidden_size", json!(28)),
        ("vision_config.image_size", json!(36)),
        ("vision_config.image_size", json!([29, 29])),
        ("vision_config.intermediate_size", json!(62)),
        ("vision_config.layer_norm_eps", json!(0.1)),
        ("vision_config.model_type", json!("siglip_vision_model")),
        ("vision_config.num_attention_heads", json!(13)),
        ("vision_config.num_channels", json!(3)),
        ("vision_config.num_hidden_layers", json!(2)),
        ("vision_config.patch_size", json!(6)),
        ("vision_config.pruned_heads", json!({"0": [1]})),
        ("vision_config.quantization_config", json!({})),
        ("vision_config.tie_last_hidden_states", json!(true)),
        ("vision_config_dict", json!({"hidden_size": 26})),
    ]
}

#[test]
fn the_graph_agrees_with_pytorch_in_f64() {
    for name in ["clip-tiny", "clip-odd"] {
        goldens_agree(name, 1e-6);
    }
}

#[test]
fn every_key_that_is_read_changes_the_result_or_is_refused() {
    every_key_matters(|| Copy::of("clip-odd"), &others());
}

#[test]
fn sections_of_the_first_configurations_take_the_place_of_todays() {
    let copy = Copy::of("clip-odd");
    let base = copy.outputs("golden.safetensors").unwrap();
    let config = std::fs::read_to_string(copy.path("config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    for section in ["text_config", "vision_config"] {
        copy.configure(&format!("{section}_dict"), Some(config[section].clone()));
        copy.configure(section, Some(json!({"hidden_size": 1})));
    }
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
}

#[test]
fn a_text_ends_at_its_first_end() {
    // The first text has its ends at 5 and at 9; what is behind the first does not count.
    let pooled = |changes: &[(usize, i64)]| {
        let copy = Copy::of("clip-odd");
        copy.edit("golden.safetensors", |tensors| {
            changes.iter().for_each(|&(i, id)| change_index(tensors, "input.input_ids", i, id));
        });
        copy.outputs("golden.safetensors").unwrap().remove("text_embeds").unwrap()
    };
    let base = pooled(&[]);
    assert_eq!(pooled(&[(6, 50), (9, 51)]), base);
    let earlier = pooled(&[(3, 7)]);
    assert!(difference(&base, &earlier) > 1e-3);
    assert_eq!(pooled(&[(3, 7), (4, 50)]), earlier);
}

#[test]
fn bad_inputs_are_refused() {
    let message = |edit: &dyn Fn(&mut Tensors)| {
        let copy = Copy::of("clip-odd");
        copy.edit("golden.safetensors", edit);
        copy.outputs("golden.safetensors").unwrap_err().to_string()
    };
    let error = message(&|tensors| change_index(tensors, "input.input_ids", 3, 101));
    assert!(error.contains("element 3 is 101: whole numbers in 0..101"), "{error}");
    let error = message(&|tensors| drop(tensors.remove("input.pixel_values")));
    assert!(error.contains("`input.pixel_values`"), "{error}");
    let long = |tensors: &mut Tensors| {
        tensors.remove("input.attention_mask");
        let ids = (Dtype::I64, vec![1, 22], vec![0; 8 * 22]);
        tensors.insert("input.input_ids".into(), ids);
    };
    let error = message(&long);
    assert!(error.contains("is 22, the checkpoint has positions for at most 21"), "{error}");
}

#[test]
fn the_published_size_is_read() {
    published_is_read("clip-vit-b32");
}
