//! LLaMA and Qwen2 against their goldens, their configurations, and what they refuse.

use crate::catalogue::package_path;
use crate::checkpoint::Checkpoint;
use crate::families::EMBEDDED;
use crate::testing::{Copy, every_key_matters, goldens_agree};
use proofmark_kernels::{Binding, Tensor};
use serde_json::{Value, json};

#[test]
fn the_graphs_agree_with_pytorch_in_f64() {
    for name in ["llama-tiny", "llama-odd", "qwen2-tiny", "qwen2-odd"] {
        goldens_agree(name, 1e-6);
    }
}

/// Another value for every key that both classes read.
fn others() -> Vec<(&'static str, Value)> {
    vec![
        ("architectures", json!(["OtherModel"])),
        ("head_dim", json!(12)),
        ("hidden_act", json!("relu")),
        ("hidden_size", json!(66)),
        ("intermediate_size", json!(78)),
        ("is_causal", json!(false)),
        ("max_position_embeddings", json!(20)),
        ("model_type", json!("other")),
        ("num_attention_heads", json!(12)),
        ("num_hidden_layers", json!(2)),
        ("num_key_value_heads", json!(1)),
        ("num_key_value_heads", json!(4)),
        ("original_max_position_embeddings", json!(16)),
        ("partial_rotary_factor", json!(0.5)),
        ("pruned_heads", json!({"0": [1]})),
        ("quantization_config", json!({})),
        ("rms_norm_eps", json!(0.1)),
        ("rope_parameters", json!({"rope_type": "default"})),
        ("rope_parameters.factor", json!(3)),
        ("rope_parameters.full_attention", json!({"rope_type": "default"})),
        ("rope_parameters.original_max_position_embeddings", json!(16)),
        ("rope_parameters.partial_rotary_factor", json!(0.5)),
        ("rope_parameters.rope_theta", json!(300)),
        ("rope_parameters.rope_type", json!("default")),
        ("rope_parameters.rope_type", json!("su")),
        ("rope_parameters.sliding_attention", json!({"rope_type": "default"})),
        ("rope_parameters.type", json!("default")),
        ("rope_scaling", json!({"type": "linear", "factor": 2})),
        ("rope_theta", json!(300)),
        ("tie_word_embeddings", json!(true)),
        ("tie_word_embeddings", json!(false)),
        ("use_cache", json!(false)),
        ("vocab_size", json!(104)),
    ]
}

/// A model whose positions jump without a mask, with a stretched rotation whose every key counts.
fn stretched(name: &str, golden: &str, rope: Value) -> Copy {
    let copy = Copy::of(name);
    if golden != "golden.safetensors" {
        std::fs::copy(copy.path(golden), copy.path("golden.safetensors")).unwrap();
    }
    copy.edit("golden.safetensors", |tensors| drop(tensors.remove("input.attention_mask")));
    copy.configure("rope_parameters", Some(rope));
    copy.configure("rope_theta", Some(json!(1000)));
    copy
}

fn stretched_llama() -> Copy {
    let rope = json!({"type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4});
    stretched("llama-odd", "golden.safetensors", rope)
}

fn stretched_qwen2() -> Copy {
    let rope = json!({"type": "yarn", "factor": 2.5, "mscale": 0.9, "mscale_all_dim": 0.6});
    let copy = stretched("qwen2-odd", "golden-2.safetensors", rope);
    copy.configure("layer_types", None);
    copy
}

#[test]
fn every_key_that_llama_reads_changes_the_result_or_is_refused() {
    let own = [
        ("attention_bias", json!(false)),
        ("mlp_bias", json!(false)),
        ("rope_parameters.high_freq_factor", json!(2)),
        ("rope_parameters.low_freq_factor", json!(0.2)),
    ];
    let mut changes: Vec<_> = others().into_iter().chain(own).collect();
    // It is tied, as its file has no head: to say so again changes nothing.
    changes.retain(|change| *change != ("tie_word_embeddings", json!(true)));
    every_key_matters(stretched_llama, &changes);
}

#[test]
fn every_key_that_qwen2_reads_changes_the_result_or_is_refused() {
    let own = [
        ("layer_types", json!(["full_attention", "full_attention", "full_attention"])),
        ("layer_types", json!(["full_attention"])),
        ("layer_types", json!(["full_attention", "other", "full_attention"])),
        ("max_window_layers", json!(2)),
        ("rope_parameters.attention_factor", json!(0.7)),
        ("rope_parameters.beta_fast", json!(2)),
        ("rope_parameters.beta_slow", json!(0.2)),
        ("rope_parameters.mscale", json!(0.5)),
        ("rope_parameters.mscale_all_dim", json!(0)),
        ("rope_parameters.truncate", json!(false)),
        ("sliding_window", json!(3)),
        ("use_sliding_window", json!(false)),
    ];
    let mut changes: Vec<_> = others().into_iter().chain(own).collect();
    changes.retain(|(key, _)| *key != "tie_word_embeddings");
    // Its file has a head, which counts whatever is said: so a copy without one is tied.
    changes.push(("tie_word_embeddings", json!(false)));
    let tied = || {
        let copy = stretched_qwen2();
        copy.edit("model.safetensors", |tensors| drop(tensors.remove("lm_head.weight")));
        copy.configure("tie_word_embeddings", Some(json!(true)));
        copy
    };
    every_key_matters(tied, &changes);
}

#[test]
fn configurations_of_version_4_are_the_same_models() {
    for name in ["llama-tiny", "llama-odd", "qwen2-tiny", "qwen2-odd"] {
        let copy = Copy::of(name);
        let base = copy.outputs("golden.safetensors").unwrap();
        let text = std::fs::read_to_string(copy.path("config.json")).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        let mut rope = config["rope_parameters"].clone();
        let theta = rope.as_object_mut().unwrap().remove("rope_theta");
        let scaling = if rope["rope_type"] == "default" { Value::Null } else { rope };
        copy.configure("rope_parameters", None);
        copy.configure("rope_theta", theta);
        copy.configure("rope_scaling", Some(scaling));
        if name.starts_with("qwen2") {
            copy.configure("layer_types", None);
        }
        if name == "llama-tiny" {
            copy.configure("head_dim", None);
        }
        assert_eq!(copy.outputs("golden.safetensors").unwrap(), base, "{name}");
    }
}

#[test]
fn a_head_that_a_file_holds_is_taken_whatever_the_configuration_says() {
    let copy = Copy::of("qwen2-odd");
    let base = copy.outputs("golden.safetensors").unwrap();
    copy.configure("tie_word_embeddings", Some(json!(true)));
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
    copy.edit("model.safetensors", |tensors| drop(tensors.remove("lm_head.weight")));
    assert_ne!(copy.outputs("golden.safetensors").unwrap(), base);
    copy.configure("tie_word_embeddings", Some(json!(false)));
    let error = copy.outputs("golden.safetensors").unwrap_err().to_string();
    assert!(error.contains("find the weight `lm_head.weight`"), "{error}");
}

#[test]
fn a_bare_model_and_its_stored_frequencies_are_read() {
    let copy = Copy::of("llama-odd");
    let base = copy.outputs("golden.safetensors").unwrap();
    copy.edit("model.safetensors", |tensors| {
        let bare = std::mem::take(tensors).into_iter();
        tensors.extend(bare.map(|(name, tensor)| (name.replace("model.", ""), tensor)));
        let some = tensors["norm.weight"].clone();
        tensors.insert("layers.0.self_attn.rotary_emb.inv_freq".into(), some);
    });
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
}

#[test]
fn a_key_that_is_missing_is_the_default_of_its_class_and_null_another() {
    let refused = |copy: &Copy| copy.outputs("golden.safetensors").unwrap_err().to_string();
    let copy = Copy::of("qwen2-odd");
    copy.configure("num_key_value_heads", None);
    assert!(refused(&copy).contains("`num_key_value_heads` is 32: it must divide"));
    copy.configure("num_key_value_heads", Some(Value::Null));
    assert!(refused(&copy).contains("the model's configuration asks for [60, 60]"));
    let copy = Copy::of("qwen2-odd");
    copy.configure("use_sliding_window", Some(json!(false)));
    assert!(refused(&copy).contains("needs `use_sliding_window` to be true"));
    let copy = Copy::of("llama-tiny");
    copy.configure("head_dim", Some(json!(7)));
    assert!(refused(&copy).contains("`head_dim` makes heads of width 7"));
}

#[test]
fn contradictions_are_refused() {
    let copy = Copy::of("llama-tiny");
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let binding = Binding::batch_sequence(1, 2);
    let error = checkpoint.graph(&binding.clone().with(EMBEDDED, 7)).unwrap_err().to_string();
    assert!(error.contains("they are 7 wide, 48 is needed"), "{error}");
    let given = ["input_ids", "inputs_embeds"];
    let given = given.map(|name| (name.to_owned(), Tensor::i32([1], vec![0]))).into();
    let architecture = checkpoint.family().architecture();
    let error = architecture.derive(&binding, &given).unwrap_err().to_string();
    assert!(error.contains("it or `inputs_embeds` must be given: both are"), "{error}");
    copy.edit("golden.safetensors", |tensors| {
        tensors.retain(|name, _| name.starts_with("output."));
    });
    let error = copy.outputs("golden.safetensors").unwrap_err().to_string();
    assert!(error.contains("is missing, as is every input that tells its size"), "{error}");
}

#[test]
fn the_published_sizes_are_read() {
    for (name, parameters) in [("llama-3.2-1b", 1_235_814_400), ("qwen2-0.5b", 494_032_768)] {
        let folder = package_path("published").join(name);
        let checkpoint = Checkpoint::seeded(&folder).unwrap();
        assert_eq!(checkpoint.parameters().unwrap(), parameters, "{name}");
        assert_eq!(checkpoint.note(), None);
    }
}
