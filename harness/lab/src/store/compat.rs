//! What the report of compatibility asks of the store: the latest run of each case, predictions, and the latest probes.

use super::past::{OUTCOMES, named};
use super::runs::{mark, time};
use super::timing::PLACE;
use super::{Store, StoreError};
use crate::basis::is_fixture;
use crate::compat::{Fact, Presence};
use duckdb::Row;
use jiff::Timestamp;
use proofmark::record::Outcome;
use proofmark::{CaseId, Endpoint, Mark};

/// The latest run of each case on each machine, mark by mark; a run that opened no device stands for all marks of its
/// case, and one that was skipped only where none ran. What was made up hides nothing.
const RUNS: &str = "
WITH latest AS (
    SELECT * FROM results WHERE outcome <> 'skipped' AND recorded_at <= CAST($1 AS TIMESTAMP)
    QUALIFY row_number() OVER (PARTITION BY case_id, machine, mark, suite = 'fixture' ORDER BY recorded_at DESC, id DESC) = 1
), ran AS (
    SELECT * FROM latest WHERE NOT EXISTS (
        SELECT 1 FROM latest AS newer
        WHERE newer.case_id = latest.case_id AND newer.machine = latest.machine
            AND (newer.suite = 'fixture') = (latest.suite = 'fixture')
            AND (newer.mark IS NULL) <> (latest.mark IS NULL) AND newer.recorded_at > latest.recorded_at
    )
), skipped AS (
    SELECT * FROM results WHERE outcome = 'skipped' AND recorded_at <= CAST($1 AS TIMESTAMP) AND NOT EXISTS (
        SELECT 1 FROM latest WHERE latest.case_id = results.case_id AND latest.machine = results.machine
    )
    QUALIFY row_number() OVER (PARTITION BY case_id, machine ORDER BY recorded_at DESC, id DESC) = 1
)
SELECT model, endpoint, case_id, mark, outcome, message, epoch_us(recorded_at), id, machine,
    EXISTS (SELECT 1 FROM fallbacks WHERE result_id = id), suite
FROM (SELECT * FROM ran UNION ALL SELECT * FROM skipped)
ORDER BY model, endpoint, case_id, machine";

const PREDICTIONS: &str = "
SELECT model, {PLACE} AS place,
    any_value(shape), max(epoch_us(made_at)), any_value(id), string_agg(DISTINCT device, ', ' ORDER BY device),
    coalesce(any_value(machine), '')
FROM predictions WHERE made_at <= CAST($1 AS TIMESTAMP)
GROUP BY model, place ORDER BY model, place";

/// What each migrated file says of each model on each endpoint, mark by mark, since the file was read first.
const MIGRATED: &str = "
SELECT model, endpoint, any_value(latest_migrated.precision), latest_migrated.source_file, mark, count(*), min(json_path),
    any_value(reason), epoch_us(min(read_at))
FROM latest_migrated JOIN migrated_files USING (sha256, rules)
WHERE model IS NOT NULL AND endpoint IS NOT NULL AND read_at <= CAST($1 AS TIMESTAMP)
GROUP BY model, endpoint, latest_migrated.source_file, mark ORDER BY ALL";

/// Imported benchmarks whose name may be the id of a case.
const IMPORTED: &str = "
SELECT benchmark, source, tool, count(*), file_id, epoch_us(min(imported_at))
FROM imported_results JOIN (SELECT id AS file_id, imported_at, source FROM imported_files) USING (file_id)
WHERE {IS_CASE} AND imported_at <= CAST($1 AS TIMESTAMP)
GROUP BY benchmark, source, tool, file_id ORDER BY ALL";

const PROBES: &str = "
SELECT endpoint, machine, reason, epoch_us(recorded_at), id, suite FROM probes
WHERE recorded_at <= CAST($1 AS TIMESTAMP)
QUALIFY row_number() OVER (PARTITION BY endpoint, machine, suite = 'fixture' ORDER BY recorded_at DESC, id DESC) = 1
ORDER BY endpoint, machine";

/// A query with the condition that an imported benchmark has the name of a case: four parts, the second being an endpoint
/// that this version knows or that was probed or run on. Names of four parts are common elsewhere.
pub(super) fn of_cases(sql: &str) -> String {
    let known: Vec<String> = Endpoint::KNOWN.iter().map(|known| format!("('{known}')")).collect();
    let is_case = format!(
        "regexp_full_match(benchmark, '[^/]+(/[^/]+){{3}}') AND split_part(benchmark, '/', 2) IN ( \
         SELECT endpoint FROM results UNION SELECT endpoint FROM probes UNION VALUES {})",
        known.join(", ")
    );
    sql.replace("{IS_CASE}", &is_case)
}

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
            facts.extend(self.rows(&PREDICTIONS.replace("{PLACE}", PLACE), until, prediction)?);
            facts.extend(self.rows(MIGRATED, until, migrated)?);
            facts.extend(self.rows(&of_cases(IMPORTED), until, imported)?.into_iter().flatten());
            Ok((facts, self.presences(until)?))
        };
        read().map_err(self.reading())
    }

    /// The latest probe of each endpoint on each machine until a time.
    pub(super) fn presences(&self, until: Timestamp) -> duckdb::Result<Vec<Presence>> {
        self.rows(PROBES, until, presence)
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
    let outcome: String = row.get(4)?;
    Ok(Fact {
        model: row.get(0)?,
        endpoint: row.get(1)?,
        case: row.get(2)?,
        mark: mark(row, 3)?,
        // A skipped run has a name that is not among those of runs that ended.
        outcome: named(&OUTCOMES, Outcome::name, &outcome).or(Some(Outcome::Skipped)),
        message: row.get(5)?,
        at: time(row, 6)?,
        record: row.get(7)?,
        machine: row.get(8)?,
        fallbacks: row.get(9)?,
        fixture: is_fixture(&row.get::<_, String>(10)?),
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
        fixture: false,
    })
}

fn migrated(row: &Row<'_>) -> duckdb::Result<Fact> {
    let (model, endpoint): (String, String) = (row.get(0)?, row.get(1)?);
    let precision: Option<String> = row.get(2)?;
    let (file, count, first): (String, u64, String) = (row.get(3)?, row.get(5)?, row.get(6)?);
    let reason: String = row.get(7)?;
    Ok(Fact {
        case: format!("{model}/{endpoint}/{}/?", precision.as_deref().unwrap_or("?")),
        model,
        endpoint,
        // The table takes two marks only, and of those the weaker says less.
        mark: Some(mark(row, 4)?.unwrap_or(Mark::Claimed)),
        outcome: None,
        fallbacks: false,
        message: Some(format!("{count} numbers of a legacy file; {reason}")),
        at: time(row, 8)?,
        record: format!("{file}#{first}"),
        machine: String::new(),
        fixture: false,
    })
}

/// What another tool measured under the name of a case. Other names say nothing of a model on an endpoint.
fn imported(row: &Row<'_>) -> duckdb::Result<Option<Fact>> {
    let Ok(case) = row.get::<_, String>(0)?.parse::<CaseId>() else { return Ok(None) };
    let (source, tool, count): (String, String, u64) = (row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(Some(Fact {
        model: case.model.clone(),
        endpoint: case.endpoint.to_string(),
        case: case.to_string(),
        mark: Some(Mark::Claimed),
        outcome: None,
        fallbacks: false,
        message: Some(format!("{count} numbers that {tool} wrote into {source}")),
        at: time(row, 5)?,
        record: row.get(4)?,
        machine: String::new(),
        fixture: false,
    }))
}

fn presence(row: &Row<'_>) -> duckdb::Result<Presence> {
    Ok(Presence {
        endpoint: row.get(0)?,
        machine: row.get(1)?,
        absence: row.get(2)?,
        at: time(row, 3)?,
        record: row.get(4)?,
        fixture: is_fixture(&row.get::<_, String>(5)?),
    })
}
