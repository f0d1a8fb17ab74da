//! `simulate here`: predicts what was measured on this machine from rates that never saw the model's family, and says
//! how wrong that is.

use super::outline;
use crate::context::Context;
use crate::outcome::absent;
use crate::output::{self, Format};
use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use proofmark::Endpoint;
use proofmark_lab::figures::{duration_ns, percent};
use proofmark_lab::simulate::machine::{Grade, Known, PARTS, Validated, validate, work};
use serde::Deserialize;
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

/// A result of this machine in f32 that passed and was timed.
#[derive(Deserialize)]
struct Row {
    case_id: String,
    model: String,
    shape: String,
    endpoint: String,
    mark: String,
    latency_ns_median: f64,
}

/// The results of an endpoint with their mark: real and software are never graded together.
type Groups = BTreeMap<(String, String), Vec<Known>>;

impl Args {
    pub(super) fn run(self, open: impl FnOnce() -> Result<Context>) -> Result<ExitCode> {
        let context = open()?;
        let rows = self.rows(&context)?;
        if rows.is_empty() {
            return Err(absent(
                "this machine has no timed result in f32 of these endpoints: run cargo xtask incremental",
            ));
        }
        let groups = groups(&context, rows)?;
        let mut found = Vec::new();
        for ((endpoint, mark), known) in &groups {
            match validate(known) {
                Some(validated) => found.push((endpoint, mark, validated)),
                None => eprintln!(
                    "note: {endpoint} ({mark}) has {} results of fewer than three families: too few to leave one out",
                    known.len()
                ),
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

    fn rows(&self, context: &Context) -> Result<Vec<Row>> {
        let machine = proofmark::environment::machine().machine;
        let sql = format!(
            "SELECT case_id, model, shape, endpoint, mark, latency_ns_median FROM latest_results \
             WHERE outcome = 'passed' AND precision = 'f32' AND latency_ns_median > 0 AND fallbacks = 0 \
             AND mark IN ('real', 'software') AND machine = '{}' ORDER BY case_id",
            machine.replace('\'', "''")
        );
        let answer = context.ingest()?.query(&sql)?;
        let rows: Vec<Row> = serde_json::from_value(json!(answer.objects()))
            .context("failed to understand the answer of the database")?;
        let is_asked = |row: &Row| {
            self.endpoint.is_empty() || self.endpoint.iter().any(|e| e.as_str() == row.endpoint)
        };
        Ok(rows.into_iter().filter(is_asked).collect())
    }
}

/// Asks the suite for the work of each result.
fn groups(context: &Context, rows: Vec<Row>) -> Result<Groups> {
    let suite = context.workspace.build_with_tool(outline::TOOL)?;
    let bar = ProgressBar::new(rows.len() as u64).with_message("kernels of models");
    let (mut groups, mut outlines) = (Groups::new(), BTreeMap::new());
    for row in rows {
        bar.inc(1);
        let key = (row.model.clone(), row.shape.clone());
        if !outlines.contains_key(&key) {
            let outline = outline::ask(&suite, &row.model, Some(&row.shape))?;
            outlines.insert(key.clone(), work(&outline));
        }
        groups.entry((row.endpoint, row.mark)).or_default().push(Known {
            case: row.case_id,
            family: row.model.split('-').next().unwrap_or_default().to_owned(),
            work: outlines[&key],
            latency_ns: row.latency_ns_median,
        });
    }
    bar.finish_and_clear();
    Ok(groups)
}

fn as_json((endpoint, mark, validated): &(&String, &String, Validated)) -> serde_json::Value {
    let rates: BTreeMap<_, _> = PARTS.iter().zip(validated.rates).collect();
    json!({
        "endpoint": endpoint,
        "mark_of_results": mark,
        "mark_of_predictions": "simulated",
        "rates": rates,
        "all": validated.all,
        "mape_interval": validated.mape_interval,
        "rank_correlation": validated.rank_correlation,
        "families": validated.families,
        "results": validated.results,
    })
}

fn text((endpoint, mark, validated): &(&String, &String, Validated)) -> String {
    let mut table =
        output::table(["family left out", "results", "mean error", "bias", "worst", "in interval"]);
    let mut add = |name: &str, grade: &Grade| {
        table.add_row([
            name.to_owned(),
            grade.results.to_string(),
            percent(grade.mape),
            percent(grade.bias),
            percent(grade.worst),
            percent(grade.coverage),
        ]);
    };
    for (family, grade) in &validated.families {
        add(family, grade);
    }
    add("all", &validated.all);
    let error = |graded: &&proofmark_lab::simulate::machine::Graded| {
        (graded.predicted_ns / graded.real_ns).ln().abs()
    };
    let mut worst: Vec<_> = validated.results.iter().collect();
    worst.sort_by(|a, b| error(b).total_cmp(&error(a)));
    let mut rows = output::table(["worst cases", "measured", "simulated", "interval of 90 %"]);
    for graded in worst.iter().take(5) {
        rows.add_row([
            graded.case.clone(),
            format!("{} ({mark})", duration_ns(graded.real_ns)),
            duration_ns(graded.predicted_ns),
            format!("{} to {}", duration_ns(graded.low_ns), duration_ns(graded.high_ns)),
        ]);
    }
    let [low, high] = validated.mape_interval;
    format!(
        "{endpoint}: {mark} results beside predictions whose rates never saw the family\n{table}\n{rows}\n\
         mean error {} ({} to {}, families resampled), rank correlation {:.3}\n\n",
        percent(validated.all.mape),
        percent(low),
        percent(high),
        validated.rank_correlation,
    )
}
