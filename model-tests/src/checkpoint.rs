//! A folder as Hugging Face lays it out: `config.json` and `model.safetensors` (or shards). The tokenizer, which
//! only texts need, is in `text`.

use crate::config::Config;
use crate::error::Error;
use crate::families::Family;
use proofmark_kernels::{Binding, Graph, Weights};
use std::path::{Path, PathBuf};

/// A model's configuration and its weights.
#[derive(Debug)]
pub struct Checkpoint {
    folder: PathBuf,
    family: Family,
    weights: Weights,
    unknown_keys: Vec<String>,
}

impl Checkpoint {
    /// Reads the configuration and maps the weights.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        if !folder.is_dir() {
            return Err(Error::content(folder, "there is no such folder"));
        }
        let mut config = Config::open(&folder.join("config.json"))?;
        let family = Family::read(&mut config)?;
        let unknown_keys = config.unknown_keys().into_iter().map(str::to_owned).collect();
        let weights = Weights::open(folder)?;
        Ok(Self { folder: folder.to_owned(), family, weights, unknown_keys })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The model.
    pub const fn family(&self) -> &Family {
        &self.family
    }

    /// Its weights.
    pub const fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The graph for one binding.
    pub fn graph(&self, binding: &Binding) -> Result<Graph, Error> {
        self.family.graph(&self.weights, binding)
    }

    /// The number of weights that the graph reads.
    pub fn parameters(&self) -> Result<usize, Error> {
        let graph = self.graph(&Binding::batch_sequence(1, 1))?;
        Ok(graph.weights().map(|(_, of)| of.len()).sum())
    }

    /// A sentence about keys of the configuration that nobody reads, if there are any.
    pub fn note(&self) -> Option<String> {
        let keys = self.unknown_keys.join(", ");
        let path = self.folder.join("config.json");
        (!keys.is_empty()).then(|| {
            format!(
                "note: {} has keys that are not read, as the model class does not read them: {keys}",
                path.display()
            )
        })
    }
}
