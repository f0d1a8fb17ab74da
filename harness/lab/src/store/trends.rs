//! What trends are made of: every result that passed and was timed, and the parts of fingerprints.

use super::past::{FELL_BACK, MARKS, named};
use super::runs::time;
use super::{Store, StoreError};
use crate::trend::{Facts, Kind, Point, Row};
use duckdb::Connection;
use proofmark::{CaseId, Mark, Part};
use std::collections::{BTreeSet, HashMap};

/// Results that a trend may have. A result without a mark has no samples.
const TIMED: &str = "outcome = 'passed' AND latency_ns_median IS NOT NULL";

impl Store {
    /// The cases that have a timed result, in the order of their ids.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn timed_cases(&self) -> Result<Vec<CaseId>, StoreError> {
        timed_cases(&self.connection).map_err(self.reading())
    }

    /// All timed results of these cases, in no order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn timed(&self, cases: &BTreeSet<String>) -> Result<Vec<Row>, StoreError> {
        timed(&self.connection, cases).map_err(self.reading())
    }

    /// The parts of these fingerprints.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn parts(
        &self,
        digests: &BTreeSet<&str>,
    ) -> Result<HashMap<String, Vec<Part>>, StoreError> {
        parts(&self.connection, digests).map_err(self.reading())
    }
}

fn timed_cases(connection: &Connection) -> duckdb::Result<Vec<CaseId>> {
    let sql = format!("SELECT DISTINCT case_id FROM results WHERE {TIMED} ORDER BY case_id");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut cases = Vec::new();
    while let Some(row) = rows.next()? {
        // The journal takes no other ids.
        cases.extend(row.get::<_, String>(0)?.parse::<CaseId>());
    }
    Ok(cases)
}

fn timed(connection: &Connection, cases: &BTreeSet<String>) -> duckdb::Result<Vec<Row>> {
    let sql = format!(
        "SELECT case_id, suite, machine, mark, {FELL_BACK}, id, epoch_us(recorded_at), latency_ns_median, \
         relative_noise, commit_id, fingerprint, rustc, profile, adapter, driver FROM results WHERE {TIMED}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut timed = Vec::new();
    while let Some(row) = rows.next()? {
        let case: String = row.get(0)?;
        if !cases.contains(&case) {
            continue;
        }
        let mark = named(&MARKS, Mark::name, &row.get::<_, String>(3)?);
        let (Ok(case_id), Some(mark)) = (case.parse(), mark) else { continue };
        let kind = Kind { case_id, machine: row.get(2)?, mark, fallbacks: row.get(4)? };
        let latency_ns_median = row.get(7)?;
        let noise: Option<f64> = row.get(8)?;
        let facts = Facts {
            rustc: row.get(11)?,
            profile: row.get(12)?,
            adapter: row.get::<_, Option<String>>(13)?.unwrap_or_default(),
            driver: row.get::<_, Option<String>>(14)?.unwrap_or_default(),
        };
        let point = Point {
            record: row.get(5)?,
            recorded_at: time(row, 6)?,
            latency_ns_median,
            latency_ns_spread: noise.map(|noise| noise * latency_ns_median),
            commit: row.get(9)?,
            fingerprint: row.get(10)?,
            facts,
        };
        timed.push(Row { suite: row.get(1)?, kind, point });
    }
    Ok(timed)
}

fn parts(
    connection: &Connection,
    digests: &BTreeSet<&str>,
) -> duckdb::Result<HashMap<String, Vec<Part>>> {
    let sql = "SELECT name, value FROM fingerprint_parts WHERE fingerprint = ? ORDER BY position";
    let mut statement = connection.prepare(sql)?;
    let mut all = HashMap::new();
    for digest in digests {
        let part = |row: &duckdb::Row<'_>| Ok(Part { name: row.get(0)?, value: row.get(1)? });
        let parts = statement.query_map([digest], part)?.collect::<duckdb::Result<_>>()?;
        all.insert((*digest).to_owned(), parts);
    }
    Ok(all)
}
