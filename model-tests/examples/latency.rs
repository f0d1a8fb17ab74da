//! Latency of one checkpoint on the CPU, for a comparison with other engines that runs beside it.
//!
//! `latency FOLDER THREADS` reads lines: `batch sequence runs` answers with the nanoseconds of each run,
//! `batch sequence output` with the first output. The inputs are those of `docs/compare_peers.py`.

use anyhow::{Context, Result, bail};
use proofmark_kernels::cpu::CpuDevice;
use proofmark_kernels::{Binding, Device, Precision, Program, Tensor};
use proofmark_models::checkpoint::Checkpoint;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{BufRead, Write};
use std::path::Path;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, threads] = args.as_slice() else { bail!("use: latency FOLDER THREADS") };
    let checkpoint = Checkpoint::open(Path::new(folder))?;
    let device = CpuDevice::open(Some(threads.parse().context("THREADS is a number")?))?;
    let mut programs: BTreeMap<(usize, usize), Box<dyn Program>> = BTreeMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<_> = line.split_whitespace().collect();
        let &[batch, sequence, what] = words.as_slice() else {
            bail!("`{line}` is not `batch sequence runs`, nor `batch sequence output`");
        };
        let shape = (batch.parse()?, sequence.parse()?);
        let program = match programs.entry(shape) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let graph = checkpoint.graph(&Binding::batch_sequence(shape.0, shape.1))?;
                entry.insert(device.prepare(&graph, checkpoint.weights(), Precision::F32)?)
            }
        };
        let inputs = inputs(shape.0, shape.1)?;
        let answer: Vec<String> = if what == "output" {
            let (outputs, _) = program.run(&inputs)?;
            outputs[0].to_f32().iter().map(f32::to_string).collect()
        } else {
            let runs = 0..what.parse::<usize>()?;
            let times = runs.map(|_| Ok(program.run(&inputs)?.1.as_nanos().to_string()));
            times.collect::<Result<_>>()?
        };
        println!("{}", answer.join(" "));
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Ids that repeat nothing nearby, all seen, all of the first type.
fn inputs(batch: usize, sequence: usize) -> Result<Vec<Tensor>> {
    let ids = (0..batch * sequence).map(|i| i32::try_from(i * 7919 % 20000 + 1000));
    let filled = |value| Tensor::i32([batch, sequence], vec![value; batch * sequence]);
    let ids = Tensor::i32([batch, sequence], ids.collect::<Result<_, _>>()?);
    Ok(vec![ids, filled(1), filled(0)])
}
