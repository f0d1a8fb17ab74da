//! What the report of compatibility asks of the store: the latest run of each case, predictions, and the latest probes.

use super::past::{MARKS, OUTCOMES, named};
use super::runs::time;
use super::{Store, StoreError};
use crate::compat::{Fact, Presence};
use duckdb::Row;
use jiff::Timestamp;
use proofmark::Mark;
use proofmark::record::Outcome;

/// The latest run of each case on each machine, mark by mark; a run that opened no device stands for all marks of its
/// case, and one that was skipped only where none ran.
const RUNS: &str = "
WITH latest AS (
    SELECT * FROM results WHERE outcome <> 'skipped' AND recorded_at <= CAST($1 AS TIMESTAMP)
    QUALIFY row_number() OVER (PARTITION BY case_id, machine, mark ORDER BY recorded_at DESC, id DESC) = 1
), ran AS (
    SELECT * FROM latest WHERE NOT EXISTS (
        SELECT 1 FROM latest AS newer
        WHERE newer.case_id = latest.case_id AND newer.machine = latest.machine
            AND (newer.mark IS NULL) <> (latest.mark IS NULL) AND newer.recorded_at > latest.recorded_at
    )
), skipped AS (
    SELECT * FROM results WHERE outcome = 'skipped' AND recorded_at <= CAST($1 AS TIMESTAMP) AND NOT EXISTS (
        SELECT 1 FROM latest WHERE latest.case_id = results.case_id AND latest.machine = results.machine
    )
    QUALIFY row_number() OVER (PARTITION BY case_id, machine ORDER BY recorded_at DESC, id DESC) = 1
)
SELECT model, endpoint, case_id, mark, outcome, message, epoch_us(recorded_at), id, machine,
    EXISTS (SELECT 1 FROM fallbacks WHERE result_id = id)
FROM (SELECT * FROM ran UNION ALL SELECT * FROM skipped)
ORDER BY model, endpoint, case_id, machine";

/// Devices that are no endpoint of a machine are those that their maker's programs run on.
const PREDICTIONS: &str = "
SELECT model, CASE WHEN endpoint IS NOT NULL THEN endpoint
        WHEN device LIKE 'AMD %' THEN 'rocm' ELSE 'cuda' END AS place,
    any_value(shape), max(epoch_us(made_at)), any_value(id), string_agg(DISTINCT device, ', ' ORDER BY device),
    coalesce(any_value(machine), '')
FROM predictions WHERE made_at <= CAST($1 AS TIMESTAMP)
GROUP BY model, place ORDER BY model, place";

const PROBES: &str = "
SELECT endpoint, machine, reason, epoch_us(recorded_at), id FROM probes
WHERE recorded_at <= CAST($1 AS TIMESTAMP)
QUALIFY row_number() OVER (PARTITION BY endpoint, machine ORDER BY recorded_at DESC, id DESC) = 1
ORDER BY endpoint, machine";

impl Store {
    /// What was known of models on endpoints until a time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn compatibility(
        &self,
        until: Timestamp,
    ) -> Result<(Vec<Fact>, Vec<Presence>), StoreError> {
        let read = || -> duckdb::Result<_> {
            let mut facts = self.rows(RUNS, until, run)?;
            facts.extend(self.rows(PREDICTIONS, until, prediction)?);
            Ok((facts, self.rows(PROBES, until, presence)?))
        };
        read().map_err(self.reading())
    }

    fn rows<T>(
        &self,
        sql: &str,
        until: Timestamp,
        make: fn(&Row<'_>) -> duckdb::Result<T>,
    ) -> duckdb::Result<Vec<T>> {
        let mut statement = self.connection.prepare(sql)?;
        let until = until.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string();
        statement.query_map([until], make)?.collect()
    }
}

fn run(row: &Row<'_>) -> duckdb::Result<Fact> {
    let mark: Option<String> = row.get(3)?;
    let outcome: String = row.get(4)?;
    Ok(Fact {
        model: row.get(0)?,
        endpoint: row.get(1)?,
        case: row.get(2)?,
        mark: mark.and_then(|name| named(&MARKS, Mark::name, &name)),
        outcome: named(&OUTCOMES, Outcome::name, &outcome),
        message: row.get(5)?,
        at: time(row, 6)?,
        record: row.get(7)?,
        machine: row.get(8)?,
        fallbacks: row.get(9)?,
    })
}

fn prediction(row: &Row<'_>) -> duckdb::Result<Fact> {
    let (model, endpoint): (String, String) = (row.get(0)?, row.get(1)?);
    let (shape, devices): (String, String) = (row.get(2)?, row.get(5)?);
    Ok(Fact {
        case: format!("{model}/{endpoint}/f32/{shape}"),
        model,
        endpoint,
        mark: Some(Mark::Simulated),
        outcome: None,
        fallbacks: false,
        message: Some(format!("predicted for {devices}")),
        at: time(row, 3)?,
        record: row.get(4)?,
        machine: row.get(6)?,
    })
}

fn presence(row: &Row<'_>) -> duckdb::Result<Presence> {
    Ok(Presence {
        endpoint: row.get(0)?,
        machine: row.get(1)?,
        absence: row.get(2)?,
        at: time(row, 3)?,
        record: row.get(4)?,
    })
}
