//! Frequencies against the numbers of transformers.

use super::*;
use serde_json::json;
use std::f64::consts::FRAC_2_PI;
use std::path::Path;

/// Checks the frequencies of heads of width 8 at base 100, stretched by 4, and what multiplies their cosines,
/// against what transformers 5.23 gives for a text of this length.
#[track_caller]
fn check(kind: &str, more: &Value, length: f64, expected: [f64; 4], scale: f64) {
    let mut rope = json!({"rope_type": kind, "rope_theta": 100, "factor": 4});
    rope.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let text = json!({ "rope_parameters": rope }).to_string();
    let mut config = Config::parse(Path::new("config.json"), &text).unwrap();
    let (found, by) = Rope::read(&mut config, 8, 64).unwrap().frequencies(length);
    assert!(config.unknown_keys().is_empty());
    let differences = expected.iter().zip(&found).map(|(e, f)| (e - f).abs());
    let worst = differences.fold((scale - by).abs(), f64::max);
    assert!(found.len() == 4 && worst < 1e-12, "{kind}: {found:?} {by}");
}

#[test]
fn frequencies_are_those_of_transformers() {
    let quarter = [0.25, 0.079_056_941_504_209_49, 0.025, 0.007_905_694_150_420_948];
    check("linear", &json!({}), 9.0, quarter, 1.0);
    let plain = [1.0, 0.316_227_766_016_837_94, 0.1, 0.031_622_776_601_683_79];
    check("dynamic", &json!({}), 64.0, plain, 1.0);
    let grown =
        [1.0, 0.213_487_382_743_998_78, 0.045_576_862_590_882_62, 0.009_730_085_108_210_398];
    check("dynamic", &json!({}), 100.0, grown, 1.0);
    let original = json!({"original_max_position_embeddings": 16, "low_freq_factor": 1, "high_freq_factor": 4});
    let smooth = [FRAC_2_PI, quarter[1], quarter[2], quarter[3]];
    check("llama3", &original, 9.0, smooth, 1.0);
    check(
        "proportional",
        &json!({"partial_rotary_factor": 0.5}),
        9.0,
        [0.25, quarter[1], 0.0, 0.0],
        1.0,
    );
    let ramp = json!({"original_max_position_embeddings": 400, "beta_fast": 4});
    let mixed = [plain[0], plain[1], plain[2], 0.019_764_235_376_052_368];
    check("yarn", &ramp, 9.0, mixed, 1.138_629_436_111_989);
    let exact = json!({
        "original_max_position_embeddings": 400, "beta_fast": 4, "mscale": 0.9, "mscale_all_dim": 0.6,
        "truncate": false
    });
    let mixed = [plain[0], plain[1], plain[2], 0.019_876_511_071_636_66];
    check("yarn", &exact, 9.0, mixed, 1.038_395_207_273_370_4);
    let factors = json!({
        "original_max_position_embeddings": 16, "short_factor": [1, 1.5, 2, 3], "long_factor": [2, 3, 5, 9]
    });
    let short = [1.0, 0.210_818_510_677_891_95, 0.05, 0.010_540_925_533_894_598];
    check("longrope", &factors, 16.0, short, 1.224_744_871_391_589);
    let long = [0.5, 0.105_409_255_338_945_98, 0.02, 0.003_513_641_844_631_532_8];
    check("longrope", &factors, 17.0, long, 1.224_744_871_391_589);
}

#[test]
fn a_rotation_that_cannot_be_computed_is_refused() {
    let refusal = |rope: Value, width: usize| {
        let text = json!({ "rope_parameters": rope }).to_string();
        let mut config = Config::parse(Path::new("config.json"), &text).unwrap();
        Rope::read(&mut config, width, 64).unwrap_err().to_string()
    };
    let missing = refusal(json!({"rope_type": "linear"}), 8);
    assert!(missing.contains("`rope_parameters.factor` is missing"), "{missing}");
    let negative = refusal(json!({"rope_type": "dynamic", "factor": -1}), 8);
    assert!(negative.contains("is -1: a positive number is needed"), "{negative}");
    assert!(refusal(json!({"rope_type": "dynamic", "factor": 2}), 2).contains("width 2"));
    let short = json!({"rope_type": "longrope", "short_factor": [1, 2], "long_factor": [1, 2]});
    assert!(refusal(short, 8).contains("must be a list of 4 positive numbers"));
    let part = refusal(json!({"rope_type": "yarn", "factor": 2, "partial_rotary_factor": 0.5}), 8);
    assert!(part.contains("only whole heads can be turned"), "{part}");
    assert!(refusal(json!({"rope_type": "su"}), 8).contains("is \"su\": possible are default"));
}
