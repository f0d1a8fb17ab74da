//! Results of record files as columns of their tables, which DuckDB takes by the thousand.

use crate::stats;
use duckdb::arrow::array::{
    ArrayRef, Float64Builder, ListBuilder, StringBuilder, TimestampMicrosecondBuilder,
    UInt32Builder, UInt64Builder,
};
use duckdb::arrow::record_batch::RecordBatch;
use proofmark::journal::lean::Lean;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The tables whose rows belong to a result. Their first column is its id.
pub(super) const CHILDREN: [&str; 8] = [
    "outputs",
    "op_times",
    "details",
    "stages",
    "fallbacks",
    "time_series",
    "counters",
    "absences",
];

/// Columns of the results that they are sorted by: case, machine, time.
pub(super) const SORTED_BY: [usize; 3] = [4, 27, 2];

/// The columns of the tables in their order, a letter each: see [`Column::new`].
const RESULTS: &str = "ttTttttttttttttFNfffnnnnnnntttnntttt";
const PARTS: &str = "tstt";
const CHILDREN_COLUMNS: [&str; 8] =
    ["tstNfft", "tstn", "ttt", "ttn", "tsttt", "ttNF", "ttnn", "ttt"];

/// Rows of all tables that results have.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) results: Table,
    pub(super) parts: Table,
    /// One for each of [`CHILDREN`].
    pub(super) children: [Named; 8],
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

/// Rows of one table.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    /// Of each row the number of its result, or of its digest, among those beside it.
    pub(super) owners: Vec<u32>,
}

#[derive(Debug)]
enum Column {
    Text(StringBuilder),
    Time(TimestampMicrosecondBuilder),
    Number(UInt64Builder),
    Small(UInt32Builder),
    Float(Float64Builder),
    Numbers(ListBuilder<UInt64Builder>),
    Floats(ListBuilder<Float64Builder>),
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
        let [outputs, op_times, details, stages, fallbacks, series, counters, absences] =
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
    row.maybe_float(stats::median(samples)).maybe_float(stats::relative_noise(samples));
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
}

/// What the run took, as far as the record tells: load, compile, first run and measured phase.
#[expect(clippy::cast_precision_loss, reason = "durations below 2^53 ns, 104 days, are exact")]
fn busy_ns(lean: &Lean<'_>) -> f64 {
    let runs = lean.latency_ns.iter().zip(&lean.iterations);
    let measured: f64 = runs.map(|(latency, &iterations)| latency * iterations as f64).sum();
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

impl Table {
    fn new(columns: &str) -> Self {
        Self { columns: columns.chars().map(Column::new).collect(), owners: Vec::new() }
    }

    fn row(&mut self, owner: u32, fill: impl FnOnce(&mut Row<'_>)) {
        self.owners.push(owner);
        let mut row = Row { columns: self.columns.iter_mut() };
        fill(&mut row);
        debug_assert!(row.columns.next().is_none(), "a row has a value for each column");
    }

    /// A row for each entry of a list; the first column is the same for all.
    fn rows<T>(
        &mut self,
        owner: u32,
        first: &str,
        entries: &[T],
        fill: impl Fn(&mut Row<'_>, u32, &T),
    ) {
        for (position, entry) in entries.iter().enumerate() {
            self.row(owner, |row| fill(row.text(first), position as u32, entry));
        }
    }

    /// The rows for DuckDB; nothing where there are none.
    pub(super) fn batch(&mut self) -> Option<RecordBatch> {
        let column = |(place, column): (usize, &mut Column)| {
            // Columns go by their places, but Arrow wants them named.
            (place.to_string(), column.finish(), true)
        };
        let columns = self.columns.iter_mut().enumerate().map(column);
        let batch =
            (!self.owners.is_empty()).then(|| RecordBatch::try_from_iter_with_nullable(columns));
        batch.map(|batch| batch.expect("columns of one table are of one length"))
    }
}

/// A row that is being filled, from its first column on.
struct Row<'t> {
    columns: std::slice::IterMut<'t, Column>,
}

macro_rules! fills {
    ($($(#[$doc:meta])* $name:ident($kind:ident, $value:ident: $type:ty) $append:expr;)*) => {
        impl Row<'_> {
            $($(#[$doc])* fn $name(&mut self, $value: $type) -> &mut Self {
                let Some(Column::$kind(builder)) = self.columns.next() else {
                    unreachable!("a column of another kind is next")
                };
                $append(builder);
                self
            })*
        }
    };
}

fills! {
    text(Text, value: &str) |b: &mut StringBuilder| b.append_value(value);
    maybe_text(Text, value: Option<&str>) |b: &mut StringBuilder| b.append_option(value);
    time(Time, value: i64) |b: &mut TimestampMicrosecondBuilder| b.append_value(value);
    number(Number, value: u64) |b: &mut UInt64Builder| b.append_value(value);
    maybe_number(Number, value: Option<u64>) |b: &mut UInt64Builder| b.append_option(value);
    small(Small, value: u32) |b: &mut UInt32Builder| b.append_value(value);
    float(Float, value: f64) |b: &mut Float64Builder| b.append_value(value);
    maybe_float(Float, value: Option<f64>) |b: &mut Float64Builder| b.append_option(value);
    numbers(Numbers, values: &[u64]) |b: &mut ListBuilder<UInt64Builder>| {
        b.values().append_slice(values);
        b.append(true);
    };
    floats(Floats, values: &[f64]) |b: &mut ListBuilder<Float64Builder>| {
        b.values().append_slice(values);
        b.append(true);
    };
}

impl Column {
    /// A column by its letter; a capital one is of lists, or of times.
    fn new(letter: char) -> Self {
        match letter {
            't' => Self::Text(StringBuilder::new()),
            'T' => Self::Time(TimestampMicrosecondBuilder::new()),
            'n' => Self::Number(UInt64Builder::new()),
            's' => Self::Small(UInt32Builder::new()),
            'f' => Self::Float(Float64Builder::new()),
            'N' => Self::Numbers(ListBuilder::new(UInt64Builder::new())),
            'F' => Self::Floats(ListBuilder::new(Float64Builder::new())),
            _ => unreachable!("no kind of column has the letter {letter}"),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Number(builder) => Arc::new(builder.finish()),
            Self::Small(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Numbers(builder) => Arc::new(builder.finish()),
            Self::Floats(builder) => Arc::new(builder.finish()),
        }
    }
}
