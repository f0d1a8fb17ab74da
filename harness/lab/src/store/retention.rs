//! Whose raw samples stay, however old: what reports show in full, and what certificates rest on.

use super::past::FELL_BACK;
use super::{Store, StoreError};
use duckdb::Connection;
use std::collections::HashSet;

impl Store {
    /// The ids of results that are not to be thinned: of each case on each machine the newest that was timed, by mark,
    /// suite, adapter, outcome, and whether ops ran elsewhere; the newest that tells how the case stands; and the evidence of certificates.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn kept_whole(&self) -> Result<HashSet<String>, StoreError> {
        kept_whole(&self.connection).map_err(self.reading())
    }
}

fn kept_whole(connection: &Connection) -> duckdb::Result<HashSet<String>> {
    let sql = format!(
        "SELECT arg_max(id, row(recorded_at, id)) FROM results WHERE latency_ns_median IS NOT NULL \
         GROUP BY case_id, machine, mark, suite, adapter, outcome, {FELL_BACK} \
         UNION SELECT id FROM latest UNION SELECT unnest(records) FROM certifications"
    );
    connection.prepare(&sql)?.query_map([], |row| row.get(0))?.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{CASE, World, mix};
    use crate::retention::thin;
    use serde_json::json;

    #[test]
    fn the_newest_of_each_kind_stay_whole() {
        let mut world = World::new();
        let mut ids = Vec::new();
        for kind in 0..6 {
            let latency: &[f64] = if kind == 5 { &[] } else { &[1.0, 2.0, 4.0] };
            let mut record = world.record(CASE, latency);
            match kind {
                2 => record.suite = "another".into(),
                3 => mix(&mut record),
                4 => record.device.as_mut().unwrap().adapter = "another".into(),
                _ => {}
            }
            ids.push(record.id.clone());
            world.write(record);
        }
        world.ingest();
        let kept = world.open().kept_whole().unwrap();
        // The last one passed without being timed; it is no evidence of anything.
        let expected = ids[1..5].iter().cloned().collect();
        assert_eq!(kept, expected);
    }

    #[test]
    fn a_thinned_result_has_all_that_the_whole_one_had_but_its_samples() {
        let mut world = World::new();
        let mut record = world.record(CASE, &[3.0, 1.0, 2.0, 10.0, 4.0]);
        world.write(record.clone());
        world.ingest();
        let facts =
            "SELECT * EXCLUDE (id, samples, iterations, dropped_samples) FROM results WHERE id = ";
        let whole = world.rows(&format!("{facts}'{}'", record.id));
        record.id += "-thinned";
        let thinned = thin(&record).unwrap();
        assert_eq!(thinned.fault(), None);
        assert_eq!(thin(&thinned), None, "nothing is left to drop");
        world.write(thinned);
        world.ingest();
        assert_eq!(world.rows(&format!("{facts}'{}'", record.id)), whole);
        let rows =
            world.rows("SELECT dropped_samples, len(samples) AS left FROM results ORDER BY 1");
        assert_eq!(
            rows,
            json!([{ "dropped_samples": 5, "left": 0 }, { "dropped_samples": null, "left": 5 }])
        );
        let summary = world
            .rows("SELECT samples, runs, total_ns, latency_ns_min, latency_ns_max FROM summaries");
        let expected = json!([{ "samples": 5, "runs": 10, "total_ns": 40.0, "latency_ns_min": 1.0, "latency_ns_max": 10.0 }]);
        assert_eq!(summary, expected);
    }
}
