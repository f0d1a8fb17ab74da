//! Whole folders against transformers. What is refused is in `refusals`.

use super::testing::{Golden, errors, path};
use super::*;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with this preprocessing.
fn folder(config: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("preprocessor_config.json"), config.to_string()).unwrap();
    folder
}

pub(super) fn open(config: &Value) -> Result<Processor, Error> {
    Processor::open(folder(config).path())
}

struct Case {
    name: String,
    config: Value,
    files: Vec<PathBuf>,
    kept: Value,
}

impl Case {
    fn all() -> Vec<Self> {
        let text = std::fs::read_to_string(path("cases.json")).unwrap();
        let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
        let case = |case: &Value| Self {
            name: case["name"].as_str().unwrap().into(),
            config: case["config"].clone(),
            files: case["files"]
                .as_array()
                .unwrap()
                .iter()
                .map(|f| file(f.as_str().unwrap()))
                .collect(),
            kept: case["kept"].clone(),
        };
        cases.iter().map(case).collect()
    }

    fn named(name: &str) -> Self {
        Self::all().into_iter().find(|case| case.name == name).unwrap()
    }

    fn run(&self, config: &Value) -> Result<Inputs, Error> {
        let processor = open(config)?;
        assert!(processor.unknown_keys().is_empty(), "{:?}", processor.unknown_keys());
        if processor.takes_pictures() {
            processor.images(&self.files)
        } else {
            processor.audio(&self.files)
        }
    }

    fn errors(&self, prefix: &str) -> Vec<(String, f32)> {
        let golden = Golden::open(&format!("cases/{}", self.name));
        let steps = |name: &str| {
            let steps = self.kept[name].as_array().map_or(&[] as &[Value], Vec::as_slice);
            steps.iter().map(|step| usize::try_from(step.as_u64().unwrap()).unwrap()).collect()
        };
        errors(&self.run(&self.config).unwrap(), &golden, prefix, steps)
    }
}

pub(super) fn file(name: &str) -> PathBuf {
    path("files").join(name)
}

/// How far a tensor may be from what transformers makes by default: the roundings of f32.
///
/// Pictures are the same to the bit. Whisper's default works in f32, and where it is loud, quiet bins are noise; its
/// path without torch, in f64 like ours, is held closer below.
fn tolerance(case: &str, tensor: &str) -> f32 {
    match tensor {
        "input_features" if case.starts_with("whisper") => 1e-5,
        // dB, of which there are up to 100.
        "input_features" => 2e-5,
        "input_values" => 1e-6,
        _ => 0.0,
    }
}

#[test]
fn every_case_is_what_transformers_makes_of_it_by_default() {
    let mut compared = 0;
    for case in Case::all() {
        for (tensor, error) in case.errors("default.") {
            let tolerance = tolerance(&case.name, &tensor);
            assert!(error <= tolerance, "{} {tensor}: {error}, not {tolerance}", case.name);
            compared += 1;
        }
    }
    assert!(compared > 35, "only {compared} tensors were compared");
}

/// Pillow rounds its weights less, so that a level of 255 differs here and there; on these pictures by one at most.
#[test]
fn the_pillow_classes_differ_by_a_level() {
    for (name, deviation) in
        [("vit", 0.5), ("clip", 0.261), ("frames", 0.224), ("detr", 0.224), ("llava-next", 0.261)]
    {
        for (tensor, error) in Case::named(name).errors("pillow.") {
            let levels = error * deviation * 255.0;
            assert!(levels < 1.01 || tensor != "pixel_values", "{name}: {levels} levels");
        }
    }
}

#[test]
fn whisper_is_near_its_path_without_torch() {
    for name in ["whisper", "whisper-published"] {
        for (tensor, error) in Case::named(name).errors("numpy.") {
            assert!(error < 1e-6, "{name} {tensor}: {error}");
        }
    }
}

/// What the values of a key do, so that none is read in vain.
#[test]
fn every_key_changes_the_result() {
    let cases = [
        ("clip", "do_resize", json!(false)),
        ("clip", "size", json!({"shortest_edge": 25})),
        ("clip", "resample", json!(2)),
        ("clip", "do_center_crop", json!(false)),
        ("clip", "crop_size", json!(23)),
        ("clip", "do_rescale", json!(false)),
        ("clip", "rescale_factor", json!(0.5)),
        ("clip", "do_normalize", json!(false)),
        ("clip", "image_mean", json!(0.25)),
        ("clip", "image_std", json!([0.25, 0.5, 0.75])),
        ("clip-padded", "pad_size", json!({"height": 40, "width": 41})),
        ("clip-unscaled", "default_to_square", json!(true)),
        ("detr", "do_pad", json!(false)),
        ("detr-old", "max_size", json!(25)),
        ("detr", "pad_and_return_pixel_mask", json!(false)),
        ("llava", "do_pad", json!(false)),
        ("llava-next", "image_grid_pinpoints", json!([[32, 48]])),
        ("llava-next", "do_pad", json!(false)),
        ("whisper", "sampling_rate", json!(9000)),
        ("whisper", "feature_size", json!(21)),
        ("whisper", "chunk_length", json!(2)),
        ("whisper", "n_fft", json!(201)),
        ("whisper", "hop_length", json!(91)),
        ("whisper", "padding_value", json!(0.5)),
        ("whisper", "return_attention_mask", json!(false)),
        ("wav2vec2", "sampling_rate", json!(9000)),
        ("wav2vec2", "do_normalize", json!(false)),
        ("wav2vec2", "padding_value", json!(0.5)),
        ("wav2vec2", "return_attention_mask", json!(true)),
        ("clap-cut", "sampling_rate", json!(9000)),
        ("clap-cut", "max_length_s", json!(2)),
        ("clap-cut", "fft_window_size", json!(258)),
        ("clap-cut", "hop_length", json!(161)),
        ("clap-cut", "feature_size", json!(21)),
        ("clap-cut", "frequency_min", json!(60)),
        ("clap-cut", "frequency_max", json!(3900)),
        ("clap-cut", "truncation", json!("fusion")),
        ("clap-cut", "padding", json!("pad")),
    ];
    for (name, key, value) in cases {
        let case = Case::named(name);
        let mut config = case.config.clone();
        config[key] = value;
        // Some make no batch of the same pictures any more: that is a change, too, but of another key none.
        match case.run(&config) {
            Ok(inputs) => assert!(inputs != case.run(&case.config).unwrap(), "{name} {key}"),
            Err(Error::Input { .. }) => {}
            Err(other) => panic!("{name} {key}: {other}"),
        }
    }
}

#[test]
fn every_way_of_storing_a_picture_is_read() {
    let golden = Golden::open("decoded");
    let names = golden.names();
    assert_eq!(names.len(), 8);
    for name in names {
        let (shape, expected) = golden.bytes(&name);
        let found = Picture::open(&file(&name)).unwrap();
        assert_eq!([found.height, found.width, 3], shape[..], "{name}");
        let error = found.data.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        // The standard leaves the last bits of a JPEG's transform, and how colour is spread, to the decoder.
        let tolerance = if name.ends_with("jpg") { 3 } else { 0 };
        assert!(error <= tolerance, "{name}: {error}");
    }
}

#[test]
fn every_way_of_storing_a_sound_is_read() {
    let golden = Golden::open("heard");
    let names = golden.names();
    assert_eq!(names.len(), 4);
    for name in names {
        let (shape, expected) = golden.floats(&name);
        let found = Sound::open(&file(&name)).unwrap().samples;
        assert_eq!(found.len(), shape[0], "{name}");
        let error = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let tolerance = if name.ends_with("mp3") { 1e-6 } else { 0.0 };
        assert!(error <= tolerance, "{name}: {error}");
    }
}

/// Names and covers of songs stand before or behind the sound.
#[test]
fn a_tagged_mp3_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tagged.mp3");
    let plain = std::fs::read(file("short.mp3")).unwrap();
    let title = [&b"TIT2"[..], &[0, 0, 0, 5, 0, 0, 3], b"song"].concat();
    let size = u8::try_from(title.len() + 64).unwrap();
    let tag = [&b"ID3\x03\0\0\0\0\0"[..], &[size], &title, &[0; 64]].concat();
    let mut behind = b"TAGsong".to_vec();
    behind.resize(128, 0);
    std::fs::write(&path, [tag, plain, behind].concat()).unwrap();
    assert_eq!(Sound::open(&path).unwrap(), Sound::open(&file("short.mp3")).unwrap());
}

/// Cut short or with bytes that are wrong, a file is read or refused; it is never a panic.
#[test]
fn damaged_files_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let mut refused = 0;
    for entry in std::fs::read_dir(path("files")).unwrap() {
        let source = entry.unwrap().path();
        let bytes = std::fs::read(&source).unwrap();
        let copy = folder.path().join(source.file_name().unwrap());
        let is_sound = |suffix: &&str| source.to_string_lossy().ends_with(*suffix);
        let is_sound = [".wav", ".flac", ".mp3"].iter().any(is_sound);
        for damage in 0..40usize {
            let mut bytes = bytes.clone();
            if damage < 10 {
                bytes.truncate(bytes.len() * damage / 10);
            } else {
                // Most of them in the first bytes, where the sizes stand.
                let at = (damage * damage * 7)
                    % bytes.len().min(if damage < 30 { 64 } else { usize::MAX });
                bytes[at] ^= 0xff;
            }
            std::fs::write(&copy, bytes).unwrap();
            let failed =
                if is_sound { Sound::open(&copy).is_err() } else { Picture::open(&copy).is_err() };
            refused += usize::from(failed);
        }
    }
    assert!(refused > 200, "only {refused} damaged files were refused");
}

#[test]
fn a_sound_at_another_rate_is_brought_to_that_of_the_model() {
    let processor = open(&json!({"feature_extractor_type": "Wav2Vec2FeatureExtractor"})).unwrap();
    let inputs = processor.audio(&[file("short.wav")]).unwrap();
    assert_eq!(inputs.tensors["input_values"].shape(), [1, 7202]);
}

#[test]
fn what_a_model_cannot_hear_of_a_sound_is_told() {
    let case = Case::named("whisper");
    assert_eq!(case.run(&case.config).unwrap().cut, [1]);
    let case = Case::named("clap-fused");
    assert_eq!(case.run(&case.config).unwrap().cut, [1]);
}

#[test]
fn pictures_of_any_class_can_be_the_frames_of_a_clip() {
    let processor =
        open(&json!({"image_processor_type": "CLIPImageProcessor", "crop_size": 8, "size": 8}));
    let processor = processor.unwrap();
    let paths = [file("wide.png"), file("tall.png")];
    let batch = processor.images(&paths).unwrap().tensors["pixel_values"].clone();
    let clip = processor.clip(&paths).unwrap().tensors["pixel_values"].clone();
    assert_eq!((batch.shape(), clip.shape()), (&[2, 3, 8, 8][..], &[1, 2, 3, 8, 8][..]));
    assert_eq!(batch.data(), clip.data());
}

#[test]
fn the_nested_file_and_the_type_of_the_model_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &Value| {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    };
    write("preprocessor_config.json", &json!({"sampling_rate": 8000}));
    write("config.json", &json!({"model_type": "wav2vec2"}));
    assert!(Processor::open(folder.path()).unwrap().takes_sounds());
    let nested = json!({
        "image_processor": {"image_processor_type": "ViTImageProcessor", "size": 9, "other": 1},
        "feature_extractor": {"feature_extractor_type": "WhisperFeatureExtractor"},
    });
    write("processor_config.json", &nested);
    let processor = Processor::open(folder.path()).unwrap();
    assert!(processor.takes_pictures() && processor.takes_sounds());
    assert_eq!(processor.unknown_keys(), ["other"]);
    let inputs = processor.images(&[file("wide.png")]).unwrap();
    assert_eq!(inputs.tensors["pixel_values"].shape(), [1, 3, 9, 9]);
}
