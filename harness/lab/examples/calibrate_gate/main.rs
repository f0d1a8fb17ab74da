//! Fits the constants of the gate to real noise, and estimates by cross-validation how often the gate is right.
//!
//! `cargo run -p proofmark-lab --example calibrate_gate -- FILE`, where FILE is
//! `{"benchmarks": [{"id": …, "processes_s": [[seconds, …], …]}]}`: several processes of one and the same code per
//! benchmark. Half of the processes of a benchmark become base, half head, in every way; then head is slowed by a
//! factor. Benchmarks of one project (an id up to its first `#`) are left out together. `fit` has the procedure,
//! `rates` what is counted.

mod fit;
mod rates;
mod table;

use proofmark_lab::gate::evidence::Model;
use rates::{Count, Rates};
use std::process::ExitCode;
use table::{SHIFTS, Table};

/// The minimal effect at which everything is calibrated.
const MIN_EFFECT: f64 = 0.01;
/// The significance level of the command line.
const ALPHA: f64 = 0.05;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: calibrate_gate FILE");
        return ExitCode::from(2);
    };
    match table::read(&path) {
        Ok(benchmarks) => calibrate(&benchmarks),
        Err(message) => {
            eprintln!("error: failed to read {path}: {message}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn calibrate(benchmarks: &[table::Benchmark]) {
    let all: Vec<usize> = (0..benchmarks.len()).collect();
    let freedom = fit::freedom(benchmarks, &all);
    println!("degrees of freedom by maximum likelihood: {freedom}");
    let table = Table::new(benchmarks, freedom);
    let model = fit::model(benchmarks, &table, &all, freedom);
    println!("constants of all benchmarks: {model:#?}");
    let folds = fit::folds(benchmarks);
    println!("{} benchmarks of {} projects", benchmarks.len(), folds.len());
    let mut held_out: Vec<Option<Model>> = vec![None; benchmarks.len()];
    for fold in &folds {
        let rest: Vec<usize> = all.iter().copied().filter(|index| !fold.contains(index)).collect();
        let model = fit::model(benchmarks, &table, &rest, freedom);
        fold.iter().for_each(|&index| held_out[index] = Some(model));
    }
    let models: Vec<Model> = held_out.into_iter().flatten().collect();
    let thresholds = models.iter().map(|model| model.threshold);
    let (low, high) = thresholds.fold((f64::MAX, f64::MIN), |(a, b), t| (a.min(t), b.max(t)));
    println!("thresholds of the folds: {low:.2} to {high:.2}\n");
    let rates = Rates::new(&table, &models, &folds);
    println!("| change | verdict | this gate | exact permutation, p < .05, > 1 % |");
    println!("|---|---|---|---|");
    for (shift, name) in [(0, "none"), (1, "+1 %"), (3, "+3 %"), (5, "+5 %"), (7, "+10 %")] {
        debug_assert!(shift < SHIFTS.len());
        for count in Count::ALL {
            let ours = rates.gate(shift, count);
            let peer = rates.peer(shift, count).map(|r| r.to_string()).unwrap_or_default();
            println!("| {name} | {} | {ours} | {peer} |", count.name());
        }
    }
    println!("\nmost false alarms of one benchmark: {:.2} %", 100.0 * rates.worst());
}
