//! `simulate calibrate`: learns anew from the results of this machine, keeps what was learned before, and says whether it
//! got better on results that neither saw.

use super::kept;
use super::known::{self, Results};
use crate::clock;
use crate::context::Context;
use crate::lock::Lock;
use crate::outcome::absent;
use crate::output::tell;
use crate::output::{self, Format};
use anyhow::Result;
use proofmark::Endpoint;
use proofmark_lab::figures::percent;
use proofmark_lab::report::validation::estimate;
use proofmark_lab::simulate::grade::{Comparison, Grade};
use proofmark_lab::simulate::learned::{Learned, Place, improvement, newest};
use proofmark_lab::simulate::machine::{Known, PARTS, learn, validate};
use proofmark_lab::simulate::recorded::Recorded;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

/// Flags of `simulate calibrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this endpoint; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    endpoint: Vec<Endpoint>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// What became of a place.
struct Calibrated {
    lesson: Learned,
    /// Errors on families that were left out.
    grade: Option<Grade>,
    /// Against the version before, if there is one.
    comparison: Option<(u32, Option<Comparison>)>,
    /// Whether there was anything to learn.
    is_new: bool,
}

impl Args {
    pub(super) fn run(self, open: impl FnOnce() -> Result<Context>) -> Result<ExitCode> {
        let context = open()?;
        let _lock = Lock::take(&context)?;
        let lessons = kept::lessons(&context)?;
        let results = Results::of_machine(&context, &self.endpoint)?;
        let mut all = Vec::new();
        for (place, known) in &results.places {
            match calibrate(&context, &lessons, &results, (place, known))? {
                Some(calibrated) => all.push(calibrated),
                None => tell!("note: {}", known::too_few(place, known)),
            }
        }
        if all.is_empty() {
            return Err(absent("no endpoint has results of three families"));
        }
        kept::store(&context)?;
        match self.format {
            Format::Json => output::print_json(&all.iter().map(as_json).collect::<Vec<_>>())?,
            Format::Table => output::print(&text(&all))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Learns from the results of a place, unless the newest lesson is of the same.
fn calibrate(
    context: &Context,
    lessons: &[Learned],
    results: &Results,
    (place, known): (&Place, &[Known]),
) -> Result<Option<Calibrated>> {
    let Some(lesson) = learn(known) else { return Ok(None) };
    let grade = validate(known).map(|validated| validated.all);
    let earlier = newest(lessons, place);
    let version = earlier.map_or(1, |earlier| earlier.version + 1);
    let learned = Learned::all(place, version, clock::now(), &lesson, known);
    let same = earlier.filter(|earlier| earlier.id == learned[0].id);
    if let Some(same) = same {
        let lesson = same.clone();
        return Ok(Some(Calibrated { lesson, grade, comparison: None, is_new: false }));
    }
    let comparison =
        earlier.map(|earlier| (earlier.version, improvement(lessons, earlier, &lesson, known)));
    kept::append_lessons(context, &learned)?;
    kept::append(context, left_out(&learned, results, known))?;
    let lesson = learned.into_iter().next().expect("the lesson of all comes first");
    Ok(Some(Calibrated { lesson, grade, comparison, is_new: true }))
}

/// Predictions of every result by the lesson without its family: `validate` grades them.
fn left_out(learned: &[Learned], results: &Results, known: &[Known]) -> Vec<Recorded> {
    let now = clock::now();
    let predict = |result: &Known| {
        let lesson = learned.iter().find(|l| l.without.as_ref() == Some(&result.family))?;
        Some(lesson.predict(results.outline(result), now))
    };
    known.iter().filter_map(predict).collect()
}

fn as_json(calibrated: &Calibrated) -> serde_json::Value {
    let Calibrated { lesson, grade, comparison, is_new } = calibrated;
    let rates: BTreeMap<_, _> = PARTS.iter().zip(lesson.rates).collect();
    let before = comparison.as_ref().map(|(version, found)| {
        json!({
            "version": version,
            "comparison": found,
            "verdict": found.map(|found| found.verdict()),
        })
    });
    json!({
        "place": lesson.place,
        "version": lesson.version,
        "id": lesson.id,
        "new": is_new,
        "results": lesson.records.len(),
        "rates": rates,
        "left_out": grade,
        "mark_of_predictions": "simulated",
        "before": before,
    })
}

fn text(all: &[Calibrated]) -> String {
    let mut table = output::table([
        "endpoint",
        "results",
        "families",
        "version",
        "error left out",
        "in interval",
        "against the version before",
    ]);
    for calibrated in all {
        let lesson = &calibrated.lesson;
        let families: BTreeSet<_> = lesson.near.iter().map(|near| &near.family).collect();
        let grade = calibrated.grade.as_ref();
        let coverage = grade.and_then(|grade| grade.coverage);
        table.add_row([
            format!("{} ({})", lesson.place.endpoint, lesson.place.reality),
            lesson.records.len().to_string(),
            families.len().to_string(),
            format!("{}{}", lesson.version, if calibrated.is_new { "" } else { " (as before)" }),
            grade.map_or_else(String::new, |grade| estimate(&grade.mape)),
            coverage.map_or_else(String::new, |coverage| percent(coverage.value)),
            against(calibrated),
        ]);
    }
    format!(
        "{table}\nErrors are those of families that were left out; `cargo xtask validate` shows each.\n"
    )
}

fn against(calibrated: &Calibrated) -> String {
    match &calibrated.comparison {
        None if calibrated.is_new => "the first".to_owned(),
        None => "nothing new was measured".to_owned(),
        Some((version, None)) => format!("version {version} cannot be compared"),
        Some((version, Some(found))) => {
            let difference = found.difference;
            let ends = [difference.low, difference.high]
                .map(|end| end.map_or_else(|| "?".to_owned(), |end| format!("{end:+.3}")));
            format!(
                "{} than version {version}: mean |ln(real / predicted)| {:.3} after {:.3} ({} to {})",
                match found.verdict().name() {
                    "no-difference" => "no different",
                    name => name,
                },
                found.after,
                found.before,
                ends[0],
                ends[1],
            )
        }
    }
}
