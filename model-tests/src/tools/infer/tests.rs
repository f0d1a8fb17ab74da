//! What every kind of family answers on the CPU, with committed checkpoints and preprocessing made here, and what is
//! refused before anything runs.

use super::{Args, answer, whole};
use crate::catalogue::package_path;
use crate::checkpoint::Checkpoint;
use crate::families::{Given, bind, complete};
use crate::testing::Copy;
use clap::Parser;
use proofmark_kernels::{Tensor, evaluate};
use serde_json::{Value, json};

fn picture() -> String {
    package_path("goldens/processors/files/plain.jpg").display().to_string()
}

fn sound() -> String {
    package_path("goldens/processors/files/float.wav").display().to_string()
}

/// A copy with this preprocessing.
fn with(name: &str, preprocessing: Value) -> Copy {
    let copy = Copy::of(name);
    write(&copy, "preprocessor_config.json", preprocessing);
    copy
}

fn write(copy: &Copy, name: &str, value: Value) {
    std::fs::write(copy.path(name), value.to_string()).unwrap();
}

fn args(copy: &Copy, flags: &[&str]) -> Args {
    let folder = copy.folder().to_str().unwrap();
    Args::try_parse_from([&["infer", "--model", folder], flags].concat()).unwrap()
}

fn infer(copy: &Copy, flags: &[&str]) -> Value {
    let args = args(copy, flags);
    let answer = answer(&args).unwrap();
    assert!(!answer.text.is_empty());
    let whole = whole(&args, &answer);
    assert!(whole["mark"].is_string() && whole["adapter"].is_string(), "{whole}");
    whole
}

/// Why it is refused.
fn refusal(copy: &Copy, flags: &[&str]) -> String {
    answer(&args(copy, flags)).unwrap_err().to_string()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn exact(edge: usize) -> Value {
    json!({"height": edge, "width": edge})
}

/// The likeliest token behind these, by the whole text at once in f64.
fn likeliest(copy: &Copy, name: &str, tokens: &[i32], other: &Given) -> i32 {
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let arguments = checkpoint.family().architecture().arguments();
    let mut given = other.clone();
    given.insert(name.into(), Tensor::i32([1, tokens.len()], tokens.to_vec()));
    let binding = bind(&arguments, |name| given.get(name).map(Tensor::shape)).unwrap();
    let given = complete(&arguments, &binding, given).unwrap();
    let graph = checkpoint.graph(&binding).unwrap();
    let inputs = checkpoint.tensors(&graph, &binding, &given).unwrap();
    let at = graph.outputs().iter().position(|(name, _)| name == "logits").unwrap();
    let logits = &evaluate(&graph, checkpoint.weights(), &inputs).unwrap()[at];
    let width = *logits.shape.last().unwrap();
    let last = logits.data[logits.data.len() - width..].iter().enumerate();
    i32::try_from(last.max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0).unwrap()
}

/// Checks that each token of the first answer is the likeliest behind those before it.
fn check_greedy(copy: &Copy, found: &Value, name: &str, start: &[i32], other: &Given) {
    let mut tokens = start.to_vec();
    let ids = found["answers"][0]["ids"].as_array().unwrap();
    assert!(!ids.is_empty());
    for id in ids {
        assert_eq!(id.as_i64().unwrap(), i64::from(likeliest(copy, name, &tokens, other)));
        tokens.push(i32::try_from(id.as_i64().unwrap()).unwrap());
    }
    assert!(found["answers"][0]["first_token_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn decoders_go_on_with_the_likeliest_tokens() {
    for name in ["llama-tiny", "qwen2-tiny"] {
        let copy = Copy::of(name);
        let found = infer(&copy, &["--ids", "3,1,4,15", "--max-tokens", "4"]);
        check_greedy(&copy, &found, "input_ids", &[3, 1, 4, 15], &Given::new());
        assert_eq!(found["answers"][0]["text"], Value::Null);
    }
    let copy = Copy::of("t5-tiny");
    let found = infer(&copy, &["--ids", "3,4,15,1", "--max-tokens", "4"]);
    let source = Tensor::i32([1, 4], vec![3, 4, 15, 1]);
    let source = Given::from([("input_ids".to_owned(), source)]);
    check_greedy(&copy, &found, "decoder_input_ids", &[0], &source);
}

#[test]
fn a_text_with_a_picture_goes_on() {
    let preprocessing = json!({
        "image_processor_type": "CLIPImageProcessor", "size": exact(12), "do_center_crop": false,
    });
    let copy = with("llava-tiny", preprocessing);
    let (one, many) = ("1,98,5", "1,98,98,98,98,98,98,98,98,98,5");
    let ids = |ids: &str| {
        let flags = ["--ids", ids, "--image", &picture(), "--max-tokens", "3"];
        infer(&copy, &flags)["answers"][0].clone()
    };
    assert_eq!(ids(one)["ids"], ids(many)["ids"]);
    assert_eq!(ids(one)["prompt_ids"].as_array().unwrap().len(), 11);
    assert!(refusal(&copy, &["--ids", "1,98,5"]).contains("there is no picture"));
    let message = refusal(&copy, &["--ids", "1,5", "--image", &picture()]);
    assert!(message.contains("0 image tokens") && message.contains("9 features"), "{message}");
}

#[test]
fn a_picture_has_labels_and_boxes_in_its_own_pixels() {
    let copy =
        with("vit-tiny", json!({"image_processor_type": "ViTImageProcessor", "size": exact(24)}));
    let found = infer(&copy, &["--image", &picture()]);
    let labels = found["images"][0]["labels"].as_array().unwrap();
    let sum: f64 = labels.iter().map(|l| l["probability"].as_f64().unwrap()).sum();
    assert!(labels.len() == 5 && (sum - 1.0).abs() < 1e-9, "{found}");
    assert!(labels[0]["label"].as_str().unwrap().starts_with("LABEL_"));
    let copy = with(
        "detr-tiny",
        json!({
            "image_processor_type": "DetrImageProcessor",
            "size": {"shortest_edge": 64, "longest_edge": 96},
        }),
    );
    let found = infer(&copy, &["--image", &picture(), "--threshold", "0"]);
    let image = &found["images"][0];
    let objects = image["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 7, "every query has a score above 0");
    let (high, wide) = (image["height"].as_f64().unwrap(), image["width"].as_f64().unwrap());
    for object in objects {
        let edges = floats(&object["box"]);
        let centre = [(edges[0] + edges[2]) / 2.0, (edges[1] + edges[3]) / 2.0];
        assert!((0.0..=wide).contains(&centre[0]) && (0.0..=high).contains(&centre[1]));
    }
}

#[test]
fn texts_are_weighed_for_pictures_videos_and_sounds() {
    let pictures = |edge: usize| {
        json!({
            "image_processor_type": "CLIPImageProcessor", "size": exact(edge), "do_center_crop": false,
        })
    };
    let check = |found: &Value, kind: &str| {
        let rows = found[kind].as_array().unwrap();
        assert_eq!(rows.len(), 1);
        let (scores, parts) = (floats(&rows[0]["scores"]), floats(&rows[0]["probabilities"]));
        assert!(scores.len() == 2 && (parts.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(scores[0] > scores[1], parts[0] > parts[1]);
    };
    let texts = ["--ids", "0,7,2", "--ids", "0,8,9,2"];
    let picture = picture();
    let image = ["--image", picture.as_str()];
    let copy = with("clip-tiny", pictures(30));
    let found = infer(&copy, &[texts.as_slice(), &image].concat());
    check(&found, "images");
    // A text has the same score alone: its padding is not seen.
    let alone = infer(&copy, &[&texts[..2], &image].concat());
    let (one, both) = (&alone["images"][0]["scores"], &found["images"][0]["scores"]);
    assert!((floats(one)[0] - floats(both)[0]).abs() < 1e-4);
    let copy = with("xclip-tiny", pictures(16));
    check(&infer(&copy, &[texts.as_slice(), &image, &image, &image].concat()), "videos");
}

#[test]
fn a_sound_becomes_a_text() {
    let copy = with(
        "wav2vec2-tiny",
        json!({"feature_extractor_type": "Wav2Vec2FeatureExtractor", "return_attention_mask": true}),
    );
    let audio = ["--audio", &sound()];
    assert!(refusal(&copy, &audio).contains("vocab.json"));
    let letters: Vec<_> = (0..32).map(|i| (char::from(b'A' + i).to_string(), json!(i))).collect();
    write(&copy, "vocab.json", Value::Object(letters.into_iter().collect()));
    let found = infer(&copy, &audio);
    let ids = found["sounds"][0]["ids"].as_array().unwrap();
    let spell = |id: &Value| char::from(b'A' + u8::try_from(id.as_u64().unwrap()).unwrap());
    let spelt: String = ids.iter().map(spell).collect();
    assert_eq!(found["sounds"][0]["text"], spelt);
    assert!(ids.iter().all(|id| *id != 0), "blanks are left out");
}

#[test]
fn a_sound_is_written_down_token_by_token() {
    let preprocessing = json!({
        "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 16,
        "hop_length": 250, "chunk_length": 1,
    });
    let copy = with("whisper-tiny", preprocessing);
    write(&copy, "generation_config.json", json!({"forced_decoder_ids": [[1, 7], [2, null]]}));
    let found = infer(&copy, &["--audio", &sound(), "--max-tokens", "5"]);
    let start: Vec<_> = floats(&found["answers"][0]["prompt_ids"]);
    assert!(start.len() == 3 && start[..2] == [3.0, 7.0], "{start:?}");
    let processor = crate::processors::Processor::open(copy.folder()).unwrap();
    let other = processor.audio(&[sound().into()]).unwrap().tensors;
    let chosen = likeliest(&copy, "decoder_input_ids", &[3, 7], &other);
    assert_eq!(start[2], f64::from(chosen));
    check_greedy(&copy, &found, "decoder_input_ids", &[3, 7, chosen], &other);
    let message = refusal(&copy, &["--audio", &sound(), "--max-tokens", "22"]);
    assert!(message.contains("behind the 3 tokens") && message.contains("for 21"), "{message}");
}

#[test]
fn a_picture_in_tiles_goes_on_and_a_sound_is_weighed() {
    let preprocessing = json!({
        "image_processor_type": "LlavaNextImageProcessor", "size": {"shortest_edge": 12},
        "crop_size": exact(12), "image_grid_pinpoints": [[12, 24], [24, 12], [24, 24], [36, 12], [12, 36]],
    });
    let copy = with("llavanext-tiny", preprocessing);
    let found = infer(&copy, &["--ids", "1,98,5", "--image", &picture(), "--max-tokens", "2"]);
    let processor = crate::processors::Processor::open(copy.folder()).unwrap();
    let other = processor.images(&[picture().into()]).unwrap().tensors;
    let start = floats(&found["answers"][0]["prompt_ids"]);
    #[expect(clippy::cast_possible_truncation, reason = "tokens are small")]
    let start: Vec<_> = start.iter().map(|&id| id as i32).collect();
    check_greedy(&copy, &found, "input_ids", &start, &other);
    let preprocessing = json!({
        "feature_extractor_type": "ClapFeatureExtractor", "feature_size": 8, "max_length_s": 1,
        "truncation": "rand_trunc",
    });
    let copy = with("clap-tiny", preprocessing);
    let found = infer(&copy, &["--audio", &sound(), "--ids", "0,7,2", "--ids", "0,8,9,2"]);
    assert_eq!(floats(&found["sounds"][0]["scores"]).len(), 2);
}

#[test]
fn texts_become_tokens_by_the_tokenizer_and_tokens_texts() {
    let bert = Copy::of("bert-tiny");
    let found = infer(&bert, &["--text", "a", "--text", "a"]);
    let keys: Vec<_> = found.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["adapter", "endpoint", "mark", "model", "precision", "similarities", "texts"];
    assert!(expected.iter().all(|key| keys.contains(key)) && keys.len() == 7, "{keys:?}");
    assert!((found["similarities"][0][1].as_f64().unwrap() - 1.0).abs() < 1e-6);
    assert!(refusal(&bert, &["--ids", "1"]).contains("bert does not take it"));
    let llama = Copy::of("llama-tiny");
    std::fs::copy(bert.path("tokenizer.json"), llama.path("tokenizer.json")).unwrap();
    let found = infer(&llama, &["--text", "a", "--max-tokens", "3"]);
    assert_eq!(found["answers"][0]["prompt_ids"], found_ids(&bert));
    assert!(found["answers"][0]["text"].is_string());
}

/// The tokens of `a` by a BERT.
fn found_ids(bert: &Copy) -> Value {
    infer(bert, &["--text", "a"])["texts"][0]["ids"].clone()
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let copy = Copy::of("llama-tiny");
    assert!(refusal(&copy, &[]).contains("llama needs a text"));
    assert!(refusal(&copy, &["--text", "a"]).contains("tokenizer.json"));
    assert!(refusal(&copy, &["--ids", "1", "--image", "a.png"]).contains("does not take it"));
    assert!(refusal(&copy, &["--ids", "1,99999"]).contains("99999"));
    assert!(refusal(&copy, &["--ids", "1", "--max-tokens", "0"]).contains("at least one"));
    let long = vec!["1"; 5000].join(",");
    assert!(refusal(&copy, &["--ids", &long]).contains("none is left"));
    let copy = Copy::of("vit-tiny");
    assert!(refusal(&copy, &[]).contains("vit needs a picture"));
    assert!(refusal(&copy, &["--image", &picture()]).contains("preprocessor_config.json"));
    assert!(refusal(&copy, &["--text", "a"]).contains("vit does not take it"));
    let copy = Copy::of("whisper-tiny");
    assert!(refusal(&copy, &[]).contains("whisper needs a sound"));
    let missing = copy.path("none.wav").display().to_string();
    assert!(refusal(&copy, &["--audio", &missing]).contains("preprocessor_config.json"));
    assert!(Args::try_parse_from(["infer", "--model", "m", "--ids", "1,x"]).is_err());
}
