//! `simulate case`: whole models on devices, kernel by kernel, memory included; and on the endpoints of this machine, from
//! what its results taught.

use super::{files, kept, outline};
use crate::clock;
use crate::context::Context;
use crate::lock::Lock;
use crate::outcome::absent;
use crate::output::tell;
use crate::output::{self, Format};
use anyhow::{Result, bail};
use indicatif::ProgressBar;
use proofmark_lab::figures::{bytes, percent, three_digits};
use proofmark_lab::simulate::learned::{Learned, Place, newest};
use proofmark_lab::simulate::reality::{Metric, judge, pair};
use proofmark_lab::simulate::recorded::Recorded;
use proofmark_lab::simulate::whole::{self, Outline, Part};
use proofmark_lab::simulate::{Confidence, Device, Fit};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

/// Stands for this machine among the devices.
const HERE: &str = "here";
/// With fewer graded predictions of a device than this, the error of its whole models is not known.
const VALIDATED: usize = 5;

/// Flags of `simulate case`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The model, by name; may be repeated; all of published sizes unless given
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// The device, by name, or `here` or `here:ENDPOINT` for this machine; may be repeated; all that are listed unless
    /// given
    #[arg(long, value_name = "NAME")]
    device: Vec<String>,
    /// The shape, as it stands in case ids
    #[arg(long, value_name = "SHAPE")]
    shape: Option<String>,
    /// The folder of a fit; this machine alone needs none
    #[arg(long, value_name = "DIR")]
    fit: Option<PathBuf>,
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

/// A prediction with what it is made of; of this machine the kernels are not told apart.
#[derive(Serialize)]
struct Predicted {
    #[serde(flatten)]
    recorded: Recorded,
    parts: Vec<Part>,
}

impl Args {
    pub(super) fn run(self, open: impl FnOnce() -> Result<Context>) -> Result<ExitCode> {
        let is_here = |name: &&String| name.split(':').next() == Some(HERE);
        let (here, named): (Vec<&String>, Vec<&String>) = self.device.iter().partition(is_here);
        let away = self.away(&named, here.is_empty())?;
        let context = open()?;
        let lessons = kept::lessons(&context)?;
        let here = here_of(&lessons, &here)?;
        let mut predicted = Vec::new();
        for outline in self.outlines(&context)? {
            predicted.extend(predict(&outline, away.as_ref(), &here)?);
        }
        let _lock = Lock::take(&context)?;
        let errors = validated(&context, &lessons)?;
        for Predicted { recorded, .. } in &mut predicted {
            correct(recorded, &errors);
        }
        kept::append(&context, predicted.iter().map(|p| p.recorded.clone()).collect())?;
        kept::store(&context)?;
        match self.format {
            Format::Json => output::print_json(&predicted)?,
            Format::Table => output::print(&text(&predicted, self.top))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The fit and the devices that are not here.
    fn away(&self, named: &[&String], all: bool) -> Result<Option<(Fit, Vec<Device>)>> {
        if named.is_empty() && !all {
            return Ok(None);
        }
        let Some(folder) = &self.fit else {
            bail!("--fit is missing: devices that are not here need it (cargo xtask simulate fit)");
        };
        let fit = files::read_fit(folder)?;
        let devices = match &self.devices {
            Some(path) => files::devices(path)?,
            None => Device::published()?,
        };
        if named.is_empty() {
            return Ok(Some((fit, devices)));
        }
        let find = |name: &&String| Device::find(&devices, name).cloned();
        let devices = named.iter().map(find).collect::<Result<_, _>>()?;
        Ok(Some((fit, devices)))
    }

    fn outlines(&self, context: &Context) -> Result<Vec<Outline>> {
        let suite = context.workspace.build_with_tool(outline::TOOL)?;
        let shape = self.shape.as_deref();
        if !self.model.is_empty() {
            return self.model.iter().map(|model| outline::ask(&suite, model, shape)).collect();
        }
        let models = outline::published(&suite)?;
        let bar = ProgressBar::new(models.len() as u64).with_message("kernels of models");
        let mut outlines = Vec::new();
        for model in models {
            bar.inc(1);
            match outline::ask(&suite, &model, shape) {
                Ok(outline) => outlines.push(outline),
                Err(error) => bar.suspend(|| tell!("note: {model} is left out: {error:#}")),
            }
        }
        bar.finish_and_clear();
        if outlines.is_empty() {
            bail!("no model of a published size has kernels at this shape");
        }
        Ok(outlines)
    }
}

/// The newest lessons of this machine that `here` and `here:ENDPOINT` mean.
fn here_of<'a>(lessons: &'a [Learned], names: &[&String]) -> Result<Vec<&'a Learned>> {
    let machine = proofmark::environment::machine().machine;
    let places: BTreeSet<_> =
        lessons.iter().map(|l| &l.place).filter(|place| place.machine == machine).collect();
    let mut found = Vec::new();
    for name in names {
        let endpoint = name.split_once(':').map(|(_, endpoint)| endpoint);
        let is_asked = |place: &&&Place| endpoint.is_none_or(|name| place.endpoint == name);
        let own: Vec<_> =
            places.iter().filter(is_asked).filter_map(|place| newest(lessons, place)).collect();
        if own.is_empty() {
            return Err(absent(format!(
                "nothing was learned of {name} on this machine: run cargo xtask incremental, then cargo xtask simulate \
                 calibrate"
            )));
        }
        found.extend(own);
    }
    Ok(found)
}

fn predict(
    outline: &Outline,
    away: Option<&(Fit, Vec<Device>)>,
    here: &[&Learned],
) -> Result<Vec<Predicted>> {
    let now = clock::now();
    let mut all = Vec::new();
    for (fit, device) in
        away.iter().flat_map(|(fit, devices)| devices.iter().map(move |d| (fit, d)))
    {
        let whole = whole::predict(fit, device, outline)?;
        let recorded = Recorded::new(&whole, outline, device, now);
        all.push(Predicted { recorded, parts: whole.parts });
    }
    let memory = proofmark::environment::machine().memory_bytes;
    let of_here = |lesson: &&Learned| {
        let recorded = lesson.predict(outline, now);
        let fits = recorded.memory_bytes < memory;
        Predicted { recorded: Recorded { fits, ..recorded }, parts: Vec::new() }
    };
    all.extend(here.iter().map(of_here));
    Ok(all)
}

/// The mean error of whole models by device, where enough real results grade earlier predictions.
fn validated(context: &Context, lessons: &[Learned]) -> Result<BTreeMap<String, f64>> {
    let predictions = kept::predictions(context)?;
    let facts = context.ingest()?.facts()?;
    let worth = judge(&pair(&predictions, lessons, &facts));
    let of_device = worth.groups.into_iter().filter(|(group, grade)| {
        group.metric == Metric::Latency
            && group.reality == proofmark::Mark::Real.name()
            && !group.device.is_empty()
            && grade.results >= VALIDATED
    });
    Ok(of_device.map(|(group, grade)| (group.device, grade.mape.value)).collect())
}

/// What whole models showed of a device counts more than what its operators promise. This machine's own errors are
/// nearer still, and stay.
fn correct(recorded: &mut Recorded, errors: &BTreeMap<String, f64>) {
    if let (None, Some(error)) = (&recorded.machine, errors.get(&recorded.device)) {
        recorded.validated_error = Some(*error);
        recorded.confidence = Confidence::of(Some(*error));
    }
}

/// All devices in a table, and of a single one its longest kernels.
fn text(predicted: &[Predicted], top: usize) -> String {
    let mut table = output::table([
        "model",
        "device",
        "mark",
        "predicted, ms",
        "interval of 90 %",
        "confidence",
        "validated error",
        "extrapolated",
        "nearest measured",
        "memory",
        "fits",
    ]);
    for Predicted { recorded: p, .. } in predicted {
        table.add_row([
            format!("{} {}", p.model, p.shape),
            place(p),
            p.mark.to_string(),
            three_digits(p.predicted_ms),
            format!("{} to {}", three_digits(p.low_ms), three_digits(p.high_ms)),
            p.confidence.name().to_owned(),
            p.validated_error.map_or_else(|| "none".to_owned(), percent),
            percent(p.extrapolated_share),
            p.nearest_device.clone(),
            bytes(p.memory_bytes),
            if p.fits { "yes" } else { "no" }.to_owned(),
        ]);
    }
    let mut text = format!("{table}\nPredictions in f32; none was run.\n");
    if let [Predicted { recorded, parts }] = predicted
        && !parts.is_empty()
    {
        let mut parts: Vec<_> = parts.iter().collect();
        parts.sort_by(|a, b| b.predicted_ms.total_cmp(&a.predicted_ms));
        let mut longest = output::table(["kernel", "of", "predicted, ms", "share"]);
        for part in parts.into_iter().take(top) {
            longest.add_row([
                part.kernel.clone(),
                part.node.clone(),
                three_digits(part.predicted_ms),
                percent(part.predicted_ms / recorded.predicted_ms),
            ]);
        }
        text += &format!("{longest}\n");
    }
    text
}

/// The device, and on this machine the endpoint.
fn place(prediction: &Recorded) -> String {
    match &prediction.endpoint {
        Some(endpoint) => format!("{} ({endpoint}, here)", prediction.device),
        None => prediction.device.clone(),
    }
}
