//! `simulate predict`: adds predictions to a table of operators.

use super::files;
use crate::clock::Stopwatch;
use crate::output::tell;
use anyhow::{Context as _, Result, bail};
use proofmark_lab::simulate::table;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `simulate predict`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Operators: CSV with op, device, b, m, n, k, h
    #[arg(long, value_name = "CSV")]
    ops: PathBuf,
    /// Published figures of the devices: JSON
    #[arg(long, value_name = "JSON")]
    devices: PathBuf,
    /// The folder of a fit
    #[arg(long, value_name = "DIR")]
    fit: PathBuf,
    /// The table with predictions
    #[arg(long, value_name = "CSV")]
    out: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<ExitCode> {
        let devices = files::devices(&self.devices)?;
        let fit = files::read_fit(&self.fit)?;
        let ops = self.ops.display();
        let input =
            File::open(&self.ops).with_context(|| format!("failed to read the operators {ops}"))?;
        if same_file(&self.ops, &self.out) {
            bail!("--out would overwrite the operators {ops}: give another file");
        }
        let partial = files::partial(&self.out);
        let output = File::create(&partial)
            .with_context(|| format!("failed to create {}", partial.display()))?;
        let since = Stopwatch::start();
        let predicted =
            table::predict(&fit, &devices, BufReader::new(input), BufWriter::new(output))
                .with_context(|| format!("failed to predict the operators {ops}"));
        let rows = predicted.inspect_err(|_| drop(fs::remove_file(&partial)))?;
        fs::rename(&partial, &self.out)
            .with_context(|| format!("failed to write {}", self.out.display()))?;
        tell!("predicted {rows} operators in {:.2} s", since.elapsed().as_secs_f64());
        Ok(ExitCode::SUCCESS)
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
