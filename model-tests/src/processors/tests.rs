//! Whole folders: against transformers, and what is refused.

use super::testing::{Golden, errors, path};
use super::*;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with this preprocessing.
fn folder(config: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("preprocessor_config.json"), config.to_string()).unwrap();
    folder
}

fn open(config: &Value) -> Result<Processor, Error> {
    Processor::open(folder(config).path())
}

struct Case {
    name: String,
    config: Value,
    files: Vec<PathBuf>,
    kept: Value,
}

impl Case {
    fn all() -> Vec<Self> {
        let text = std::fs::read_to_string(path("cases.json")).unwrap();
        let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
        let case = |case: &Value| Self {
            name: case["name"].as_str().unwrap().into(),
            config: case["config"].clone(),
            files: case["files"].as_array().unwrap().iter().map(|f| file(f.as_str().unwrap())).collect(),
            kept: case["kept"].clone(),
        };
        cases.iter().map(case).collect()
    }

    fn named(name: &str) -> Self {
        Self::all().into_iter().find(|case| case.name == name).unwrap()
    }

    fn run(&self, config: &Value) -> Result<Inputs, Error> {
        let processor = open(config)?;
        assert!(processor.unknown_keys().is_empty(), "{:?}", processor.unknown_keys());
        if processor.takes_pictures() {
            processor.images(&self.files)
        } else {
            processor.audio(&self.files)
        }
    }

    fn errors(&self, prefix: &str) -> Vec<(String, f32)> {
        let golden = Golden::open(&format!("cases/{}", self.name));
        let steps = |name: &str| {
            let steps = self.kept[name].as_array().map_or(&[] as &[Value], Vec::as_slice);
            steps.iter().map(|step| usize::try_from(step.as_u64().unwrap()).unwrap()).collect()
        };
        errors(&self.run(&self.config).unwrap(), &golden, prefix, steps)
    }
}

fn file(name: &str) -> PathBuf {
    path("files").join(name)
}

#[test]
fn probe() {
    for case in Case::all() {
        for prefix in ["default.", "pillow.", "numpy."] {
            let golden = Golden::open(&format!("cases/{}", case.name));
            if golden.names().iter().any(|n| n.starts_with(prefix)) {
                eprintln!("{} {prefix} {:?}", case.name, case.errors(prefix));
            }
        }
    }
}
