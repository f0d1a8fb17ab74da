//! The results of this machine with the work that each was, endpoint by endpoint and mark by mark.

use super::outline;
use crate::context::Context;
use crate::outcome::absent;
use crate::suites::Suite;
use anyhow::Result;
use indicatif::ProgressBar;
use proofmark::Endpoint;
use proofmark::record::Environment;
use proofmark_lab::simulate::learned::Place;
use proofmark_lab::simulate::machine::{Known, work};
use proofmark_lab::simulate::reality::{Fact, Series};
use proofmark_lab::simulate::whole::Outline;
use proofmark_lab::trend::Kind;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

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
    /// Takes the latest results in f32 of each mark on these endpoints, on all unless any is named, and asks the suite for
    /// their work.
    pub(super) fn of_machine(context: &Context, endpoints: &[Endpoint]) -> Result<Self> {
        let here = proofmark::environment::machine();
        let mut all = context.ingest()?.facts()?;
        all.retain(|series| {
            let kind = &series.kind;
            let is_asked = endpoints.is_empty() || endpoints.contains(&kind.case_id.endpoint);
            let is_f32 = kind.case_id.precision.as_str() == "f32";
            is_asked && is_f32 && kind.machine == here.machine && !kind.fallbacks
        });
        if all.is_empty() {
            return Err(absent(
                "this machine has no timed result in f32 of these endpoints: run cargo xtask incremental",
            ));
        }
        let suite = context.workspace.build_with_tool(outline::TOOL)?;
        let bar = ProgressBar::new(all.len() as u64).with_message("kernels of models");
        let mut results =
            Self { places: BTreeMap::new(), outlines: BTreeMap::new(), of_record: BTreeMap::new() };
        for series in &all {
            bar.inc(1);
            results.add(&suite, &here, series)?;
        }
        bar.finish_and_clear();
        Ok(results)
    }

    fn add(&mut self, suite: &Suite, here: &Environment, series: &Series) -> Result<()> {
        let Kind { case_id, mark, .. } = &series.kind;
        let Some(Fact { point, .. }) = series.points.last() else { return Ok(()) };
        let key = (case_id.model.to_string(), case_id.shape.to_string());
        let outline = match self.outlines.entry(key.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(outline::ask(suite, &key.0, Some(&key.1))?),
        };
        let known = Known {
            record: point.record.clone(),
            case: case_id.to_string(),
            family: key.0.split('-').next().unwrap_or_default().to_owned(),
            work: work(outline),
            latency_ns: point.latency_ns_median,
        };
        let adapter = &point.facts.adapter;
        let place = Place {
            machine: here.machine.clone(),
            endpoint: case_id.endpoint.to_string(),
            device: if adapter.is_empty() { &here.cpu } else { adapter }.clone(),
            reality: *mark,
        };
        self.of_record.insert(known.record.clone(), key);
        self.places.entry(place).or_default().push(known);
        Ok(())
    }

    /// The kernels of what was run.
    pub(super) fn outline(&self, known: &Known) -> &Outline {
        &self.outlines[&self.of_record[&known.record]]
    }
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
