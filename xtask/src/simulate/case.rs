//! `simulate case`: a whole model on a device, kernel by kernel, memory included.

use super::{files, outline};
use crate::clock;
use crate::context::{self, Context};
use crate::lock::Lock;
use crate::output::{self, Format};
use anyhow::{Context as _, Result};
use proofmark_lab::figures::{bytes, percent, three_digits};
use proofmark_lab::simulate::recorded::{self, Recorded};
use proofmark_lab::simulate::whole::{self, Outline, Whole};
use proofmark_lab::simulate::{Device, Fit};
use proofmark_lab::store::Store;
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `simulate case`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The model, by name
    #[arg(long, value_name = "NAME")]
    model: String,
    /// The device, by name; may be repeated; all that are listed unless given
    #[arg(long, value_name = "NAME")]
    device: Vec<String>,
    /// The shape, as it stands in case ids
    #[arg(long, value_name = "SHAPE")]
    shape: Option<String>,
    /// The folder of a fit
    #[arg(long, value_name = "DIR")]
    fit: PathBuf,
    /// Published figures of devices: JSON; those that come with Proofmark unless given
    #[arg(long, value_name = "JSON")]
    devices: Option<PathBuf>,
    /// Kernels that the table shows of a single device, those with most time first
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Args {
    pub(super) fn run(self, open: impl FnOnce() -> Result<Context>) -> Result<ExitCode> {
        let fit = files::read_fit(&self.fit)?;
        let devices = match &self.devices {
            Some(path) => files::devices(path)?,
            None => Device::published()?,
        };
        let asked: Vec<&Device> = match self.device.as_slice() {
            [] => devices.iter().collect(),
            names => {
                names.iter().map(|name| Device::find(&devices, name)).collect::<Result<_, _>>()?
            }
        };
        let context = open()?;
        let suite = context.workspace.build_with_tool(outline::TOOL)?;
        let outline = outline::ask(&suite, &self.model, self.shape.as_deref())?;
        let wholes: Vec<Whole> = asked
            .iter()
            .map(|device| whole::predict(&fit, device, &outline))
            .collect::<Result<_, _>>()?;
        let now = clock::now();
        let pairs = wholes.iter().zip(&asked);
        keep(&context, pairs.map(|(whole, device)| Recorded::new(whole, &outline, device, now)))?;
        match self.format {
            Format::Json => output::print_json(&wholes)?,
            Format::Table => output::print(&text(&fit, &outline, &wholes, self.top))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Keeps the predictions in a file of their own, and in their own table of the database.
fn keep(context: &Context, predictions: impl Iterator<Item = Recorded>) -> Result<()> {
    let _lock = Lock::take(context)?;
    let folder = &context.predictions;
    let (known, _) = recorded::read(folder)
        .with_context(|| format!("failed to read the predictions in {}", folder.display()))?;
    let known: HashSet<&str> = known.iter().map(|known| known.id.as_str()).collect();
    let is_new = |prediction: &Recorded| !known.contains(prediction.id.as_str());
    let new: Vec<Recorded> = predictions.filter(is_new).collect();
    recorded::append(folder, &new)
        .with_context(|| format!("failed to write the predictions into {}", folder.display()))?;
    let (_, faults) = Store::open(&context.db)?.ingest_predictions(folder)?;
    context::warn_of(&faults);
    Ok(())
}

/// All devices in a table, and of a single one its longest kernels.
fn text(fit: &Fit, outline: &Outline, wholes: &[Whole], top: usize) -> String {
    let mut table = output::table([
        "device",
        "mark",
        "predicted, ms",
        "interval of 90 %",
        "confidence",
        "validated error",
        "extrapolated",
        "nearest measured",
        "fits",
    ]);
    for whole in wholes {
        table.add_row([
            whole.device.clone(),
            whole.mark.to_string(),
            three_digits(whole.predicted_ms),
            format!("{} to {}", three_digits(whole.low_ms), three_digits(whole.high_ms)),
            whole.confidence.name().to_owned(),
            whole.validated_error.map_or_else(|| "none".to_owned(), percent),
            percent(whole.extrapolated_share),
            whole.nearest_device.clone(),
            if whole.fits { "yes" } else { "no" }.to_owned(),
        ]);
    }
    let mut text = format!(
        "{table}\n{} at {}: predictions in f32, of {} kernels and {} of memory; none was run. Fit {} of {} measured devices.\n",
        outline.model,
        outline.shape,
        outline.kernels.len(),
        bytes(outline.weight_bytes + outline.value_bytes),
        &fit.inputs[..fit.inputs.len().min(12)],
        fit.devices.len(),
    );
    if let [whole] = wholes {
        let mut parts: Vec<_> = whole.parts.iter().collect();
        parts.sort_by(|a, b| b.predicted_ms.total_cmp(&a.predicted_ms));
        let mut longest = output::table(["kernel", "of", "predicted, ms", "share"]);
        for part in parts.into_iter().take(top) {
            longest.add_row([
                part.kernel.clone(),
                part.node.clone(),
                three_digits(part.predicted_ms),
                percent(part.predicted_ms / whole.predicted_ms),
            ]);
        }
        text += &format!("{longest}\n");
    }
    text
}
