//! What predictions are graded by: timed results with their memory, kind by kind.

use super::{Store, StoreError};
use crate::basis::is_fixture;
use crate::simulate::reality::{Fact, Series};
use crate::trend::trends;
use proofmark::Mark;
use std::collections::HashMap;

impl Store {
    /// All timed results that ran on a device or in software, each kind in the order of time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn facts(&self) -> Result<Vec<Series>, StoreError> {
        let cases = self.timed_cases()?.iter().map(ToString::to_string).collect();
        let rows = self.timed(&cases)?;
        let memory = self.peaks().map_err(self.reading())?;
        let ran = trends(rows)
            .into_iter()
            .filter(|trend| matches!(trend.kind.mark, Mark::Real | Mark::Software))
            // What was made up grades nothing and teaches nothing.
            .filter(|trend| !is_fixture(&trend.suite));
        let fact = |point: crate::trend::Point| Fact {
            peak_memory_bytes: memory.get(&point.record).copied(),
            point,
        };
        Ok(ran
            .map(|trend| Series {
                suite: trend.suite,
                kind: trend.kind,
                points: trend.points.into_iter().map(fact).collect(),
            })
            .collect())
    }

    fn peaks(&self) -> duckdb::Result<HashMap<String, u64>> {
        let sql = "SELECT id, peak_memory_bytes FROM results WHERE peak_memory_bytes > 0";
        let mut statement = self.connection.prepare(sql)?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }
}
