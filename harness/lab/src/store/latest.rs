//! The table `latest`: of each case on each machine the row that `latest_results` shows, kept up to date as results come.
//!
//! So the view reads as many rows as there are cases and machines, however many results are stored.

use duckdb::{Connection, params_from_iter};
use proofmark::journal::lean::Lean;
use std::collections::HashMap;

/// Ids that are named in a query, where the index finds each of them. More are joined.
const NAMED: usize = 64;

/// What the view ranks measurements by: one that ran before one that was skipped or not timed, then the newest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    ran: bool,
    recorded_at_us: i64,
    id: String,
}

/// The newest measurement of each case on each machine among some results.
#[derive(Debug, Default)]
pub(super) struct Newest {
    of_cases: HashMap<(String, String), Rank>,
}

impl Newest {
    /// Takes a result into account.
    pub(super) fn see(&mut self, lean: &Lean<'_>) {
        if lean.purpose != "measure" {
            return;
        }
        let is_timed = !lean.latency_ns.is_empty() || lean.summary.is_some();
        let ran = lean.outcome != "skipped" && (lean.outcome != "passed" || is_timed);
        let rank = Rank { ran, recorded_at_us: lean.recorded_at_us, id: lean.id.to_string() };
        self.rank((lean.case.to_string(), lean.environment.machine.to_string()), rank);
    }

    /// Takes other results into account.
    pub(super) fn merge(&mut self, other: Self) {
        for (of, rank) in other.of_cases {
            self.rank(of, rank);
        }
    }

    fn rank(&mut self, of: (String, String), rank: Rank) {
        match self.of_cases.get_mut(&of) {
            Some(newest) if *newest >= rank => {}
            Some(newest) => *newest = rank,
            None => {
                self.of_cases.insert(of, rank);
            }
        }
    }

    /// Brings the table up to date with these results, which are in the database by now.
    pub(super) fn store(&self, connection: &Connection) -> duckdb::Result<()> {
        if self.of_cases.is_empty() {
            return Ok(());
        }
        let ids = || self.of_cases.values().map(|rank| &rank.id);
        let is_empty = "CREATE OR REPLACE TEMP TABLE arrived AS FROM latest LIMIT 0";
        connection.execute_batch(is_empty)?;
        match self.of_cases.len() {
            few @ ..=NAMED => {
                let places = vec!["?"; few].join(", ");
                connection.execute(&arrive(&places), params_from_iter(ids()))?;
            }
            _ => {
                connection.execute_batch("CREATE OR REPLACE TEMP TABLE newest (id VARCHAR)")?;
                let mut appender =
                    connection.appender_to_catalog_and_db("newest", "temp", "main")?;
                appender.append_rows(ids().map(|id| [id]))?;
                appender.flush()?;
                connection.execute(&arrive("SELECT id FROM newest"), [])?;
            }
        }
        connection.execute_batch(REPLACE)
    }
}

/// Makes the table anew from all results: cheaper than to see each of them where many come.
pub(super) fn renew(connection: &Connection) -> duckdb::Result<()> {
    connection.execute_batch(NEWEST)?;
    connection.execute_batch("CREATE OR REPLACE TEMP TABLE arrived AS FROM latest LIMIT 0")?;
    connection.execute(&arrive("SELECT id FROM newest"), [])?;
    connection
        .execute_batch("DELETE FROM latest; INSERT INTO latest FROM arrived; DROP TABLE arrived")
}

/// Puts the rows with these ids into the table `arrived`, as the table `latest` has them.
fn arrive(ids: &str) -> String {
    format!(
        "INSERT INTO arrived SELECT results.*, coalesce(ops, 0) AS fallbacks FROM results \
         LEFT JOIN (SELECT result_id, count(*) AS ops FROM fallbacks GROUP BY result_id) AS elsewhere \
         ON elsewhere.result_id = results.id WHERE id IN ({ids})"
    )
}

/// The ids of the newest measurement of each case on each machine, in the order of the view.
const NEWEST: &str = "
CREATE OR REPLACE TEMP TABLE newest AS
SELECT arg_max(id, row(
    NOT (outcome = 'skipped' OR (outcome = 'passed' AND latency_ns_median IS NULL)), recorded_at, id
)) AS id
FROM results WHERE purpose = 'measure' GROUP BY case_id, machine";

/// Puts what was the latest beside what arrived, and keeps of each case on each machine the first in the order of the
/// view. The table has no key: a row goes before another of its case comes.
const REPLACE: &str = "
INSERT INTO arrived SELECT * FROM latest SEMI JOIN arrived USING (case_id, machine) WHERE id NOT IN (SELECT id FROM arrived);
DELETE FROM latest USING arrived WHERE latest.case_id = arrived.case_id AND latest.machine = arrived.machine;
INSERT INTO latest SELECT * FROM arrived QUALIFY row_number() OVER (
    PARTITION BY case_id, machine
    ORDER BY outcome = 'skipped' OR (outcome = 'passed' AND latency_ns_median IS NULL), recorded_at DESC, id DESC
) = 1;
DROP TABLE arrived;";
