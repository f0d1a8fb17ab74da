//! `simulate here`: predicts what was measured on this machine from rates that never saw the model's family, and says
//! how wrong that is.

use super::known::{self, Results};
use crate::context::Context;
use crate::outcome::absent;
use crate::output::tell;
use crate::output::{self, Format};
use anyhow::Result;
use proofmark::Endpoint;
use proofmark_lab::figures::{duration_ns, percent};
use proofmark_lab::report::validation::estimate;
use proofmark_lab::simulate::grade::Grade;
use proofmark_lab::simulate::learned::Place;
use proofmark_lab::simulate::machine::{PARTS, Validated, validate};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Flags of `simulate here`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this endpoint; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    endpoint: Vec<Endpoint>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Args {
    pub(super) fn run(self, open: impl FnOnce() -> Result<Context>) -> Result<ExitCode> {
        let results = Results::of_machine(&open()?, &self.endpoint)?;
        let mut found = Vec::new();
        for (place, known) in &results.places {
            match validate(known) {
                Some(validated) => found.push((place, validated)),
                None => tell!("note: {}", known::too_few(place, known)),
            }
        }
        if found.is_empty() {
            return Err(absent("no endpoint has results of three families"));
        }
        match self.format {
            Format::Json => output::print_json(&found.iter().map(as_json).collect::<Vec<_>>())?,
            Format::Table => output::print(&found.iter().map(text).collect::<String>())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json((place, validated): &(&Place, Validated)) -> serde_json::Value {
    let rates: BTreeMap<_, _> = PARTS.iter().zip(validated.rates).collect();
    json!({
        "endpoint": place.endpoint,
        "device": place.device,
        "mark_of_results": place.reality,
        "mark_of_predictions": "simulated",
        "rates": rates,
        "all": validated.all,
        "families": validated.families,
        "results": validated.results,
    })
}

fn text((place, validated): &(&Place, Validated)) -> String {
    let (endpoint, mark) = (&place.endpoint, place.reality);
    let mut table =
        output::table(["family left out", "results", "mean error", "bias", "worst", "in interval"]);
    let mut add = |name: &str, grade: &Grade| {
        table.add_row([
            name.to_owned(),
            grade.results.to_string(),
            percent(grade.mape.value),
            percent(grade.bias.value),
            percent(grade.worst),
            grade.coverage.map_or_else(String::new, |coverage| percent(coverage.value)),
        ]);
    };
    for (family, grade) in &validated.families {
        add(family, grade);
    }
    add("all", &validated.all);
    let mut worst: Vec<_> = validated.results.iter().collect();
    worst.sort_by(|a, b| b.residual().abs().total_cmp(&a.residual().abs()));
    let mut rows = output::table(["worst cases", "measured", "simulated", "interval of 90 %"]);
    for graded in worst.iter().take(5) {
        let [low, high] = graded.interval.unwrap_or([graded.predicted; 2]);
        rows.add_row([
            graded.case.clone(),
            format!("{} ({mark})", duration_ns(graded.real)),
            format!("{} (simulated)", duration_ns(graded.predicted)),
            format!("{} to {}", duration_ns(low), duration_ns(high)),
        ]);
    }
    let correlation = validated.all.rank_correlation.map_or(f64::NAN, |found| found.value);
    format!(
        "{endpoint}: {mark} results beside predictions whose rates never saw the family\n{table}\n{rows}\n\
         mean error {}, rank correlation {correlation:.3}\n\n",
        estimate(&validated.all.mape),
    )
}
