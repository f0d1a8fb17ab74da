//! What cannot be prepared is refused: keys, folders, pictures and sounds.

use super::tests::{file, open};
use super::*;
use serde_json::{Value, json};

/// The message of an error, which must hold all of these.
#[track_caller]
fn check_refused<T>(result: Result<T, Error>, expected: &[&str]) {
    let message = result.err().expect("it is refused").to_string();
    for expected in expected {
        assert!(message.contains(expected), "`{expected}` is not in: {message}");
    }
}

#[test]
fn what_is_not_supported_names_key_and_value() {
    let clip = |key: &str, value: Value| {
        open(&json!({"image_processor_type": "CLIPImageProcessor", key: value}))
    };
    let detr = |key: &str, value: Value| {
        open(&json!({"image_processor_type": "DetrImageProcessor", key: value}))
    };
    let sound = |class: &str, key: &str, value: Value| {
        open(&json!({"feature_extractor_type": format!("{class}FeatureExtractor"), key: value}))
    };
    let key = "preprocessor_config.json: `image_processor_type`";
    check_refused(
        open(&json!({"image_processor_type": "BeitImageProcessor"})),
        &[key, "\"BeitImageProcessor\""],
    );
    check_refused(open(&json!({"image_processor_type": 3})), &[key, "is 3"]);
    check_refused(open(&json!({})), &[key, "is missing"]);
    check_refused(clip("resample", json!(4)), &["`resample` is 4", "0 (nearest)"]);
    check_refused(clip("size", json!({"longest_edge": 9})), &["`size` is {\"longest_edge\":9}"]);
    check_refused(clip("size", json!(0)), &["`size` is 0"]);
    check_refused(
        clip("crop_size", json!({"shortest_edge": 9})),
        &["`crop_size` is {\"shortest_edge\":9}: height and width"],
    );
    check_refused(clip("do_resize", json!("yes")), &["`do_resize` is \"yes\""]);
    check_refused(clip("image_mean", json!([0.5])), &["`image_mean` is [0.5]"]);
    check_refused(clip("image_std", json!([1, 0, 1])), &["`image_std` is [1.0, 0.0, 1.0]"]);
    check_refused(clip("rescale_factor", json!(0)), &["`rescale_factor` is 0"]);
    check_refused(
        clip("input_data_format", json!("channels_last")),
        &["`input_data_format` is", "leave it out"],
    );
    check_refused(
        detr("size", json!({"shortest_edge": 9})),
        &["`size` has a shortest_edge without"],
    );
    check_refused(sound("Whisper", "dither", json!(0.1)), &["`dither` is 0.1"]);
    check_refused(sound("Whisper", "n_samples", json!(5)), &["`n_samples` is 5", "480000"]);
    check_refused(
        sound("Whisper", "chunk_length", json!(1 << 20)),
        &["`chunk_length` is 1048576 seconds"],
    );
    check_refused(sound("Whisper", "hop_length", json!(0)), &["`hop_length` is 0"]);
    check_refused(sound("Whisper", "n_fft", json!(1)), &["`n_fft` is 1"]);
    check_refused(sound("Whisper", "padding_side", json!("left")), &["`padding_side` is \"left\""]);
    check_refused(sound("Wav2Vec2", "feature_size", json!(2)), &["`feature_size` is 2"]);
    check_refused(
        sound("Wav2Vec2", "sampling_rate", json!(1e9)),
        &["`sampling_rate` is 1000000000"],
    );
    check_refused(
        sound("Clap", "truncation", json!("rand")),
        &["`truncation` is \"rand\"", "rand_trunc"],
    );
    check_refused(sound("Clap", "padding", json!("none")), &["`padding` is \"none\"", "repeatpad"]);
    check_refused(sound("Clap", "frequency_min", json!(14_000)), &["`frequency_min` is 14000"]);
    check_refused(sound("Clap", "fft_window_size", json!(1023)), &["`fft_window_size` is 1023"]);
}

#[test]
fn a_folder_without_readable_preprocessing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Processor::open(folder.path());
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    check_refused(open(), &["preprocessor_config.json: there is no such file"]);
    for text in ["", "{\"size\": ", "[]"] {
        write("preprocessor_config.json", text);
        check_refused(open(), &["preprocessor_config.json: it is"]);
    }
    write("preprocessor_config.json", "{}");
    write("config.json", "{\"model_type\": \"bert\"}");
    check_refused(open(), &["`image_processor_type` is missing", "\"bert\""]);
    write("processor_config.json", "{\"image_processor\": 3}");
    check_refused(open(), &["processor_config.json: `image_processor` is 3"]);
}

#[test]
fn a_bad_picture_is_refused() {
    let processor = open(&json!({"image_processor_type": "CLIPImageProcessor"})).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let image = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        processor.images(&[path])
    };
    let png = std::fs::read(file("wide.png")).unwrap();
    let sized = |width: u32, height: u32| {
        let mut bytes = png.clone();
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc32(&bytes[12..29]).to_be_bytes();
        bytes[29..33].copy_from_slice(&crc);
        bytes
    };
    check_refused(
        image("a.png", b"no picture"),
        &["a.png: ", "PNG, JPEG, WebP and BMP pictures can be read"],
    );
    check_refused(image("a.png", b""), &["a.png: "]);
    check_refused(image("a.gif", b"GIF89a\x01\0\x01\0\0\0\0;"), &["PNG, JPEG, WebP and BMP"]);
    check_refused(
        image("a.png", &png[..png.len() / 2]),
        &["it is no picture, or is damaged or incomplete"],
    );
    check_refused(image("a.png", &sized(0, 5)), &["a.png: "]);
    check_refused(image("a.png", &sized(1 << 30, 1 << 30)), &["a.png: "]);
    check_refused(
        image("a.png", &sized(20_000, 20_000)),
        &["20000 by 20000 pixels", "is too large"],
    );
    check_refused(processor.images(&[]), &["there is no picture"]);
    check_refused(processor.images(&[folder.path().join("none.png")]), &["none.png"]);
    check_refused(processor.audio(&[file("short.wav")]), &["takes pictures, not sounds"]);
    let batch =
        json!({"image_processor_type": "CLIPImageProcessor", "do_center_crop": false, "size": 20});
    let paths = [file("wide.png"), file("tall.png")];
    check_refused(
        open(&batch).unwrap().images(&paths),
        &["different sizes once they are resized, 20 by 34 and 33 by 20"],
    );
}

/// A picture of one row makes one of very many columns where the shorter edge is to be large.
#[test]
fn a_picture_that_would_grow_beyond_bounds_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line.png");
    image::RgbImage::new(40_000, 1).save(&path).unwrap();
    let class = |class: &str, size: Value| {
        open(&json!({"image_processor_type": format!("{class}ImageProcessor"), "size": size}))
            .unwrap()
    };
    let large = class("CLIP", json!({"shortest_edge": 224}));
    check_refused(
        large.images(std::slice::from_ref(&path)),
        &["line.png: ", "224 by 8960000", "is too large"],
    );
    let thin = class("Detr", json!({"shortest_edge": 8, "longest_edge": 13}));
    check_refused(thin.images(&[path]), &["0 by 13 pixels", "is empty"]);
}

#[test]
fn a_bad_sound_is_refused() {
    let processor = open(&json!({"feature_extractor_type": "WhisperFeatureExtractor"})).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sound = |bytes: &[u8]| {
        let path = folder.path().join("a.wav");
        std::fs::write(&path, bytes).unwrap();
        processor.audio(&[path])
    };
    let bits = |value: f32| value.to_le_bytes();
    let unreadable = "it is no sound that can be read";
    check_refused(
        sound(b"no sound, but some bytes that could be one"),
        &["a.wav: ", unreadable, "WAV, FLAC and MP3"],
    );
    check_refused(sound(b""), &[unreadable]);
    check_refused(sound(&wav(16_000, &[])), &["a.wav: ", "empty"]);
    check_refused(
        sound(&wav(16_000, &[bits(0.0); 9])),
        &["the sound is silent: each of its 9 samples is zero"],
    );
    check_refused(
        sound(&wav(16_000, &[bits(0.5), bits(f32::NAN)])),
        &["sample 1 of the sound is NaN"],
    );
    check_refused(sound(&wav(16_000, &[bits(f32::INFINITY)])), &["sample 0 of the sound is inf"]);
    check_refused(sound(&wav(1, &[bits(0.5)])), &["its rate is 1 Hz"]);
    check_refused(sound(&wav(16_000, &[bits(0.5); 100])[..30]), &["a.wav: "]);
    check_refused(processor.audio(&[]), &["there is no sound"]);
    check_refused(processor.images(&[file("wide.png")]), &["takes sounds, not pictures"]);
    assert!(sound(&wav(16_000, &[bits(0.5)])).is_ok(), "one sample is enough: it is padded");
    let long = json!({"feature_extractor_type": "ClapFeatureExtractor", "sampling_rate": 8000, "max_length_s": 1,
        "feature_size": 20});
    check_refused(
        open(&long).unwrap().audio(&[file("stereo.wav")]),
        &["stereo.wav is longer than 8000 samples", "`feature_size` of 64"],
    );
}

/// A WAV file of 32-bit floats, one channel.
fn wav(rate: u32, samples: &[[u8; 4]]) -> Vec<u8> {
    let size = u32::try_from(samples.len() * 4).unwrap();
    let mut bytes = Vec::new();
    bytes.extend(b"RIFF");
    bytes.extend((36 + size).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    // Format 3 is IEEE floats; one channel.
    bytes.extend([3, 0, 1, 0]);
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * 4).to_le_bytes());
    bytes.extend([4, 0, 32, 0]);
    bytes.extend(b"data");
    bytes.extend(size.to_le_bytes());
    bytes.extend(samples.concat());
    bytes
}

/// The checksum of PNG's blocks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}
