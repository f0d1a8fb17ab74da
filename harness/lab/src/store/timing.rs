//! What the report on timing asks of the store: the latest timed result of each case by machine, adapter and kind, with
//! those of the same code before it; the newest predictions; and latencies that were migrated or imported and say of what
//! model on which endpoint they are.

use super::compat::of_cases;
use super::past::FELL_BACK;
use super::runs::{doubles, mark, time};
use super::{Store, StoreError};
use crate::basis::Kind;
use crate::timing::{Measurement, NEWEST};
use duckdb::Row;
use jiff::Timestamp;
use proofmark::record::FIXTURE;
use proofmark::{CaseId, Mark};

/// Devices that are no endpoint of a machine are those that their maker's programs run on.
pub(super) const PLACE: &str = "CASE WHEN endpoint IS NOT NULL THEN endpoint \
                                WHEN device LIKE 'AMD %' THEN 'rocm' ELSE 'cuda' END";

/// The newest prediction of each model on each device.
const PREDICTIONS: &str = "
SELECT id, model, {PLACE} AS place, precision, shape, coalesce(machine, ''), device, epoch_us(made_at), predicted_ms, low_ms,
    high_ms, memory_bytes
FROM predictions
QUALIFY row_number() OVER (
    PARTITION BY model, place, precision, shape, machine, device, reality ORDER BY made_at DESC, id DESC
) = 1";

/// Latencies in nanoseconds of a model on an endpoint.
const MIGRATED: &str = "
SELECT latest_migrated.source_file || '#' || json_path, model, endpoint, coalesce(precision, '?'),
    CASE WHEN batch_size IS NULL THEN '?' ELSE 'b' || batch_size END, latest_migrated.source_file,
    coalesce(epoch_us(TRY_CAST(measured_at AS TIMESTAMP)), epoch_us(read_at)), mark, coalesce(statistic, '?'), value
FROM latest_migrated JOIN migrated_files USING (sha256, rules)
WHERE metric = 'latency' AND unit = 'ns' AND model IS NOT NULL AND endpoint IS NOT NULL
    AND (statistic IS NULL OR statistic IN ('mean', 'median'))";

/// Times whose name is the id of a case; a median where the source has one, else its mean.
const IMPORTED: &str = "
SELECT file_id || '#' || place, benchmark, source, imported_results.tool, coalesce(epoch_us(measured_at), epoch_us(imported_at)), statistic, value,
    samples
FROM imported_results JOIN imported_files ON imported_files.id = file_id
WHERE metric = 'time' AND unit = 'ns' AND statistic IN ('mean', 'median') AND {IS_CASE}
QUALIFY row_number() OVER (PARTITION BY file_id, benchmark ORDER BY statistic = 'median' DESC, position) = 1";

impl Store {
    /// The numbers of the report on timing, in no order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn measurements(&self) -> Result<Vec<Measurement>, StoreError> {
        let read = || -> duckdb::Result<_> {
            let mut all = self.made(&results(), result)?;
            all.extend(self.made(&PREDICTIONS.replace("{PLACE}", PLACE), prediction)?);
            all.extend(self.made(MIGRATED, migrated)?);
            all.extend(self.made(&of_cases(IMPORTED), imported)?.into_iter().flatten());
            Ok(all)
        };
        read().map_err(self.reading())
    }

    fn made<T>(
        &self,
        sql: &str,
        make: fn(&Row<'_>) -> duckdb::Result<T>,
    ) -> duckdb::Result<Vec<T>> {
        let mut statement = self.connection.prepare(sql)?;
        statement.query_map([], make)?.collect()
    }
}

/// Results of a fixture are of another kind, so that they never hide others.
fn results() -> String {
    let kind = "case_id, machine, mark, fell_back, device, made_up";
    format!(
        "WITH timed AS (
            SELECT *, {FELL_BACK} AS fell_back, coalesce(adapter, '') AS device, suite = '{FIXTURE}' AS made_up
            FROM results WHERE outcome = 'passed' AND latency_ns_median > 0 AND mark IS NOT NULL
        ), latest AS (
            SELECT * FROM timed
            QUALIFY row_number() OVER (PARTITION BY {kind} ORDER BY recorded_at DESC, id DESC) = 1
        ), processes AS (
            SELECT {kind}, fingerprint, list(latency_ns_median ORDER BY recorded_at DESC, id DESC)[1:{NEWEST}] AS medians
            FROM timed GROUP BY {kind}, fingerprint
        )
        SELECT id, case_id, model, endpoint, precision, shape, mark, fell_back, made_up, machine, platform, cpu, threads, device,
            epoch_us(recorded_at), latency_ns_median, samples, medians, items_per_run, operations_per_run, bytes_per_run,
            peak_memory_bytes, load_ns, compile_ns
        FROM latest JOIN processes USING ({kind}, fingerprint)"
    )
}

fn result(row: &Row<'_>) -> duckdb::Result<Measurement> {
    let (platform, cpu, threads): (String, String, u64) =
        (row.get(10)?, row.get(11)?, row.get(12)?);
    Ok(Measurement {
        record: row.get(0)?,
        case: row.get(1)?,
        parts: [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?],
        kind: Kind { mark: mark(row, 6)?, fallbacks: row.get(7)?, fixture: row.get(8)? },
        machine: row.get(9)?,
        class: format!("{platform} · {cpu} · {threads} threads"),
        device: row.get(13)?,
        at: time(row, 14)?,
        statistic: "median".to_owned(),
        latency_ns: row.get(15)?,
        samples: doubles(row.get(16)?),
        processes: doubles(row.get(17)?),
        stated: None,
        items_per_run: row.get(18)?,
        operations_per_run: row.get(19)?,
        bytes_per_run: row.get(20)?,
        peak_memory_bytes: row.get(21)?,
        load_ns: row.get(22)?,
        compile_ns: row.get(23)?,
    })
}

/// What says of itself where it stands, what it is of, and nothing else.
fn plain(record: String, parts: [String; 4], mark: Mark, at: Timestamp) -> Measurement {
    Measurement {
        record,
        case: parts.join("/"),
        parts,
        kind: Kind { mark: Some(mark), fallbacks: false, fixture: false },
        machine: String::new(),
        class: String::new(),
        device: String::new(),
        at,
        statistic: String::new(),
        latency_ns: 0.0,
        samples: Vec::new(),
        processes: Vec::new(),
        stated: None,
        items_per_run: None,
        operations_per_run: None,
        bytes_per_run: None,
        peak_memory_bytes: None,
        load_ns: None,
        compile_ns: None,
    }
}

fn prediction(row: &Row<'_>) -> duckdb::Result<Measurement> {
    const NS_PER_MS: f64 = 1e6;
    let parts = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
    let device: String = row.get(6)?;
    let ns = |column: usize| Ok::<_, duckdb::Error>(NS_PER_MS * row.get::<_, f64>(column)?);
    Ok(Measurement {
        machine: row.get(5)?,
        class: format!("predicted for {device}"),
        device,
        statistic: "prediction".to_owned(),
        latency_ns: ns(8)?,
        stated: Some([ns(9)?, ns(10)?]),
        peak_memory_bytes: row.get(11)?,
        ..plain(row.get(0)?, parts, Mark::Simulated, time(row, 7)?)
    })
}

fn migrated(row: &Row<'_>) -> duckdb::Result<Measurement> {
    let parts = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
    let file: String = row.get(5)?;
    // The table takes two marks only, and of those the weaker says less.
    let mark = mark(row, 7)?.unwrap_or(Mark::Claimed);
    Ok(Measurement {
        class: format!("file {file}"),
        statistic: row.get(8)?,
        latency_ns: row.get(9)?,
        // Whether a legacy latency is that of a batch or of one of it, nobody knows.
        items_per_run: None,
        ..plain(row.get(0)?, parts, mark, time(row, 6)?)
    })
}

fn imported(row: &Row<'_>) -> duckdb::Result<Option<Measurement>> {
    let Ok(case) = row.get::<_, String>(1)?.parse::<CaseId>() else { return Ok(None) };
    let parts = [case.model, case.endpoint.to_string(), case.precision, case.shape];
    let (source, tool): (String, String) = (row.get(2)?, row.get(3)?);
    Ok(Some(Measurement {
        class: format!("file {source}"),
        device: tool,
        statistic: row.get(5)?,
        latency_ns: row.get(6)?,
        samples: doubles(row.get(7)?),
        ..plain(row.get(0)?, parts, Mark::Claimed, time(row, 4)?)
    }))
}
