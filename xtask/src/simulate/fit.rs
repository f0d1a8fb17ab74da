//! `simulate fit`: learns from measured operators, and shows how wrong it is on devices that are left out.

use super::files;
use crate::clock::Stopwatch;
use crate::output::tell;
use crate::output::{self, Format};
use anyhow::Result;
use proofmark_lab::figures::percent;
use proofmark_lab::simulate::{Fit, Validation};
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `simulate fit`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Measured operators: CSV with op, device, b, m, n, k, h, latency_ms
    #[arg(long, value_name = "CSV")]
    ops: PathBuf,
    /// Published figures of the devices: JSON
    #[arg(long, value_name = "JSON")]
    devices: PathBuf,
    /// Where the fit goes; a fit of other inputs that is there is kept beside it
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Args {
    pub(super) fn run(self) -> Result<ExitCode> {
        let since = Stopwatch::start();
        let devices = files::devices(&self.devices)?;
        let (measured, inputs) = files::measured(&self.ops, &devices)?;
        tell!("learning from {} operators; each device is left out once", measured.len());
        let (fit, validation) = Fit::new(&devices, &measured, inputs)?;
        files::write_fit(&self.out, &fit, &validation)?;
        tell!("fitted in {:.1} s, in {}", since.elapsed().as_secs_f64(), self.out.display());
        match self.format {
            Format::Json => output::print_json(&validation)?,
            Format::Table => output::print(&text(&fit, &validation))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The errors as tables.
fn text(fit: &Fit, validation: &Validation) -> String {
    let mut table = output::table([
        "device left out",
        "class",
        "operators",
        "mean error",
        "bias",
        "p90 error",
        "in interval",
        "roofline's error",
    ]);
    for errors in &validation.errors {
        table.add_row([
            errors.device.clone(),
            errors.class.name().to_owned(),
            errors.rows.to_string(),
            percent(errors.mape),
            percent(errors.bias),
            percent(errors.p90),
            errors.coverage.map_or_else(|| "unknown".to_owned(), percent),
            percent(errors.roofline_mape),
        ]);
    }
    let mut worst = output::table(["worst operators", "on", "predicted, ms"]);
    for row in &validation.worst {
        worst.add_row([row.row.clone(), row.device.clone(), format!("{:.4}", row.predicted_ms)]);
    }
    let (unlimited, energy) = fit.levels().parameters();
    format!(
        "{table}\n{worst}\n\
         Of devices that were left out: mean error {}, {} of the times inside their intervals of {}.\n\
         Of operators that were left out on devices that were not: mean error {}.\n\
         Products reach {} of the peak where power does not limit them; an operation in a chip of 12 nm at 1 GHz takes {energy:.1} pJ.\n",
        percent(validation.mape),
        validation.coverage.map_or_else(|| "unknown how many".to_owned(), percent),
        percent(validation.nominal_coverage),
        percent(validation.mape_within),
        percent(unlimited),
    )
}
