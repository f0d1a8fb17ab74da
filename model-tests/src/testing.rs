//! What the tests of this crate share: a copy of a committed checkpoint in a folder of its own, to be damaged, and
//! what holds of every family: its goldens agree, and no key of its configuration is passed over.

use crate::catalogue::package_path;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::Error;
use crate::families::Family;
use crate::golden::Golden;
use proofmark_kernels::{Array, evaluate};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Name, format, shape and bytes of a tensor.
pub(crate) type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// A copy of a checkpoint of this package.
pub(crate) struct Copy(TempDir);

impl Copy {
    /// A fresh copy.
    pub(crate) fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(package_path("checkpoints").join(name)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        Self(folder)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Sets a key of the configuration, or removes it. A key of a section follows its name and a dot.
    pub(crate) fn configure(&self, key: &str, value: Option<Value>) {
        let path = self.path("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let (sections, key) = key.rsplit_once('.').unwrap_or(("", key));
        let mut section = &mut config;
        for name in sections.split('.').filter(|name| !name.is_empty()) {
            section = &mut section[name];
            if section.is_null() {
                *section = Value::Object(serde_json::Map::new());
            }
        }
        let object = section.as_object_mut().unwrap();
        match value {
            Some(value) => drop(object.insert(key.into(), value)),
            None => drop(object.remove(key).expect("the key was there")),
        }
        fs::write(path, config.to_string()).unwrap();
    }

    /// Every output in f64, by name, for the inputs of a golden of the copy.
    pub(crate) fn outputs(&self, golden: &str) -> Result<BTreeMap<String, Array>, Error> {
        let checkpoint = Checkpoint::open(self.folder())?;
        let (binding, given) = Golden::open(&self.path(golden))?.inputs(checkpoint.family())?;
        let graph = checkpoint.graph(&binding)?;
        let inputs = checkpoint.tensors(&graph, &binding, &given)?;
        let names = graph.outputs().iter().map(|(name, _)| name.clone());
        Ok(names.zip(evaluate(&graph, checkpoint.weights(), &inputs)?).collect())
    }

    /// Rewrites a safetensors file of the copy.
    pub(crate) fn edit(&self, file: &str, edit: impl FnOnce(&mut Tensors)) {
        let path = self.path(file);
        let mut tensors = read(&path);
        edit(&mut tensors);
        write(&path, &tensors);
    }

    /// Cuts a file to its first `keep` bytes.
    pub(crate) fn truncate(&self, file: &str, keep: usize) {
        let bytes = fs::read(self.path(file)).unwrap();
        fs::write(self.path(file), &bytes[..keep.min(bytes.len() - 1)]).unwrap();
    }
}

/// Checks that every golden of a committed checkpoint agrees in f64 with what its graph gives, to within so much
/// of the largest magnitude of an output.
#[track_caller]
pub(crate) fn goldens_agree(name: &str, tolerance: f64) {
    let copy = Copy::of(name);
    let files = fs::read_dir(copy.folder()).unwrap();
    let files = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let goldens: Vec<_> = files.filter(|file| file.starts_with("golden")).collect();
    assert!(!goldens.is_empty(), "{name} has no golden");
    for golden in goldens {
        let found = copy.outputs(&golden).unwrap();
        for (output, expected) in Golden::open(&copy.path(&golden)).unwrap().outputs {
            let expected = Array { shape: expected.shape, data: expected.values };
            let difference = difference(&expected, &found[&output]);
            assert!(
                difference < tolerance,
                "{output} of {name}/{golden} differs by {difference:e}"
            );
        }
    }
}

/// Checks that the keys that are read are those of the `changes`, and that each change has another result for the
/// inputs of `golden.safetensors`, or is refused. A key that several values turn to other things may come twice.
#[track_caller]
pub(crate) fn every_key_matters(base: impl Fn() -> Copy, changes: &[(&str, Value)]) {
    keys_matter(base, |_| true, changes);
}

/// The same of a family's own keys; those of its parts are tested where the parts are.
#[track_caller]
pub(crate) fn keys_matter(
    base: impl Fn() -> Copy,
    own: impl Fn(&str) -> bool,
    changes: &[(&str, Value)],
) {
    let copy = base();
    let mut config = Config::open(&copy.path("config.json")).unwrap();
    Family::read(&mut config).unwrap();
    let read: BTreeSet<_> = config.read_keys().filter(|key| own(key)).collect();
    assert_eq!(read, changes.iter().map(|(key, _)| *key).collect());
    let expected = copy.outputs("golden.safetensors").unwrap();
    for (key, value) in changes {
        let copy = base();
        copy.configure(key, Some(value.clone()));
        let Ok(found) = copy.outputs("golden.safetensors") else { continue };
        let differs = |(name, output): (&String, &Array)| {
            found.get(name).is_none_or(|found| difference(output, found) > 1e-4)
        };
        assert!(expected.iter().any(differs), "{key} changes nothing when it is {value}");
    }
}

/// The largest difference relative to the largest magnitude that is expected; infinite for another shape.
pub(crate) fn difference(expected: &Array, found: &Array) -> f64 {
    if expected.shape != found.shape {
        return f64::INFINITY;
    }
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let scale = largest(&mut expected.data.iter().map(|v| v.abs()));
    let pairs = expected.data.iter().zip(&found.data);
    let difference = largest(&mut pairs.map(|(a, b)| (a - b).abs()));
    let finite = found.data.iter().all(|v| v.is_finite());
    if finite { difference / scale.max(f64::MIN_POSITIVE) } else { f64::INFINITY }
}

/// The tensors of a file.
pub(crate) fn read(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let parsed = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = parsed.tensors().into_iter();
    tensors.map(|(n, v)| (n, (v.dtype(), v.shape().to_vec(), v.data().to_vec()))).collect()
}

/// Writes tensors as a file.
pub(crate) fn write(path: &Path, tensors: &Tensors) {
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// One element of an f32 tensor, to be changed.
pub(crate) fn change(tensors: &mut Tensors, name: &str, index: usize, to: impl Fn(f32) -> f32) {
    let (dtype, _, bytes) = tensors.get_mut(name).unwrap();
    assert_eq!(*dtype, Dtype::F32);
    let element: &mut [u8; 4] = (&mut bytes[4 * index..4 * index + 4]).try_into().unwrap();
    *element = to(f32::from_le_bytes(*element)).to_le_bytes();
}

/// One element of an i64 tensor, to be another.
pub(crate) fn change_index(tensors: &mut Tensors, name: &str, index: usize, to: i64) {
    let (dtype, _, bytes) = tensors.get_mut(name).unwrap();
    assert_eq!(*dtype, Dtype::I64);
    bytes[8 * index..8 * index + 8].copy_from_slice(&to.to_le_bytes());
}

/// The model of a published size, whose weights are made up, can be built, and no key of its configuration is passed
/// over.
#[track_caller]
pub(crate) fn published_is_read(name: &str) {
    let checkpoint = Checkpoint::seeded(&package_path("published").join(name)).unwrap();
    checkpoint.graph(&checkpoint.family().architecture().example()).unwrap();
    assert_eq!(checkpoint.note(), None);
}
