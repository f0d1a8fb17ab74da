//! The results of this machine with the work that each was, endpoint by endpoint and mark by mark.

use super::outline;
use crate::context::Context;
use crate::outcome::absent;
use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use proofmark::{Endpoint, Mark};
use proofmark_lab::simulate::learned::Place;
use proofmark_lab::simulate::machine::{Known, work};
use proofmark_lab::simulate::whole::Outline;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// A result of this machine in f32 that passed and was timed.
#[derive(Deserialize)]
struct Row {
    id: String,
    case_id: String,
    model: String,
    shape: String,
    endpoint: String,
    mark: Mark,
    adapter: Option<String>,
    cpu: String,
    latency_ns_median: f64,
}

/// What is known of this machine.
pub(super) struct Results {
    /// Real and software results are never put together.
    pub(super) places: BTreeMap<Place, Vec<Known>>,
    /// The kernels of each model and shape.
    outlines: BTreeMap<(String, String), Outline>,
    /// Model and shape of each record.
    of_record: BTreeMap<String, (String, String)>,
}

impl Results {
    /// Reads the latest results on these endpoints, on all unless any is named, and asks the suite for their work.
    pub(super) fn of_machine(context: &Context, endpoints: &[Endpoint]) -> Result<Self> {
        let rows = rows(context, endpoints)?;
        if rows.is_empty() {
            return Err(absent(
                "this machine has no timed result in f32 of these endpoints: run cargo xtask incremental",
            ));
        }
        let suite = context.workspace.build_with_tool(outline::TOOL)?;
        let bar = ProgressBar::new(rows.len() as u64).with_message("kernels of models");
        let (mut places, mut outlines) = (BTreeMap::<Place, Vec<Known>>::new(), BTreeMap::new());
        let mut of_record = BTreeMap::new();
        let machine = proofmark::environment::machine().machine;
        for row in rows {
            bar.inc(1);
            let key = (row.model.clone(), row.shape.clone());
            if !outlines.contains_key(&key) {
                outlines.insert(key.clone(), outline::ask(&suite, &row.model, Some(&row.shape))?);
            }
            let place = Place {
                machine: machine.clone(),
                endpoint: row.endpoint,
                device: row.adapter.filter(|name| !name.is_empty()).unwrap_or(row.cpu),
                reality: row.mark,
            };
            places.entry(place).or_default().push(Known {
                record: row.id.clone(),
                case: row.case_id,
                family: row.model.split('-').next().unwrap_or_default().to_owned(),
                work: work(&outlines[&key]),
                latency_ns: row.latency_ns_median,
            });
            of_record.insert(row.id, key);
        }
        bar.finish_and_clear();
        Ok(Self { places, outlines, of_record })
    }

    /// The kernels of what was run.
    pub(super) fn outline(&self, known: &Known) -> &Outline {
        &self.outlines[&self.of_record[&known.record]]
    }
}

fn rows(context: &Context, endpoints: &[Endpoint]) -> Result<Vec<Row>> {
    let machine = proofmark::environment::machine().machine;
    let sql = format!(
        "SELECT id, case_id, model, shape, endpoint, mark, adapter, cpu, latency_ns_median FROM latest_results \
         WHERE outcome = 'passed' AND precision = 'f32' AND latency_ns_median > 0 AND fallbacks = 0 \
         AND mark IN ('real', 'software') AND machine = '{}' ORDER BY case_id",
        machine.replace('\'', "''")
    );
    let answer = context.ingest()?.query(&sql)?;
    let rows: Vec<Row> = serde_json::from_value(json!(answer.objects()))
        .context("failed to understand the answer of the database")?;
    let is_asked = |row: &Row| {
        endpoints.is_empty() || endpoints.iter().any(|endpoint| endpoint.as_str() == row.endpoint)
    };
    Ok(rows.into_iter().filter(is_asked).collect())
}

/// Says of a place why nothing is learned there.
pub(super) fn too_few(place: &Place, known: &[Known]) -> String {
    format!(
        "{} ({}) has {} results of fewer than three families: too few to leave one out",
        place.endpoint,
        place.reality,
        known.len()
    )
}
