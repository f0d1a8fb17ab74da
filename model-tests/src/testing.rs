//! What the tests of this crate share: a copy of a committed checkpoint in a folder of its own, to be damaged.

use crate::catalogue::package_path;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::BTreeMap;
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

    /// Sets a key of the configuration, or removes it.
    pub(crate) fn configure(&self, key: &str, value: Option<Value>) {
        let path = self.path("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let object = config.as_object_mut().unwrap();
        match value {
            Some(value) => drop(object.insert(key.into(), value)),
            None => drop(object.remove(key).expect("the key was there")),
        }
        fs::write(path, config.to_string()).unwrap();
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
