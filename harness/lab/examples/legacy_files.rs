//! Makes files of legacy results, to measure how fast they are migrated.
//!
//! `cargo run -p proofmark-lab --example legacy_files -- FOLDER COUNT BYTES` writes COUNT files of about BYTES bytes each:
//! every second one is a list of runs and nearly all numbers, the others tell of runs with their logs. The same
//! arguments give the same files on every machine.

use serde_json::{Value, json};
use std::path::Path;

const ENDPOINTS: [&str; 4] = ["cpu", "cuda", "webgpu", "openvino"];
const LOG: &str = "loading the weights\nrunning the model on CPU\nthe outputs agree with those of the last run\ndone\n";

fn run(random: &mut fastrand::Rng) -> Value {
    json!({
        "model_name": format!("model-{}", random.u32(0..50)), "hardware_type": random.choice(ENDPOINTS), "batch_size": random.choice([1, 4, 8]),
        "precision": "fp32", "average_latency_ms": random.f64() * 90.0, "throughput_items_per_second": random.f64() * 900.0,
        "memory_peak_mb": 90.0 + random.f64() * 9000.0, "timestamp": "2025-03-05T19:33:36.524651", "status": "success",
        "metrics": {"cpu_util_percent": random.f64() * 100.0}
    })
}

fn told(random: &mut fastrand::Rng) -> Value {
    json!({
        "model_name": format!("model-{}", random.u32(0..50)), "status": {"cpu_init": "Success (REAL)", "cuda_init": "Success (MOCK)"},
        "stdout": LOG.repeat(random.usize(1..4)), "return_code": 0, "cpu_total_time": random.f64() * 9.0, "cuda_total_time": random.f64(),
        "examples": [
            {"platform": "CPU", "input": "a question", "output": "an answer of some length", "elapsed_time": random.f64()},
            {"platform": "CUDA", "input": "a question", "output": "another answer", "elapsed_time": random.f64()}
        ]
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count, bytes] = args.as_slice() else { return Err("FOLDER COUNT BYTES".into()) };
    let (count, bytes): (u64, usize) = (count.parse()?, bytes.parse()?);
    std::fs::create_dir_all(folder)?;
    for file in 0..count {
        let mut random = fastrand::Rng::with_seed(file);
        let (mut entries, mut length) = (Vec::new(), 0);
        while length < bytes {
            let entry = if file % 2 == 0 { run(&mut random) } else { told(&mut random) };
            length += entry.to_string().len() + 1;
            entries.push(entry);
        }
        let whole = json!({"simulated_hardware": ["webgpu"], "file": file, "results": entries});
        std::fs::write(Path::new(folder).join(format!("{file:06}.json")), whole.to_string())?;
    }
    Ok(())
}
