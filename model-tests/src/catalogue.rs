//! The models by name: where each comes from, where it is, and at which shapes it is measured.

mod models;

pub use models::MODELS;

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
