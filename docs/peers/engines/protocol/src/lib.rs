//! How docs/peers speaks to an engine: `ready NAME` or `error REASON` first; then `run N` is answered with the
//! nanoseconds of each of N runs, and `output FILE` writes the first output there as f32.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

/// One run: the first output, and how long the run took.
pub type Run = Box<dyn FnMut() -> Result<(Vec<f32>, Duration)>>;

/// Answers lines with this engine until there are no more.
pub fn serve(name: &str, opened: Result<Run>) -> Result<()> {
    match &opened {
        Ok(_) => answer(&format!("ready {name}"))?,
        Err(error) => answer(&format!("error {error:#}").replace('\n', " "))?,
    }
    let mut run = opened?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("run", runs)) => {
                let runs = 0..runs.parse::<usize>()?;
                let times = runs.map(|_| Ok(run()?.1.as_nanos().to_string()));
                answer(&times.collect::<Result<Vec<_>>>()?.join(" "))?;
            }
            Some(("output", file)) => {
                let bytes: Vec<_> = run()?.0.iter().flat_map(|v| v.to_le_bytes()).collect();
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

/// A result and the time that it took.
pub fn timed<T>(run: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let start = Instant::now();
    let result = run()?;
    Ok((result, start.elapsed()))
}
