//! What a plan has to know of the past: the latest measurement of each case on one machine.

use super::{Store, StoreError};
use crate::plan::{NOISY_RUNS, Past, Stored};
use duckdb::types::ValueRef;
use duckdb::{Connection, appender_params_from_iter};
use jiff::Timestamp;
use proofmark::protocol::Listed;
use proofmark::record::Outcome;
use proofmark::{Mark, Part};
use std::collections::{BTreeSet, HashMap};

/// Measurements that ran. One that passed without a sample was not timed and tells nothing.
const RAN: &str = "purpose = 'measure' AND outcome <> 'skipped' \
                   AND (outcome <> 'passed' OR latency_ns_median IS NOT NULL)";

/// Whether ops of a result ran elsewhere than on its device.
pub(super) const FELL_BACK: &str = "(results.id IN (SELECT result_id FROM fallbacks))";

impl Store {
    /// The latest measurement of each case on this machine. The parts of a fingerprint are read only where it
    /// is not the wanted one, and earlier noise only where the latest is above `noise_limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn past(
        &self,
        machine: &str,
        wanted: &[Listed],
        noise_limit: f64,
    ) -> Result<Stored, StoreError> {
        let mut stored = latest(&self.connection, machine).map_err(self.reading())?;
        let noisy = stored.values().any(|past| past.noise.iter().any(|&n| n > noise_limit));
        if noisy {
            add_noise(&self.connection, machine, noise_limit, &mut stored)
                .map_err(self.reading())?;
        }
        add_parts(&self.connection, wanted, &mut stored).map_err(self.reading())?;
        Ok(stored)
    }
}

/// One that ran comes before all that did not, so a case whose latest did not run has none that ran.
fn latest(connection: &Connection, machine: &str) -> duckdb::Result<Stored> {
    let sql = format!(
        "SELECT case_id, fingerprint, epoch_us(recorded_at), outcome, mark, relative_noise, busy_ns, fallbacks > 0 \
         FROM latest WHERE machine = ? AND {RAN}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([machine])?;
    let mut stored = Stored::new();
    while let Some(row) = rows.next()? {
        let noise: Option<f64> = row.get(5)?;
        let mark = match row.get_ref(4)? {
            ValueRef::Null => None,
            mark => named(&MARKS, Mark::name, mark.as_str()?),
        };
        let past = Past {
            fingerprint: row.get(1)?,
            parts: Vec::new(),
            recorded_at: Timestamp::from_microsecond(row.get(2)?).unwrap_or(Timestamp::MIN),
            outcome: named(&OUTCOMES, Outcome::name, row.get_ref(3)?.as_str()?)
                .unwrap_or(Outcome::Failed),
            mark,
            noise: noise.into_iter().collect(),
            seconds: row.get::<_, f64>(6)? * 1e-9,
            fell_back: row.get(7)?,
        };
        stored.insert(row.get(0)?, past);
    }
    Ok(stored)
}

pub(super) const MARKS: [Mark; 4] = [Mark::Real, Mark::Software, Mark::Simulated, Mark::Claimed];
/// Those of [`RAN`].
pub(super) const OUTCOMES: [Outcome; 4] =
    [Outcome::Passed, Outcome::Failed, Outcome::TimedOut, Outcome::Crashed];

/// A value by its name; the tables hold no other names.
pub(super) fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, wanted: &str) -> Option<T> {
    all.iter().copied().find(|value| name(*value) == wanted)
}

/// Fills in the noise of the earlier results with the same fingerprint.
fn add_noise(
    connection: &Connection,
    machine: &str,
    noise_limit: f64,
    stored: &mut Stored,
) -> duckdb::Result<()> {
    let mut asked = Vec::new();
    for (case, past) in stored.iter_mut() {
        if past.noise.iter().any(|&noise| noise > noise_limit) {
            past.noise.clear();
            asked.push([case.clone(), past.fingerprint.clone(), past.fell_back.to_string()]);
        }
    }
    ask(connection, &asked)?;
    let sql = format!(
        "SELECT results.case_id, relative_noise FROM results \
         JOIN asked ON results.case_id = asked.a AND results.fingerprint = asked.b \
         AND {FELL_BACK} = asked.c::BOOLEAN \
         WHERE machine = ? AND {RAN} AND relative_noise IS NOT NULL \
         WINDOW newest AS (PARTITION BY results.case_id ORDER BY recorded_at DESC, id DESC) \
         QUALIFY row_number() OVER newest <= {NOISY_RUNS} \
         ORDER BY results.case_id, row_number() OVER newest"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([machine])?;
    while let Some(row) = rows.next()? {
        if let Some(past) = stored.get_mut(&row.get::<_, String>(0)?) {
            past.noise.push(row.get(1)?);
        }
    }
    Ok(())
}

/// Fills in the parts of the fingerprints that are not the wanted ones.
fn add_parts(
    connection: &Connection,
    wanted: &[Listed],
    stored: &mut Stored,
) -> duckdb::Result<()> {
    let mut changed = Vec::new();
    for case in wanted {
        let id = case.id.to_string();
        if stored.get(&id).is_some_and(|past| past.fingerprint != case.fingerprint.digest) {
            changed.push(id);
        }
    }
    let digests: BTreeSet<_> = changed.iter().map(|id| stored[id].fingerprint.clone()).collect();
    let asked: Vec<_> =
        digests.into_iter().map(|digest| [digest, String::new(), String::new()]).collect();
    if asked.is_empty() {
        return Ok(());
    }
    ask(connection, &asked)?;
    let sql = "SELECT fingerprint, name, value FROM fingerprint_parts \
               WHERE fingerprint IN (SELECT a FROM asked) ORDER BY fingerprint, position";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut parts: HashMap<String, Vec<Part>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let part = Part { name: row.get(1)?, value: row.get(2)? };
        parts.entry(row.get(0)?).or_default().push(part);
    }
    for id in &changed {
        if let Some(past) = stored.get_mut(id) {
            past.parts = parts.get(&past.fingerprint).cloned().unwrap_or_default();
        }
    }
    Ok(())
}

/// Makes these rows the table `asked` of this connection.
fn ask(connection: &Connection, rows: &[[String; 3]]) -> duckdb::Result<()> {
    let columns = "a VARCHAR, b VARCHAR, c VARCHAR";
    connection.execute_batch(&format!("CREATE OR REPLACE TEMP TABLE asked ({columns})"))?;
    let mut appender = connection.appender_to_catalog_and_db("asked", "temp", "main")?;
    for row in rows {
        appender.append_row(appender_params_from_iter(row))?;
    }
    appender.flush()
}
