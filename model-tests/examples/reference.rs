//! Compares checkpoints with their goldens in f64, without any device: whether a graph is the model at all.
//!
//! `reference DIR…` takes folders with config.json, model.safetensors and golden*.safetensors, and prints for each
//! golden the largest error relative to the largest magnitude of an output. Exit code 1 if one is above 1e-5 or fails.

use anyhow::{Context, Result, ensure};
use proofmark_kernels::evaluate;
use proofmark_models::checkpoint::Checkpoint;
use proofmark_models::golden::Golden;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut failed = 0;
    for folder in std::env::args().skip(1) {
        for golden in goldens(Path::new(&folder)) {
            let (name, result) = (golden.display(), check(Path::new(&folder), &golden));
            match result {
                Ok(worst) if worst <= 1e-5 => println!("{name}: {worst:.1e}"),
                Ok(worst) => println!("{name}: WRONG {worst:.1e}"),
                Err(ref error) => println!("{name}: FAILED {error:#}"),
            }
            failed += usize::from(!result.is_ok_and(|worst| worst <= 1e-5));
        }
    }
    println!("{failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

fn goldens(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_golden = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.starts_with("golden") && name.ends_with(".safetensors"))
    };
    let mut goldens: Vec<_> = entries.map(|entry| entry.path()).filter(is_golden).collect();
    goldens.sort();
    goldens
}

/// The largest relative error over all outputs of a golden.
fn check(folder: &Path, golden: &Path) -> Result<f64> {
    let checkpoint = Checkpoint::open(folder)?;
    let golden = Golden::open(golden)?;
    let (binding, given) = golden.inputs(checkpoint.family())?;
    let graph = checkpoint.graph(&binding)?;
    let inputs = checkpoint.tensors(&graph, &binding, &given)?;
    let names: Vec<_> = graph.outputs().iter().map(|(name, _)| name.as_str()).collect();
    golden.check_outputs(checkpoint.family(), &names)?;
    let found = evaluate(&graph, checkpoint.weights(), &inputs)?;
    let mut worst: f64 = 0.0;
    for (name, expected) in &golden.outputs {
        let position = names.iter().position(|n| n == name).context("an output is missing")?;
        let found = &found[position];
        ensure!(found.shape == expected.shape, "{name} is {:?}", found.shape);
        let scale = expected.values.iter().fold(0.0, |max: f64, v| v.abs().max(max));
        let differences = found.data.iter().zip(&expected.values).map(|(a, b)| (a - b).abs());
        let error = differences.fold(0.0, f64::max) / scale.max(f64::MIN_POSITIVE);
        worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
    }
    Ok(worst)
}
