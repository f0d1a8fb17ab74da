//! Latency of one model on one device, for a comparison with other engines that runs beside it (docs/peers).
//!
//! `latency DEVICE THREADS PRECISION FOLDER INPUTS OUTPUT…` prepares the part of a checkpoint's graph that makes these
//! outputs for the inputs of a golden file, and answers `ready` with the device's name, or `error` with the reason.
//! Then it reads lines: `run N` answers with the nanoseconds of each of N runs, `output FILE` writes the first output
//! there as f32. DEVICE is `cpu`, or `webgpu` for the first adapter that the driver offers, which takes no THREADS.

use anyhow::{Context, Result, bail};
use proofmark_kernels::cpu::CpuDevice;
use proofmark_kernels::webgpu::WgpuDevice;
use proofmark_kernels::{Device, Precision, Program, Tensor};
use proofmark_models::checkpoint::Checkpoint;
use proofmark_models::golden::Golden;
use std::io::{BufRead, Write};
use std::path::Path;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let opened = open(&args);
    match &opened {
        Ok((name, ..)) => answer(&format!("ready {name}"))?,
        Err(error) => answer(&format!("error {error:#}"))?,
    }
    let (_, mut program, inputs) = opened?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("run", runs)) => {
                let runs = 0..runs.parse::<usize>()?;
                let times = runs.map(|_| Ok(program.run(&inputs)?.1.as_nanos().to_string()));
                answer(&times.collect::<Result<Vec<_>>>()?.join(" "))?;
            }
            Some(("output", file)) => {
                let (outputs, _) = program.run(&inputs)?;
                let floats = outputs.first().map(Tensor::to_f32).unwrap_or_default();
                let bytes: Vec<_> = floats.iter().flat_map(|v| v.to_le_bytes()).collect();
                std::fs::write(file, bytes).with_context(|| format!("write {file}"))?;
                answer("written")?;
            }
            _ => bail!("`{line}` is neither `run N` nor `output FILE`"),
        }
    }
    Ok(())
}

fn answer(line: &str) -> Result<()> {
    println!("{line}");
    Ok(std::io::stdout().flush()?)
}

/// The device's name, the prepared program and what it takes.
fn open(args: &[String]) -> Result<(String, Box<dyn Program>, Vec<Tensor>)> {
    let [device, threads, precision, folder, inputs, wanted @ ..] = args else {
        bail!("use: latency DEVICE THREADS PRECISION FOLDER INPUTS OUTPUT…");
    };
    let precision: Precision = precision.parse().map_err(anyhow::Error::msg)?;
    let device: Box<dyn Device> = match &**device {
        "cpu" => {
            let threads = threads.parse().context("THREADS is a number")?;
            Box::new(CpuDevice::open(Some(threads))?)
        }
        "webgpu" => Box::new(WgpuDevice::open()?),
        other => bail!("`{other}` is no device: there are cpu, webgpu"),
    };
    let checkpoint = Checkpoint::open(Path::new(folder))?;
    let (binding, given) = Golden::open(Path::new(inputs))?.inputs(checkpoint.family())?;
    let wanted: Vec<_> = wanted.iter().map(String::as_str).collect();
    let graph = checkpoint.graph(&binding)?.with_outputs(&wanted)?;
    let tensors = checkpoint.tensors(&graph, &binding, &given)?;
    let program = device.prepare(&graph, checkpoint.weights(), precision)?;
    Ok((device.identity().adapter.clone(), program, tensors))
}
