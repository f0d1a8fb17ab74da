//! Makes files of legacy results, to measure how fast they are migrated.
//!
//! `cargo run -p proofmark-lab --example legacy_files -- FOLDER COUNT BYTES` writes COUNT files of about BYTES bytes each:
//! every second one is a list of runs and nearly all numbers, the others tell of runs with their logs. The same
//! arguments give the same files on every machine.

use serde_json::{Value, json};
use std::path::Path;

const ENDPOINTS: [&str; 4] = ["cpu", "cuda", "webgpu", "openvino"];
const LOG: &str = "loading the weights\nrunning the model on CPU\nthe outputs agree with those of the last run\ndone\n";

/// An entry of a list of runs; its numbers follow from its own.
fn run(number: usize) -> Value {
    let part = number as f64 / 7.0;
    json!({
        "model_name": format!("model-{}", number % 50), "hardware_type": ENDPOINTS[number % 4], "batch_size": 1 + number % 8,
        "precision": "fp32", "average_latency_ms": part, "throughput_items_per_second": part * 3.0, "memory_peak_mb": part * 5.0,
        "timestamp": "2025-03-05T19:33:36.524651", "status": "success", "metrics": {"cpu_util_percent": number % 100}
    })
}

/// What a program tells of a run.
fn told(number: usize) -> Value {
    let part = number as f64 / 7.0;
    json!({
        "model_name": format!("model-{}", number % 50), "status": {"cpu_init": "Success (REAL)", "cuda_init": "Success (MOCK)"},
        "stdout": LOG.repeat(1 + number % 3), "return_code": 0, "cpu_total_time": part, "cuda_total_time": part / 2.0,
        "examples": [
            {"platform": "CPU", "input": "a question", "output": "an answer of some length", "elapsed_time": part},
            {"platform": "CUDA", "input": "a question", "output": "another answer", "elapsed_time": part / 2.0}
        ]
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count, bytes] = args.as_slice() else { return Err("FOLDER COUNT BYTES".into()) };
    let (count, bytes): (usize, usize) = (count.parse()?, bytes.parse()?);
    std::fs::create_dir_all(folder)?;
    for file in 0..count {
        let (mut entries, mut length) = (Vec::new(), 0);
        while length < bytes {
            let number = file * 1000 + entries.len();
            let entry = if file % 2 == 0 { run(number) } else { told(number) };
            length += entry.to_string().len() + 1;
            entries.push(entry);
        }
        let whole = json!({"simulated_hardware": ["webgpu"], "file": file, "results": entries});
        std::fs::write(Path::new(folder).join(format!("{file:06}.json")), whole.to_string())?;
    }
    Ok(())
}
