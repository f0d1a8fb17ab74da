//! What the database refuses, whoever writes: each table takes a row as it should be, and none of its lies.

use super::document::{Column, page};
use super::specimen::{filled, tables, texts};
use duckdb::Connection;
use proofmark::Mark;
use proofmark::fingerprint::{Fingerprint, Part};
use proofmark::record::{
    DeviceFacts, Environment, FORMAT, Metrics, Outcome, OutputCheck, Purpose, Record, Samples,
    Series, Telemetry,
};
use proptest::prelude::*;
use std::rc::Rc;

/// A table with one row, which changes are tried on.
struct Bench {
    connection: Rc<Connection>,
    table: String,
}

impl Bench {
    /// A table whose row is the first of its rows that meets a condition.
    fn new(table: &str, condition: &str) -> Self {
        Self::of(&Rc::new(filled()), table, condition)
    }

    fn of(connection: &Rc<Connection>, table: &str, condition: &str) -> Self {
        let sql = format!(
            "CREATE TEMP TABLE whole_{table} AS SELECT * FROM {table} WHERE {condition} LIMIT 1"
        );
        connection.execute_batch(&sql).unwrap_or_else(|e| panic!("{table}: {e}"));
        let bench = Self { connection: Rc::clone(connection), table: table.to_owned() };
        let count = format!("SELECT count(*)::VARCHAR FROM whole_{table}");
        assert_eq!(texts(connection, &count), ["1"], "{table}");
        bench.takes("");
        bench
    }

    /// Writes the row with changes (`1 AS x, 2 AS y`) in the place of all others; what follows takes it back.
    fn write(&self, changes: &str) -> duckdb::Result<()> {
        let columns =
            if changes.is_empty() { "*".into() } else { format!("* REPLACE ({changes})") };
        let table = &self.table;
        self.connection.execute_batch(&format!(
            "BEGIN; DELETE FROM {table}; INSERT INTO {table} SELECT {columns} FROM whole_{table}"
        ))
    }

    #[track_caller]
    fn takes(&self, changes: &str) {
        let written = self.write(changes);
        self.connection.execute_batch("ROLLBACK").unwrap();
        written.unwrap_or_else(|e| panic!("{} with {changes}: {e}", self.table));
    }

    /// The database says no because of a check, a null or a type that has no such value; not because of an error of
    /// this test.
    #[track_caller]
    fn refuses(&self, changes: &str) {
        let written = self.write(changes);
        self.connection.execute_batch("ROLLBACK").unwrap();
        let Err(error) = written else { panic!("{} takes {changes}", self.table) };
        let says = error.to_string();
        let is_check =
            ["Constraint Error", "Conversion Error"].iter().any(|kind| says.contains(kind));
        assert!(is_check, "{} with {changes}: {says}", self.table);
    }

    /// The columns of the row that hold something, with their types and whether a null is refused.
    fn columns(&self) -> Vec<(String, String, bool)> {
        let sql = format!(
            "SELECT concat_ws('|', column_name, data_type, is_nullable) FROM duckdb_columns() WHERE table_name = '{}' \
             AND database_name <> 'temp' ORDER BY column_index",
            self.table
        );
        let split = |line: String| {
            let parts: Vec<_> = line.split('|').map(str::to_owned).collect();
            let [name, kind, nullable] = <[String; 3]>::try_from(parts).unwrap();
            (name, kind, nullable == "false")
        };
        texts(&self.connection, &sql).into_iter().map(split).collect()
    }

    fn holds(&self, column: &str, what: &str) -> bool {
        texts(
            &self.connection,
            &format!("SELECT {what}({column})::VARCHAR FROM whole_{}", self.table),
        ) != ["0"]
    }
}

/// Each table of the schema, with a row; `latest` has copies of rows of `results`.
fn benches() -> Vec<Bench> {
    let connection = Rc::new(filled());
    let named = tables(&connection).into_iter();
    let with_rows =
        named.filter(|table| !["set_aside", "proofmark_meta", "latest"].contains(&&**table));
    with_rows.map(|table| Bench::of(&connection, &table, "true")).collect()
}

#[test]
fn a_null_is_refused_where_there_must_be_something() {
    for bench in benches() {
        for (column, _, never) in bench.columns() {
            if never {
                bench.refuses(&format!("NULL AS {column}"));
            }
        }
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    let mut tried = 0;
    for bench in benches() {
        for (column, kind, _) in bench.columns() {
            for odd in ["nan", "inf", "-inf"] {
                match &*kind {
                    "DOUBLE" => bench.refuses(&format!("'{odd}'::DOUBLE AS {column}")),
                    "DOUBLE[]" => {
                        assert!(bench.holds(&column, "len"), "{}.{column} is empty", bench.table);
                        let list = format!("list_transform({column}, lambda x: '{odd}'::DOUBLE)");
                        bench.refuses(&format!("{list} AS {column}"));
                    }
                    _ => continue,
                }
                tried += 1;
            }
            if kind.ends_with("[]") && bench.holds(&column, "len") && is_of_numbers(&kind) {
                bench.refuses(&format!("list_transform({column}, lambda x: NULL) AS {column}"));
            }
        }
    }
    assert!(tried > 50, "{tried}");
}

fn is_of_numbers(kind: &str) -> bool {
    ["DOUBLE[]", "UBIGINT[]"].contains(&kind)
}

/// A value in a unit of time, size or rate is refused below zero; the units are those of docs/schema.md.
#[test]
fn quantities_below_zero_are_refused() {
    let page = page();
    let mut tried = 0;
    for bench in benches() {
        for Column { name, unit, .. } in &page[&bench.table] {
            // `unit` of the row that is tried is ns.
            if !["ns", "ms", "B", "1/s", "B/s", "`unit`"].contains(&&**unit) {
                continue;
            }
            let (_, kind, _) =
                bench.columns().into_iter().find(|(column, ..)| column == name).unwrap();
            let changes = if kind.ends_with("[]") {
                format!("list_transform({name}, lambda x: -1) AS {name}")
            } else {
                format!("-1 AS {name}")
            };
            bench.refuses(&changes);
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn marks_that_a_row_cannot_have_are_refused() {
    let all = ["real", "software", "simulated", "claimed", "Real", "guess", ""];
    let mut seen = 0;
    for bench in benches() {
        for (column, _, _) in bench.columns() {
            let allowed: &[&str] = match (&*bench.table, &*column) {
                ("results" | "probes" | "certifications", "mark") | (_, "reality") => {
                    &["real", "software"]
                }
                ("predictions", "mark") => &["simulated"],
                ("imported_files" | "imported_results", "mark") => &["claimed"],
                ("migrated_results", "mark") => &["simulated", "claimed"],
                (table, "mark") => panic!("which marks may {table} have?"),
                _ => continue,
            };
            seen += 1;
            for mark in all {
                let change = format!("'{mark}' AS {column}");
                if allowed.contains(&mark) { bench.takes(&change) } else { bench.refuses(&change) }
            }
        }
    }
    assert_eq!(seen, 9);
}

#[test]
fn empty_ids_are_refused() {
    let mut tried = 0;
    for bench in benches() {
        for (column, _, _) in bench.columns() {
            let is_id =
                ["id", "sha256", "case_id", "file_id", "result_id", "probe_id"].contains(&&*column);
            if is_id && !PLAIN.contains(&&*bench.table) {
                bench.refuses(&format!("'' AS {column}"));
                tried += 1;
            }
        }
    }
    assert!(tried > 8, "{tried}");
}

/// Tables of whole numbers and texts beside a row of another table, which has no empty id; they are as they were made.
const PLAIN: [&str; 13] = [
    "op_times",
    "details",
    "stages",
    "fallbacks",
    "counters",
    "absences",
    "probe_limits",
    "probe_features",
    "probe_details",
    "imported_files",
    "imported_file_details",
    "imported_details",
    "migrated_sources",
];

#[test]
fn a_result_without_a_mark_has_no_numbers() {
    let bench = Bench::new("results", "outcome = 'skipped'");
    bench.takes("'failed' AS outcome");
    for change in [
        "'passed' AS outcome",
        "[1.0] AS samples, [1] AS iterations, 1 AS latency_ns_median",
        "1 AS busy_ns",
        "1 AS load_ns",
        "1 AS compile_ns",
        "1 AS first_run_ns",
        "1 AS peak_memory_bytes",
        "1 AS items_per_run",
        "1 AS operations_per_run",
        "1 AS bytes_per_run",
    ] {
        bench.refuses(change);
        bench.takes(&format!("{change}, 'real' AS mark"));
    }
}

/// Who would write a prediction among the runs has to say that it ran, and to bring the samples.
#[test]
fn a_prediction_is_no_result() {
    let bench = Bench::new("results", "id = 'a-1'");
    bench.refuses("'simulated' AS mark");
    bench.refuses("[] AS samples, [] AS iterations");
    bench.refuses("NULL AS latency_ns_median, NULL AS relative_noise");
    bench.refuses("[] AS samples");
    bench.refuses("'other/cpu/f32/b1' AS case_id");
    bench.refuses("'dreamt' AS outcome");
    bench.refuses("'predict' AS purpose");
    let insert = "INSERT INTO results BY NAME SELECT id, made_at AS recorded_at, model, shape, precision, endpoint, mark, \
                  predicted_ms * 1e6 AS latency_ns_median FROM predictions";
    assert!(bench.connection.execute_batch(insert).is_err());
}

#[test]
fn an_interval_holds_its_prediction() {
    let bench = Bench::new("predictions", "id = 'q-1'");
    for change in [
        "0 AS predicted_ms, 0 AS low_ms",
        "2.6 AS low_ms",
        "2.4 AS high_ms",
        "1.1 AS extrapolated_share",
        "'unvalidated' AS confidence",
        "'certain' AS confidence",
        "NULL AS machine",
        "NULL AS endpoint",
        "-0.1 AS validated_error",
    ] {
        bench.refuses(change);
    }
    bench.takes("NULL AS machine, NULL AS endpoint");
}

#[test]
fn a_value_that_was_migrated_has_a_unit_or_a_note() {
    let bench = Bench::new("migrated_results", "unit = 'ns'");
    for change in
        ["NULL AS unit", "'why' AS note", "NULL AS value", "NULL AS metric", "'' AS reason"]
    {
        bench.refuses(change);
    }
    bench.takes("-1 AS value, 'similarity' AS metric");
    bench.takes("NULL AS value, NULL AS unit, 'why' AS note");
}

/// A number that may not be one.
fn wild() -> impl Strategy<Value = f64> {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -1e-300];
    prop_oneof![9 => 0.0..1e9_f64, 1 => prop::sample::select(odd.to_vec())]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![9 => Just("x".to_owned()), 1 => Just(String::new())]
}

fn mark() -> impl Strategy<Value = Option<Mark>> {
    let marks =
        [Some(Mark::Real), Some(Mark::Software), Some(Mark::Simulated), Some(Mark::Claimed), None];
    prop_oneof![6 => Just(Some(Mark::Real)), 1 => prop::sample::select(marks.to_vec())]
}

/// As SQL; `format!` of a float is exact.
fn sql_list(values: &[f64]) -> String {
    let each: Vec<_> = values.iter().map(|value| format!("'{value:e}'::DOUBLE")).collect();
    format!("[{}]::DOUBLE[]", each.join(", "))
}

fn sql_mark(mark: Option<Mark>) -> String {
    mark.map_or("NULL".to_owned(), |mark| format!("'{mark}'"))
}

/// A record of a run, as far as the properties below change it.
fn record(id: &str, mark: Option<Mark>, samples: Samples) -> Record {
    Record {
        format: FORMAT,
        id: id.to_owned(),
        run: "r".into(),
        recorded_at: jiff::Timestamp::UNIX_EPOCH,
        suite: "s".into(),
        case: "m/cpu/f32/b1".parse().unwrap(),
        purpose: Purpose::Measure,
        outcome: if mark.is_some() { Outcome::Passed } else { Outcome::Failed },
        mark,
        device: mark.map(|mark| DeviceFacts::new(mark, "a", "d")),
        message: None,
        samples,
        metrics: Metrics::default(),
        op_times: Vec::new(),
        fallbacks: Vec::new(),
        outputs: Vec::new(),
        environment: Environment::default(),
        fingerprint: Fingerprint::new([Part::text("code", "1")]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// What Rust refuses of a run, the database refuses too, and what Rust lets pass it takes: a record that is let pass
    /// and not taken would keep all others of its file out.
    #[test]
    fn the_database_and_rust_agree_on_runs(
        id in name(),
        mark in mark(),
        latency_ns in prop::collection::vec(wild(), 0..4),
        missing in prop_oneof![9 => Just(0_usize), 1 => Just(1)],
    ) {
        thread_local!(static BENCH: Bench = Bench::new("results", "id = 'a-1'"));
        let iterations = vec![3; latency_ns.len().saturating_sub(missing)];
        let run = record(&id, mark, Samples::new(latency_ns.clone(), iterations.clone()));
        let median = crate::stats::median(&latency_ns).map_or("NULL".to_owned(), |median| format!("'{median:e}'::DOUBLE"));
        let busy = latency_ns.iter().map(|latency| latency * 3.0).sum::<f64>();
        let changes = format!(
            "'{id}' AS id, {} AS mark, '{}' AS outcome, {} AS samples, {iterations:?}::UBIGINT[] AS iterations, \
             {median} AS latency_ns_median, NULL AS relative_noise, '{busy:e}'::DOUBLE AS busy_ns, NULL AS load_ns, NULL AS compile_ns, \
             NULL AS first_run_ns, NULL AS peak_memory_bytes, NULL AS items_per_run, NULL AS operations_per_run, NULL AS bytes_per_run",
            sql_mark(mark), run.outcome.name(), sql_list(&latency_ns),
        );
        BENCH.with(|bench| match run.fault() {
            None => bench.takes(&changes),
            Some(_) => bench.refuses(&changes),
        });
    }

    #[test]
    fn the_database_and_rust_agree_on_outputs(
        error in prop::option::of(wild()),
        tolerance in wild(),
    ) {
        thread_local!(static BENCH: Bench = Bench::new("outputs", "result_id = 'a-1'"));
        let mut run = record("x", Some(Mark::Real), Samples::default());
        let (name, summary) = ("y".to_owned(), String::new());
        run.outputs.push(OutputCheck { name, shape: vec![1], error, tolerance, summary });
        let error = error.map_or("NULL".to_owned(), |error| format!("'{error:e}'::DOUBLE"));
        let changes = format!("{error} AS error, '{tolerance:e}'::DOUBLE AS tolerance");
        BENCH.with(|bench| match run.fault() {
            None => bench.takes(&changes),
            Some(_) => bench.refuses(&changes),
        });
    }

    #[test]
    fn the_database_and_rust_agree_on_readings(
        name in prop::sample::select(vec!["", "a_w", "b_celsius", "c_bytes"]),
        values in prop::collection::vec(wild(), 0..4),
        missing in prop_oneof![9 => Just(0_usize), 1 => Just(1)],
    ) {
        thread_local!(static BENCH: Bench = Bench::new("time_series", "true"));
        let at_ns: Vec<u64> = (0..values.len().saturating_sub(missing) as u64).collect();
        let changes = format!("'{name}' AS name, {at_ns:?}::UBIGINT[] AS at_ns, {} AS readings", sql_list(&values));
        let mut run = record("x", Some(Mark::Real), Samples::default());
        let series = [(name.to_owned(), Series { at_ns, values })].into();
        run.metrics.telemetry = Some(Telemetry { series, ..Telemetry::default() });
        BENCH.with(|bench| match run.fault() {
            None => bench.takes(&changes),
            Some(_) => bench.refuses(&changes),
        });
    }
}
