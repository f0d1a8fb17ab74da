//! A folder as Hugging Face lays it out: `config.json` and `model.safetensors` (or shards). The tokenizer, which
//! only texts need, is in `text`.

use crate::config::Config;
use crate::error::Error;
use crate::families::{Family, Given};
use proofmark_kernels::{Binding, Graph, Tensor, Weights};
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
        Self::read(folder, || Ok(Weights::open(folder)?))
    }

    /// Reads the configuration of a model whose weights are not wanted: they are made from a seed, so that time and
    /// memory are those of the model and its outputs mean nothing.
    pub fn seeded(folder: &Path) -> Result<Self, Error> {
        Self::read(folder, || Ok(Weights::seeded(1)))
    }

    fn read(
        folder: &Path,
        weights: impl FnOnce() -> Result<Weights, Error>,
    ) -> Result<Self, Error> {
        if !folder.is_dir() {
            return Err(Error::content(folder, "there is no such folder"));
        }
        let mut config = Config::open(&folder.join("config.json"))?;
        let family = Family::read(&mut config)?;
        let unknown_keys = config.unknown_keys();
        Ok(Self { folder: folder.to_owned(), family, weights: weights()?, unknown_keys })
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
        self.family.architecture().graph(&self.weights, binding)
    }

    /// The inputs of a graph in its order: arguments, and what is derived from them.
    pub fn tensors(
        &self,
        graph: &Graph,
        binding: &Binding,
        given: &Given,
    ) -> Result<Vec<Tensor>, Error> {
        let derived = self.family.architecture().derive(binding, given)?;
        let tensors = graph.inputs().map(|(name, _)| {
            let tensor = derived.get(name).or_else(|| given.get(name)).cloned();
            tensor.ok_or_else(|| Error::Input { name: name.into(), detail: "is missing".into() })
        });
        tensors.collect()
    }

    /// The number of weights that the graph reads.
    pub fn parameters(&self) -> Result<usize, Error> {
        let graph = self.graph(&self.family.architecture().example())?;
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
