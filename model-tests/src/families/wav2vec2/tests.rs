//! Wav2Vec2 against its goldens, its configuration, and what it refuses.

use crate::catalogue::package_path;
use crate::checkpoint::Checkpoint;
use crate::testing::{Copy, Tensors, every_key_matters, goldens_agree};
use proofmark_kernels::{BATCH, Binding, SEQUENCE, Tensor};
use safetensors::Dtype;
use serde_json::{Value, json};

/// Another value for every key that shapes the result.
fn others() -> Vec<(&'static str, Value)> {
    vec![
        ("adapter_attn_dim", json!(4)),
        ("add_adapter", json!(true)),
        ("architectures", json!(["Wav2Vec2ForPreTraining"])),
        ("conv_bias", json!(false)),
        ("conv_dim", json!([9, 14, 11, 12])),
        ("conv_dim", json!([9, 14, 11])),
        ("conv_kernel", json!([7, 4, 3, 3])),
        ("conv_stride", json!([4, 3, 1, 1])),
        ("do_stable_layer_norm", json!(false)),
        ("feat_extract_activation", json!("relu")),
        ("feat_extract_norm", json!("group")),
        ("hidden_act", json!("relu")),
        ("hidden_size", json!(45)),
        ("intermediate_size", json!(52)),
        ("layer_norm_eps", json!(0.1)),
        ("model_type", json!("other")),
        ("num_attention_heads", json!(5)),
        ("num_attention_heads", json!(7)),
        ("num_conv_pos_embedding_groups", json!(3)),
        ("num_conv_pos_embedding_groups", json!(7)),
        ("num_conv_pos_embeddings", json!(8)),
        ("num_hidden_layers", json!(2)),
        ("pruned_heads", json!({"0": [1]})),
        ("quantization_config", json!({})),
        ("vocab_size", json!(36)),
    ]
}

/// Adds f32 weights that are not all alike.
fn add(tensors: &mut Tensors, name: &str, shape: &[usize]) {
    let count = shape.iter().product::<usize>();
    let values = (0u16..).take(count).map(|i| f32::from(i * 37 % 64) / 64.0 - 0.5);
    let bytes = values.flat_map(f32::to_le_bytes).collect();
    tensors.insert(name.into(), (Dtype::F32, shape.to_vec(), bytes));
}

/// A model with the convolutions behind the encoder.
fn adapted() -> Copy {
    let copy = Copy::of("wav2vec2-odd");
    copy.configure("add_adapter", Some(json!(true)));
    copy.configure("num_adapter_layers", Some(json!(1)));
    copy.configure("output_hidden_size", Some(json!(6)));
    copy.edit("model.safetensors", |tensors| {
        let adapter = "wav2vec2.adapter";
        add(tensors, &format!("{adapter}.proj.weight"), &[6, 30]);
        add(tensors, &format!("{adapter}.layers.0.conv.weight"), &[12, 6, 3]);
        add(tensors, &format!("{adapter}.layers.0.conv.bias"), &[12]);
        for name in ["proj.bias", "proj_layer_norm.weight", "proj_layer_norm.bias"] {
            add(tensors, &format!("{adapter}.{name}"), &[6]);
        }
        add(tensors, "lm_head.weight", &[37, 6]);
    });
    copy
}

#[test]
fn the_graph_agrees_with_pytorch_in_f64() {
    for name in ["wav2vec2-tiny", "wav2vec2-odd"] {
        goldens_agree(name, 1e-6);
    }
}

#[test]
fn every_key_that_is_read_changes_the_result_or_is_refused() {
    every_key_matters(|| Copy::of("wav2vec2-odd"), &others());
    let mut adapter = others();
    adapter
        .iter_mut()
        .filter(|(key, _)| *key == "add_adapter")
        .for_each(|(_, v)| *v = json!(false));
    adapter.extend([
        ("adapter_kernel_size", json!(2)),
        ("adapter_stride", json!(1)),
        ("num_adapter_layers", json!(0)),
        ("output_hidden_size", json!(0)),
    ]);
    every_key_matters(adapted, &adapter);
}

#[test]
fn both_names_of_a_weight_norm_are_read() {
    let copy = Copy::of("wav2vec2-tiny");
    let base = copy.outputs("golden.safetensors").unwrap();
    copy.edit("model.safetensors", |tensors| {
        for (today, old) in [("original0", "weight_g"), ("original1", "weight_v")] {
            let conv = "wav2vec2.encoder.pos_conv_embed.conv";
            let today = format!("{conv}.parametrizations.weight.{today}");
            let tensor = tensors.remove(&today).unwrap();
            tensors.insert(format!("{conv}.{old}"), tensor);
        }
    });
    assert_eq!(copy.outputs("golden.safetensors").unwrap(), base);
}

#[test]
fn too_few_samples_are_refused_and_hidden_rows_are_counted_as_python_does() {
    let copy = Copy::of("wav2vec2-odd");
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let binding = |samples| Binding::default().with(BATCH, 1).with(SEQUENCE, samples);
    let needed = (1..).find(|&samples| checkpoint.graph(&binding(samples)).is_ok()).unwrap();
    let error = checkpoint.graph(&binding(needed - 1)).unwrap_err().to_string();
    assert!(error.contains(&format!("the checkpoint needs {needed}")), "{error}");
    let architecture = checkpoint.family().architecture();
    let masks = |shown: usize| {
        let mask = (0..400).map(|i| i32::from(i < shown)).collect();
        let given = [("attention_mask".to_owned(), Tensor::i32([1, 400], mask))].into();
        architecture.derive(&binding(400), &given)
    };
    let seen = |shown: usize| {
        let mask = masks(shown).unwrap().remove("frame_mask").unwrap();
        let mask = mask.indices().unwrap();
        (mask.iter().filter(|&&seen| seen == 1).count(), mask.len())
    };
    assert_eq!(seen(needed).0, 1);
    // No frame at all is frame -1, which counts from the end.
    assert_eq!(seen(needed - 1).0, seen(needed - 1).1);
    assert_eq!(seen(400).0, seen(400).1);
}

#[test]
fn the_published_sizes_are_read() {
    let checkpoint = Checkpoint::seeded(&package_path("published/wav2vec2-base")).unwrap();
    checkpoint.graph(&checkpoint.family().architecture().example()).unwrap();
    assert_eq!(checkpoint.note(), None);
}
