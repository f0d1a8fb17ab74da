//! What the report on quality asks of the store: every run, the latest probes, contradictions of migrated files, and how
//! many numbers are simulated or claimed.

use super::past::{FELL_BACK, OUTCOMES, named};
use super::runs::{mark, time};
use super::{Store, StoreError};
use crate::basis::Kind;
use crate::quality::{Facts, Run};
use duckdb::Row;
use jiff::Timestamp;
use proofmark::record::{FIXTURE, Outcome};

impl Store {
    /// All that the report judges, until a time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn quality_facts(&self, until: Timestamp) -> Result<Facts, StoreError> {
        let read = || -> duckdb::Result<Facts> {
            Ok(Facts {
                runs: self.all_runs()?,
                probes: self.presences(until)?,
                migrated: self.migrated_contradictions()?,
                others: self.other_kinds()?,
            })
        };
        read().map_err(self.reading())
    }

    fn all_runs(&self) -> duckdb::Result<Vec<Run>> {
        let sql = format!(
            "SELECT id, case_id, model, endpoint, mark, {FELL_BACK}, suite = '{FIXTURE}', machine, coalesce(adapter, ''), \
             fingerprint, outcome, purpose = 'measure', latency_ns_median, relative_noise, epoch_us(recorded_at) FROM results"
        );
        let mut statement = self.connection.prepare(&sql)?;
        statement.query_map([], run)?.collect()
    }

    fn migrated_contradictions(&self) -> duckdb::Result<Vec<(String, String)>> {
        let sql = "SELECT source_file, unnest(contradictions) FROM (SELECT * FROM migrated_files \
                   QUALIFY rules = max(rules) OVER (PARTITION BY sha256)) ORDER BY ALL";
        let mut statement = self.connection.prepare(sql)?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// A kind for each number that no run gave.
    fn other_kinds(&self) -> duckdb::Result<Vec<Kind>> {
        let sql = "SELECT mark, count(*) FROM (SELECT mark FROM predictions UNION ALL \
                   SELECT mark FROM latest_migrated WHERE value IS NOT NULL UNION ALL SELECT mark FROM imported_results) \
                   GROUP BY mark";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut kinds = Vec::new();
        while let Some(row) = rows.next()? {
            let kind = Kind { mark: mark(row, 0)?, fallbacks: false, fixture: false };
            kinds.extend(std::iter::repeat_n(kind, row.get(1)?));
        }
        Ok(kinds)
    }
}

fn run(row: &Row<'_>) -> duckdb::Result<Run> {
    let outcome: String = row.get(10)?;
    // A skipped run has a name that is not among those of runs that ended.
    let outcome = named(&OUTCOMES, Outcome::name, &outcome).unwrap_or(Outcome::Skipped);
    Ok(Run {
        record: row.get(0)?,
        case: row.get(1)?,
        model: row.get(2)?,
        endpoint: row.get(3)?,
        kind: Kind { mark: mark(row, 4)?, fallbacks: row.get(5)?, fixture: row.get(6)? },
        machine: row.get(7)?,
        device: row.get(8)?,
        fingerprint: row.get(9)?,
        outcome,
        measured: row.get(11)?,
        latency_ns: row.get(12)?,
        relative_noise: row.get(13)?,
        at: time(row, 14)?,
    })
}
