//! The weights of a graph: from the safetensors of a Hugging Face folder (one file or sharded), or made from a seed.
//!
//! Files are mapped, not read; a tensor is converted and checked when a device asks for it.

use crate::{Data, Error, Kind, Tensor, TensorType};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The safetensors format opens with the length of its header in so many bytes.
const HEADER_LENGTH_BYTES: usize = 8;

/// Where the weights of a graph come from.
///
/// A clone shares the files.
#[derive(Clone, Debug)]
pub struct Weights {
    origin: Arc<Origin>,
    /// Values that stand before those of the origin.
    more: BTreeMap<String, Tensor>,
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
        let index = shard_index(folder)?;
        let mut files = Vec::new();
        let mut tensors = BTreeMap::new();
        for file_name in file_names(index.as_ref()) {
            let path = folder.join(file_name);
            let file = File::open(&path).map_err(|e| file_error(&path, e))?;
            // SAFETY: the map is read-only; a checkpoint that another process truncates meanwhile is
            // outside what any reader of mapped files can defend against.
            let map = unsafe { Mmap::map(&file) }.map_err(|e| file_error(&path, e))?;
            let mut located = locate(&path, &map, files.len())?;
            if let Some(index) = &index {
                // A shard may hold more than the index says; what counts is the shard that is named.
                let is_named = |name: &String| index.get(name).is_some_and(|at| at == file_name);
                located.retain(|(name, _)| is_named(name));
            }
            tensors.extend(located);
            files.push((path, map));
        }
        for (name, shard) in index.iter().flatten() {
            if !tensors.contains_key(name) {
                let detail = format!(
                    "the index says that it holds `{name}`, which it does not; fetch both again"
                );
                return Err(file_error(&folder.join(shard), detail));
            }
        }
        Ok(Self::of(Origin::Files { folder: folder.to_owned(), files, tensors }))
    }

    /// Weights that are a function of their names and this seed: small, of mean zero, never all alike.
    pub fn seeded(seed: u64) -> Self {
        Self::of(Origin::Seed(seed))
    }

    /// Weights that are given by name.
    pub fn given(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        Self::of(Origin::Given(tensors.into_iter().collect()))
    }

    fn of(origin: Origin) -> Self {
        Self { origin: Arc::new(origin), more: BTreeMap::new() }
    }

    /// The same weights, and these, which stand before others of their names.
    #[must_use]
    pub fn with(&self, tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let mut more = self.more.clone();
        more.extend(tensors);
        Self { origin: Arc::clone(&self.origin), more }
    }

    /// The names that are there; none for seeded weights, which have every name.
    pub fn names(&self) -> Vec<&str> {
        match &*self.origin {
            Origin::Files { tensors, .. } => tensors.keys().map(String::as_str).collect(),
            Origin::Given(tensors) => tensors.keys().map(String::as_str).collect(),
            Origin::Seed(_) => Vec::new(),
        }
    }

    /// The files that hold the weights, in order; none if they do not come from files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let files = match &*self.origin {
            Origin::Files { files, .. } => files.as_slice(),
            Origin::Given(_) | Origin::Seed(_) => &[],
        };
        files.iter().map(|(path, _)| path.as_path())
    }

    /// Whether there is a weight of this name.
    pub fn contains(&self, name: &str) -> bool {
        if self.more.contains_key(name) {
            return true;
        }
        match &*self.origin {
            Origin::Files { tensors, .. } => tensors.contains_key(name),
            Origin::Given(tensors) => tensors.contains_key(name),
            Origin::Seed(_) => true,
        }
    }

    /// Whether there is a weight of this name, of this kind and of this shape. Only headers are looked at, so that
    /// a graph whose sizes are not those of its checkpoint is refused before anything of these sizes is made.
    pub fn check(&self, name: &str, expected: &TensorType) -> Result<(), Error> {
        let Some((kind, shape)) = self.header(name)? else { return Ok(()) };
        if kind != expected.kind {
            return Err(Error::WeightKind {
                name: name.to_owned(),
                origin: self.origin_name(),
                found: kind,
                expected: expected.kind,
            });
        }
        if shape != expected.shape {
            return Err(Error::WeightShape {
                name: name.to_owned(),
                origin: self.origin_name(),
                found: shape.to_vec(),
                expected: expected.shape.clone(),
            });
        }
        Ok(())
    }

    /// Kind and shape of a weight; none for seeded weights, which are what is asked for.
    fn header(&self, name: &str) -> Result<Option<(Kind, &[usize])>, Error> {
        if let Some(tensor) = self.more.get(name) {
            return Ok(Some((tensor.kind(), tensor.shape())));
        }
        match &*self.origin {
            Origin::Seed(_) => Ok(None),
            Origin::Given(tensors) => {
                let tensor = tensors.get(name).ok_or_else(|| self.missing(name))?;
                Ok(Some((tensor.kind(), tensor.shape())))
            }
            Origin::Files { files, tensors, .. } => {
                let at = tensors.get(name).ok_or_else(|| self.missing(name))?;
                let unreadable = || unreadable(&files[at.file].0, at.dtype, name);
                let kind = kind_of(at.dtype).ok_or_else(unreadable)?;
                Ok(Some((kind, at.shape.as_slice())))
            }
        }
    }

    /// One weight as f32 (or indices), with its kind and shape checked and every number finite.
    pub fn tensor(&self, name: &str, expected: &TensorType) -> Result<Tensor, Error> {
        self.check(name, expected)?;
        let more = self.more.get(name).cloned();
        let tensor = match &*self.origin {
            _ if more.is_some() => more,
            Origin::Seed(seed) => return Ok(seeded(*seed, name, expected)),
            Origin::Given(tensors) => tensors.get(name).cloned(),
            Origin::Files { files, tensors, .. } => {
                let located = tensors.get(name);
                located.map(|at| read_tensor(&files[at.file], at, name)).transpose()?
            }
        };
        let tensor = tensor.ok_or_else(|| self.missing(name))?;
        self.check_finite(name, &tensor)?;
        Ok(tensor)
    }

    fn check_finite(&self, name: &str, tensor: &Tensor) -> Result<(), Error> {
        let found = match tensor.data() {
            Data::F32(values) => values.iter().copied().enumerate().find(|(_, v)| !v.is_finite()),
            Data::F16(values) => {
                let mut values = values.iter().map(|v| v.to_f32()).enumerate();
                values.find(|(_, v)| !v.is_finite())
            }
            Data::I32(_) => None,
        };
        let Some((index, value)) = found else { return Ok(()) };
        let value = format!(
            "{value}; the checkpoint is damaged or was trained to divergence, fetch it again"
        );
        let (name, origin) = (name.to_owned(), self.origin_name());
        Err(Error::WeightNotFinite { name, origin, index, value })
    }

    /// Where the weights come from, for messages.
    pub(crate) fn origin_name(&self) -> String {
        match &*self.origin {
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

/// The file of a checkpoint that is not cut into shards.
const WHOLE: &str = "model.safetensors";

/// The files that hold the weights of a folder: the shards of an index, each once, or the one whole file.
fn file_names(index: Option<&BTreeMap<String, String>>) -> Vec<&str> {
    let Some(index) = index else { return vec![WHOLE] };
    let mut names: Vec<_> = index.values().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// For each tensor the shard that holds it; none if the folder has one whole file.
fn shard_index(folder: &Path) -> Result<Option<BTreeMap<String, String>>, Error> {
    let whole = folder.join(WHOLE);
    let index = folder.join("model.safetensors.index.json");
    if whole.is_file() {
        return Ok(None);
    }
    if !index.is_file() {
        return Err(file_error(&whole, "there is no such file, nor an index of shards beside it"));
    }
    let text = std::fs::read_to_string(&index).map_err(|e| file_error(&index, e))?;
    let parsed: ShardIndex = serde_json::from_str(&text)
        .map_err(|e| file_error(&index, format!("{e}; expected an object with `weight_map`")))?;
    for shard in parsed.weight_map.values() {
        // An index is data from elsewhere: it must not lead out of its folder.
        if Path::new(shard).file_name() != Some(OsStr::new(shard)) {
            let detail = format!("the shard `{shard}` is not the plain name of a file beside it");
            return Err(file_error(&index, detail));
        }
    }
    Ok(Some(parsed.weight_map))
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

/// What a tensor of this format becomes; none if it cannot be read.
fn kind_of(dtype: Dtype) -> Option<Kind> {
    match dtype {
        Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64 => Some(Kind::Float),
        Dtype::I32 => Some(Kind::Index),
        _ => None,
    }
}

fn unreadable(path: &Path, dtype: Dtype, name: &str) -> Error {
    file_error(path, format!("`{name}` is {dtype:?}; float weights and i32 can be read"))
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
        other => return Err(unreadable(path, other, name)),
    };
    release(map, at.bytes.clone());
    Ok(tensor)
}

/// Gives back the memory of a part that is converted: a device keeps its own copy, and whoever reads the part again
/// gets it from the file. That the system does not follow costs nothing but memory.
#[cfg(unix)]
fn release(map: &Mmap, bytes: Range<usize>) {
    use memmap2::UncheckedAdvice::DontNeed;
    // SAFETY: the map is of a file and only read, so that its pages come back with the same content.
    let _ = unsafe { map.unchecked_advise_range(DontNeed, bytes.start, bytes.len()) };
}

/// Elsewhere the system decides.
#[cfg(not(unix))]
fn release(_: &Mmap, _: Range<usize>) {}

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

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    /// Writes tensors of one element.
    fn write(path: &Path, tensors: &[(&str, Dtype, f32)]) {
        let bytes: Vec<_> = tensors.iter().map(|(_, _, value)| value.to_le_bytes()).collect();
        let views = tensors.iter().zip(&bytes).map(|((name, dtype, _), bytes)| {
            (*name, TensorView::new(*dtype, vec![1], bytes).unwrap())
        });
        std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    }

    /// Two shards that both hold `x`, and an index with this map.
    fn sharded(map: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("1.safetensors"), &[("x", Dtype::F32, 1.0)]);
        let second = [("x", Dtype::F32, 2.0), ("y", Dtype::F32, 3.0)];
        write(&folder.path().join("2.safetensors"), &second);
        let index = format!("{{\"weight_map\": {{{map}}}}}");
        std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
        folder
    }

    /// Bytes of files that are mapped and resident.
    #[cfg(target_os = "linux")]
    fn resident() -> u64 {
        let text = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_converted_does_not_stay_in_memory_twice() {
        const LEN: usize = 16 << 20;
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..LEN).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, vec![LEN], &bytes).unwrap();
        let file = safetensors::serialize([("w", view)], None).unwrap();
        std::fs::write(folder.path().join("model.safetensors"), file).unwrap();
        let weights = Weights::open(folder.path()).unwrap();
        let before = resident();
        let first = weights.tensor("w", &TensorType::float([LEN])).unwrap();
        assert!(resident() < before + bytes.len() as u64 / 2);
        assert_eq!(weights.tensor("w", &TensorType::float([LEN])).unwrap(), first);
    }

    #[test]
    fn a_tensor_comes_from_the_shard_that_the_index_names() {
        for (shard, value) in [("1.safetensors", 1.0), ("2.safetensors", 2.0)] {
            let map = format!("\"x\": \"{shard}\", \"y\": \"2.safetensors\"");
            let folder = sharded(&map);
            let weights = Weights::open(folder.path()).unwrap();
            let tensor = weights.tensor("x", &TensorType::float([1])).unwrap();
            assert_eq!(tensor, Tensor::f32([1], vec![value]));
        }
    }

    #[test]
    fn an_index_that_does_not_fit_its_folder_is_refused() {
        let refused = [
            ("\"y\": \"1.safetensors\"", "it holds `y`, which it does not"),
            ("\"x\": \"../1.safetensors\"", "not the plain name of a file"),
            ("\"x\": \"/1.safetensors\"", "not the plain name of a file"),
            ("\"x\": \"..\"", "not the plain name of a file"),
            ("\"x\": \"3.safetensors\"", "3.safetensors"),
        ];
        for (map, says) in refused {
            let error = Weights::open(sharded(map).path()).expect_err(map).to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    /// The header is enough to tell, so a check reads no element: here they are not finite.
    #[test]
    fn a_check_looks_at_kind_and_shape_only() {
        let folder = tempfile::tempdir().unwrap();
        let tensors =
            [("x", Dtype::F32, f32::NAN), ("ids", Dtype::I32, 0.0), ("u", Dtype::U32, 0.0)];
        write(&folder.path().join(WHOLE), &tensors);
        let weights = Weights::open(folder.path()).unwrap();
        let one = TensorType::float([1]);
        weights.check("x", &one).unwrap();
        weights.check("ids", &TensorType::index([1])).unwrap();
        let of = |name: &str, of: &TensorType| weights.check(name, of).unwrap_err();
        assert!(matches!(of("x", &TensorType::float([2])), Error::WeightShape { .. }));
        // The kind is told before the shape.
        assert!(matches!(of("ids", &TensorType::float([2])), Error::WeightKind { .. }));
        assert!(matches!(of("u", &one), Error::WeightFile { .. }));
        assert!(matches!(of("z", &one), Error::MissingWeight { .. }));
        Weights::seeded(1).check("x", &one).unwrap();
        assert!(matches!(weights.tensor("ids", &one), Err(Error::WeightKind { .. })));
    }
}
