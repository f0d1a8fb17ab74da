//! Results of record files as columns of their tables, which DuckDB takes by the thousand.

use super::table::{Row, Table};
use crate::stats;
use proofmark::journal::lean::Lean;
use std::collections::BTreeMap;

/// The tables whose rows belong to a result. Their first column is its id.
pub(super) const CHILDREN: [&str; 9] = [
    "outputs",
    "op_times",
    "details",
    "stages",
    "fallbacks",
    "time_series",
    "counters",
    "absences",
    "summaries",
];

/// Columns of the results that they are sorted by: case, machine, time.
pub(super) const SORTED_BY: [usize; 3] = [4, 27, 2];

/// The columns of the tables in their order, a letter each: see [`Table::new`].
const RESULTS: &str = "ttTttttttttttttFNfffnnnnnnntttnnttttn";
const PARTS: &str = "tstt";
const CHILDREN_COLUMNS: [&str; 9] =
    ["tstNfft", "tstn", "ttt", "ttn", "tsttt", "ttNF", "ttnn", "ttt", "tnnffffff"];

/// Rows of all tables that results have.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) results: Table,
    pub(super) parts: Table,
    /// One for each of [`CHILDREN`].
    pub(super) children: [Named; 9],
    /// The ids of the results, and the digests whose parts these are.
    pub(super) ids: Vec<String>,
    pub(super) digests: Vec<String>,
}

/// Rows of one table, apart by what they are of: readings of one kind are alike, and so take less room side by side.
#[derive(Debug)]
pub(super) struct Named {
    columns: &'static str,
    pub(super) tables: BTreeMap<String, Table>,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            results: Table::new(RESULTS),
            parts: Table::new(PARTS),
            children: CHILDREN_COLUMNS.map(|columns| Named { columns, tables: BTreeMap::new() }),
            ids: Vec::new(),
            digests: Vec::new(),
        }
    }
}

impl Columns {
    /// Adds a result with all that belongs to it.
    pub(super) fn push(&mut self, lean: &Lean<'_>) {
        let owner = self.ids.len() as u32;
        self.ids.push(lean.id.to_string());
        self.results.row(owner, |row| result(row, lean));
        if let Some(parts) = &lean.parts {
            let owner = self.digests.len() as u32;
            self.digests.push(lean.fingerprint.to_string());
            self.parts.rows(owner, &lean.fingerprint, parts, |row, position, (name, value)| {
                row.small(position).text(name).text(value);
            });
        }
        let [outputs, op_times, details, stages, fallbacks, series, counters, absences, summaries] =
            &mut self.children;
        let id = &*lean.id;
        outputs.of("").rows(owner, id, &lean.outputs, |row, position, output| {
            row.small(position).text(&output.name).numbers(&output.shape);
            row.maybe_float(output.error).float(output.tolerance).text(&output.summary);
        });
        op_times.of("").rows(owner, id, &lean.op_times, |row, position, (name, time_ns)| {
            row.small(position).text(name).number(*time_ns);
        });
        for (name, value) in &lean.details {
            details.of(name).row(owner, |row| {
                row.text(id).text(name).text(value);
            });
        }
        for (name, time_ns) in &lean.stages {
            stages.of(name).row(owner, |row| {
                row.text(id).text(name).number(*time_ns);
            });
        }
        fallbacks.of("").rows(owner, id, &lean.fallbacks, |row, position, [op, why, to]| {
            row.small(position).text(op).text(why).text(to);
        });
        for one in &lean.series {
            series.of(&one.name).row(owner, |row| {
                row.text(id).text(&one.name).numbers(&one.at_ns).floats(&one.values);
            });
        }
        for (name, risen) in &lean.counters {
            counters.of(name).row(owner, |row| {
                row.text(id).text(name).number(*risen).number(lean.over_ns);
            });
        }
        for (name, reason) in &lean.absent {
            absences.of(name).row(owner, |row| {
                row.text(id).text(name).text(reason);
            });
        }
        if let Some(one) = &lean.summary {
            summaries.of("").row(owner, |row| {
                row.text(id).number(one.samples).number(one.runs).float(one.total_ns);
                row.float(one.latency_ns_min).float(one.latency_ns_median);
                row.float(one.latency_ns_p95).float(one.latency_ns_max);
                row.maybe_float(one.relative_noise);
            });
        }
    }
}

/// The row of a result.
fn result(row: &mut Row<'_>, lean: &Lean<'_>) {
    row.text(&lean.id).text(&lean.run).time(lean.recorded_at_us).text(&lean.suite).text(&lean.case);
    lean.case_parts().unwrap_or_default().iter().for_each(|part| {
        row.text(part);
    });
    row.text(lean.purpose).text(lean.outcome).maybe_text(lean.mark);
    for text in [&lean.adapter, &lean.driver, &lean.message] {
        row.maybe_text(text.as_deref());
    }
    let samples = &lean.latency_ns;
    row.floats(samples).numbers(&lean.iterations);
    let [median, noise] = match &lean.summary {
        Some(summary) => [Some(summary.latency_ns_median), summary.relative_noise],
        None => [stats::median(samples), stats::relative_noise(samples)],
    };
    row.maybe_float(median).maybe_float(noise);
    row.float(busy_ns(lean));
    for count in [lean.load_ns, lean.compile_ns, lean.first_run_ns, lean.peak_memory_bytes] {
        row.maybe_number(count);
    }
    for count in [lean.items_per_run, lean.operations_per_run, lean.bytes_per_run] {
        row.maybe_number(count);
    }
    let place = &lean.environment;
    row.text(&place.machine).text(&place.platform).text(&place.cpu);
    row.number(place.threads).number(place.memory_bytes);
    row.text(&place.rustc).text(&place.profile).text(&place.commit).text(&lean.fingerprint);
    row.maybe_number(lean.summary.map(|summary| summary.samples));
}

/// What the run took, as far as the record tells: load, compile, first run and measured phase.
#[expect(clippy::cast_precision_loss, reason = "durations below 2^53 ns, 104 days, are exact")]
fn busy_ns(lean: &Lean<'_>) -> f64 {
    let runs = lean.latency_ns.iter().zip(&lean.iterations);
    let measured: f64 = runs.map(|(latency, &iterations)| latency * iterations as f64).sum();
    let measured = lean.summary.map_or(measured, |summary| summary.total_ns);
    let before = [lean.load_ns, lean.compile_ns, lean.first_run_ns];
    measured + before.into_iter().flatten().map(|ns| ns as f64).sum::<f64>()
}

impl Named {
    fn of(&mut self, name: &str) -> &mut Table {
        if !self.tables.contains_key(name) {
            self.tables.insert(name.to_owned(), Table::new(self.columns));
        }
        self.tables.get_mut(name).expect("it was put there")
    }
}
