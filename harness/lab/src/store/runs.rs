//! The runs that reports show in full: the latest of each case, and the latest that was timed.

use super::past::{MARKS, OUTCOMES, named};
use super::{Store, StoreError};
use crate::browsers::Run;
use duckdb::types::{FromSql, Value};
use duckdb::{Connection, Row};
use jiff::Timestamp;
use proofmark::record::{FORMAT, Fallback, Metrics, Outcome, Probe};
use proofmark::{CaseId, Endpoint, Finding, Mark};
use std::collections::{BTreeMap, HashMap};

impl Store {
    /// The latest run of each case on a machine, whatever its purpose, and the latest that was timed. Skipped ones
    /// are no runs.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn runs(&self, machine: &str) -> Result<Vec<Run>, StoreError> {
        runs(&self.connection, machine).map_err(self.reading())
    }

    /// The latest probe of each endpoint on a machine.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn probes(&self, machine: &str) -> Result<Vec<Probe>, StoreError> {
        probes(&self.connection, machine).map_err(self.reading())
    }
}

fn runs(connection: &Connection, machine: &str) -> duckdb::Result<Vec<Run>> {
    choose(
        connection,
        machine,
        "SELECT id FROM results WHERE machine = ? AND outcome <> 'skipped' \
         QUALIFY row_number() OVER (PARTITION BY case_id, latency_ns_median IS NULL \
         ORDER BY recorded_at DESC, id DESC) = 1",
    )?;
    let mut details = values(connection, "details", "result_id")?;
    let mut stages = values(connection, "stages", "result_id")?;
    let mut fallbacks = fallbacks(connection)?;
    let mut statement = connection.prepare(
        "SELECT id, case_id, epoch_us(recorded_at), outcome, mark, message, adapter, driver, \
         fingerprint, samples, load_ns, compile_ns, first_run_ns, peak_memory_bytes, \
         items_per_run, operations_per_run, bytes_per_run FROM results SEMI JOIN chosen USING (id) \
         ORDER BY case_id, recorded_at, id",
    )?;
    let mut rows = statement.query([])?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        // The journal takes no other ids.
        let Ok(case) = row.get::<_, String>(1)?.parse::<CaseId>() else { continue };
        let stages = stages.remove(&id).unwrap_or_default();
        runs.push(Run {
            case,
            recorded_at: time(row, 2)?,
            outcome: named(&OUTCOMES, Outcome::name, &row.get::<_, String>(3)?)
                .unwrap_or(Outcome::Failed),
            mark: mark(row, 4)?,
            message: row.get(5)?,
            adapter: row.get(6)?,
            driver: row.get(7)?,
            fingerprint: row.get(8)?,
            latency_ns: doubles(row.get(9)?),
            metrics: metrics(row, 10, stages)?,
            details: details.remove(&id).unwrap_or_default(),
            fallbacks: fallbacks.remove(&id).unwrap_or_default(),
            id,
        });
    }
    Ok(runs)
}

fn probes(connection: &Connection, machine: &str) -> duckdb::Result<Vec<Probe>> {
    choose(
        connection,
        machine,
        "SELECT id FROM probes WHERE machine = ? QUALIFY row_number() OVER \
         (PARTITION BY endpoint ORDER BY recorded_at DESC, id DESC) = 1",
    )?;
    let mut limits = values(connection, "probe_limits", "probe_id")?;
    let mut details = values(connection, "probe_details", "probe_id")?;
    let mut features = features(connection)?;
    let mut statement = connection.prepare(
        "SELECT id, endpoint, epoch_us(recorded_at), suite, mark, reason, adapter, driver FROM probes \
         SEMI JOIN chosen USING (id) ORDER BY endpoint",
    )?;
    let mut rows = statement.query([])?;
    let mut probes = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let Ok(endpoint) = row.get::<_, String>(1)?.parse::<Endpoint>() else { continue };
        let finding = Finding {
            endpoint,
            mark: mark(row, 4)?,
            reason: row.get(5)?,
            adapter: row.get(6)?,
            driver: row.get(7)?,
            limits: limits.remove(&id).unwrap_or_default(),
            features: features.remove(&id).unwrap_or_default(),
            details: details.remove(&id).unwrap_or_default(),
        };
        let (recorded_at, suite, machine) = (time(row, 2)?, row.get(3)?, machine.to_owned());
        probes.push(Probe { format: FORMAT, id, recorded_at, suite, machine, finding });
    }
    Ok(probes)
}

/// Makes the ids that `sql` finds on a machine the table `chosen` of this connection.
fn choose(connection: &Connection, machine: &str, sql: &str) -> duckdb::Result<()> {
    connection.execute_batch("CREATE OR REPLACE TEMP TABLE chosen (id VARCHAR)")?;
    connection.execute(&format!("INSERT INTO chosen {sql}"), [machine]).map(drop)
}

fn features(connection: &Connection) -> duckdb::Result<HashMap<String, Vec<String>>> {
    let sql = "SELECT probe_id, name FROM probe_features \
               WHERE probe_id IN (SELECT id FROM chosen) ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut all: HashMap<String, Vec<String>> = HashMap::new();
    while let Some(row) = rows.next()? {
        all.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(all)
}

/// The named values in a table whose columns are the id of a chosen row, a name and a value.
fn values<T: FromSql>(
    connection: &Connection,
    table: &str,
    id: &str,
) -> duckdb::Result<HashMap<String, BTreeMap<String, T>>> {
    let sql = format!("SELECT * FROM {table} WHERE {id} IN (SELECT id FROM chosen)");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut all: HashMap<String, BTreeMap<String, T>> = HashMap::new();
    while let Some(row) = rows.next()? {
        all.entry(row.get(0)?).or_default().insert(row.get(1)?, row.get(2)?);
    }
    Ok(all)
}

fn fallbacks(connection: &Connection) -> duckdb::Result<HashMap<String, Vec<Fallback>>> {
    let sql = "SELECT result_id, op, why, goes_to FROM fallbacks \
               WHERE result_id IN (SELECT id FROM chosen) ORDER BY result_id, position";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut all: HashMap<String, Vec<Fallback>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let fallback = Fallback { op: row.get(1)?, why: row.get(2)?, to: row.get(3)? };
        all.entry(row.get(0)?).or_default().push(fallback);
    }
    Ok(all)
}

/// The columns of the metrics, from `first` on.
fn metrics(row: &Row<'_>, first: usize, stages: BTreeMap<String, u64>) -> duckdb::Result<Metrics> {
    Ok(Metrics {
        load_ns: row.get(first)?,
        compile_ns: row.get(first + 1)?,
        first_run_ns: row.get(first + 2)?,
        peak_memory_bytes: row.get(first + 3)?,
        items_per_run: row.get(first + 4)?,
        operations_per_run: row.get(first + 5)?,
        bytes_per_run: row.get(first + 6)?,
        stages,
        // Not in the database: whoever judges samples reads the record files.
        measured: None,
        // In tables of its own, and in no report of runs.
        telemetry: None,
    })
}

pub(super) fn mark(row: &Row<'_>, column: usize) -> duckdb::Result<Option<Mark>> {
    let name: Option<String> = row.get(column)?;
    Ok(name.and_then(|name| named(&MARKS, Mark::name, &name)))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> duckdb::Result<Timestamp> {
    Ok(Timestamp::from_microsecond(row.get(column)?).unwrap_or(Timestamp::MIN))
}

pub(super) fn doubles(list: Value) -> Vec<f64> {
    let (Value::List(values) | Value::Array(values)) = list else { return Vec::new() };
    let double = |value| if let Value::Double(number) = value { Some(number) } else { None };
    values.into_iter().filter_map(double).collect()
}
