//! The weights of a graph: from the safetensors of a Hugging Face folder (one file or sharded), or made from a seed.
//!
//! Files are mapped, not read; a tensor is converted and checked when a device asks for it.

use crate::{Data, Error, Kind, Tensor, TensorType};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The safetensors format opens with the length of its header in so many bytes.
const HEADER_LENGTH_BYTES: usize = 8;

/// Where the weights of a graph come from.
#[derive(Debug)]
pub struct Weights {
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    Files { folder: PathBuf, files: Vec<(PathBuf, Mmap)>, tensors: BTreeMap<String, Located> },
    Seed(u64),
    Given(BTreeMap<String, Tensor>),
}

/// Where a tensor is: the headers of the files are read once, when they are opened.
#[derive(Debug)]
struct Located {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

impl Weights {
    /// The `model.safetensors` of a folder, or the shards that its `model.safetensors.index.json` names.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let mut files = Vec::new();
        let mut tensors = BTreeMap::new();
        for path in weight_files(folder)? {
            let file = File::open(&path).map_err(|e| file_error(&path, e))?;
            // SAFETY: the map is read-only; a checkpoint that another process truncates meanwhile is
            // outside what any reader of mapped files can defend against.
            let map = unsafe { Mmap::map(&file) }.map_err(|e| file_error(&path, e))?;
            for (name, located) in locate(&path, &map, files.len())? {
                if tensors.insert(name.clone(), located).is_some() {
                    let detail =
                        format!("`{name}` is in another shard as well; remove one of them");
                    return Err(file_error(&path, detail));
                }
            }
            files.push((path, map));
        }
        Ok(Self { origin: Origin::Files { folder: folder.to_owned(), files, tensors } })
    }

    /// Weights that are a function of their names and this seed: small, of mean zero, never all alike.
    pub fn seeded(seed: u64) -> Self {
        Self { origin: Origin::Seed(seed) }
    }

    /// Weights that are given by name.
    pub fn given(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        Self { origin: Origin::Given(tensors.into_iter().collect()) }
    }

    /// The names that are there; none for seeded weights, which have every name.
    pub fn names(&self) -> Vec<&str> {
        match &self.origin {
            Origin::Files { tensors, .. } => tensors.keys().map(String::as_str).collect(),
            Origin::Given(tensors) => tensors.keys().map(String::as_str).collect(),
            Origin::Seed(_) => Vec::new(),
        }
    }

    /// The files that hold the weights, in order; none if they do not come from files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let files = match &self.origin {
            Origin::Files { files, .. } => files.as_slice(),
            Origin::Given(_) | Origin::Seed(_) => &[],
        };
        files.iter().map(|(path, _)| path.as_path())
    }

    /// Whether there is a weight of this name.
    pub fn contains(&self, name: &str) -> bool {
        match &self.origin {
            Origin::Files { tensors, .. } => tensors.contains_key(name),
            Origin::Given(tensors) => tensors.contains_key(name),
            Origin::Seed(_) => true,
        }
    }

    /// One weight as f32 (or indices), with its shape checked and every number finite.
    pub fn tensor(&self, name: &str, expected: &TensorType) -> Result<Tensor, Error> {
        let tensor = match &self.origin {
            Origin::Seed(seed) => return Ok(seeded(*seed, name, expected)),
            Origin::Given(tensors) => tensors.get(name).cloned(),
            Origin::Files { files, tensors, .. } => {
                let located = tensors.get(name);
                located.map(|at| read_tensor(&files[at.file], at, name)).transpose()?
            }
        };
        let tensor = tensor.ok_or_else(|| self.missing(name))?;
        if tensor.shape() != expected.shape {
            return Err(Error::WeightShape {
                name: name.to_owned(),
                origin: self.origin_name(),
                found: tensor.shape().to_vec(),
                expected: expected.shape.clone(),
            });
        }
        self.check_finite(name, &tensor)?;
        Ok(tensor)
    }

    fn check_finite(&self, name: &str, tensor: &Tensor) -> Result<(), Error> {
        let Data::F32(values) = tensor.data() else { return Ok(()) };
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(index) => Err(Error::WeightNotFinite {
                name: name.to_owned(),
                origin: self.origin_name(),
                index,
                value: values[index].to_string(),
            }),
        }
    }

    fn origin_name(&self) -> String {
        match &self.origin {
            Origin::Files { folder, .. } => folder.display().to_string(),
            Origin::Seed(seed) => format!("seed {seed}"),
            Origin::Given(_) => "the given tensors".into(),
        }
    }

    fn missing(&self, name: &str) -> Error {
        let names = self.names();
        let last = name.rsplit('.').take(2).collect::<Vec<_>>();
        let near = names.iter().find(|n| n.rsplit('.').take(2).eq(last.iter().copied()));
        Error::MissingWeight {
            name: name.to_owned(),
            origin: self.origin_name(),
            count: names.len(),
            hint: near.map(|n| format!("; `{n}` is there")).unwrap_or_default(),
        }
    }
}

fn file_error(path: &Path, detail: impl ToString) -> Error {
    Error::WeightFile { path: path.to_owned(), detail: detail.to_string() }
}

/// The files that hold the weights of a folder.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let whole = folder.join("model.safetensors");
    let index = folder.join("model.safetensors.index.json");
    if whole.is_file() {
        return Ok(vec![whole]);
    }
    if !index.is_file() {
        return Err(file_error(&whole, "there is no such file, nor an index of shards beside it"));
    }
    let text = std::fs::read_to_string(&index).map_err(|e| file_error(&index, e))?;
    let parsed: ShardIndex = serde_json::from_str(&text)
        .map_err(|e| file_error(&index, format!("{e}; expected an object with `weight_map`")))?;
    let mut shards: Vec<_> = parsed.weight_map.into_values().collect();
    shards.sort_unstable();
    shards.dedup();
    Ok(shards.into_iter().map(|shard| folder.join(shard)).collect())
}

#[derive(serde::Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

/// The tensors of one file, as its header tells; every range is within the file, or the header is refused.
fn locate(path: &Path, map: &Mmap, file: usize) -> Result<Vec<(String, Located)>, Error> {
    let damaged = |e: SafeTensorError| {
        file_error(path, format!("{e}; the file is damaged or incomplete, fetch it again"))
    };
    let (header, metadata) = SafeTensors::read_metadata(map).map_err(damaged)?;
    let data = header + HEADER_LENGTH_BYTES;
    let located = metadata.tensors().into_iter().map(|(name, info)| {
        let bytes = data + info.data_offsets.0..data + info.data_offsets.1;
        (name, Located { file, dtype: info.dtype, shape: info.shape.clone(), bytes })
    });
    Ok(located.collect())
}

fn read_tensor((path, map): &(PathBuf, Mmap), at: &Located, name: &str) -> Result<Tensor, Error> {
    let (shape, bytes) = (at.shape.clone(), &map[at.bytes.clone()]);
    let tensor = match at.dtype {
        Dtype::F32 => Tensor::f32(shape, elements(bytes, f32::from_le_bytes)),
        Dtype::F16 => Tensor::f32(shape, elements(bytes, |b| f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => Tensor::f32(shape, elements(bytes, |b| bf16::from_le_bytes(b).to_f32())),
        #[expect(clippy::cast_possible_truncation, reason = "weights are wanted as f32")]
        Dtype::F64 => Tensor::f32(shape, elements(bytes, |b| f64::from_le_bytes(b) as f32)),
        Dtype::I32 => Tensor::i32(shape, elements(bytes, i32::from_le_bytes)),
        other => {
            let detail = format!("`{name}` is {other:?}; float weights and i32 can be read");
            return Err(file_error(path, detail));
        }
    };
    Ok(tensor)
}

fn elements<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| read(chunk)).collect()
}

/// A linear congruential sequence (Knuth's MMIX constants) keyed by name: repeatable everywhere.
fn seeded(seed: u64, name: &str, of: &TensorType) -> Tensor {
    let step = |state: u64| {
        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
    };
    let mut state = name.bytes().fold(seed, |state, byte| step(state ^ u64::from(byte)));
    let mut next = || {
        state = step(state);
        #[expect(clippy::cast_precision_loss, reason = "24 bits are exact in f32")]
        let unit = (state >> 40) as f32 / (1u64 << 24) as f32;
        unit - 0.5
    };
    match of.kind {
        Kind::Float => Tensor::f32(of.shape.clone(), (0..of.len()).map(|_| next() * 0.2).collect()),
        Kind::Index => Tensor::i32(of.shape.clone(), vec![0; of.len()]),
    }
}
