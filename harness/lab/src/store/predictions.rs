//! From files of predictions, and of what was learned for them, to their tables.

use super::{Store, StoreError};
use crate::simulate::learned::{self, Learned};
use crate::simulate::recorded::{self, Recorded};
use duckdb::params;
use proofmark::journal::Fault;
use std::path::Path;

impl Store {
    /// Takes in the predictions and lessons of a folder that are not known yet, all or nothing; says how many predictions
    /// these were, and which lines are none.
    ///
    /// # Errors
    /// A file cannot be read, or the database cannot be written.
    pub fn ingest_predictions(&self, folder: &Path) -> Result<(usize, Vec<Fault>), StoreError> {
        let failed = |source| StoreError::Records { path: folder.to_owned(), source };
        let (predictions, mut faults) = recorded::read(folder).map_err(failed)?;
        let (lessons, others) = learned::read(folder).map_err(failed)?;
        faults.extend(others);
        let transaction = self.connection.unchecked_transaction().map_err(self.writing())?;
        let new = self.add(&predictions)?;
        self.add_lessons(&lessons)?;
        transaction.commit().map_err(self.writing())?;
        Ok((new, faults))
    }

    fn add(&self, predictions: &[Recorded]) -> Result<usize, StoreError> {
        let mut new = 0;
        {
            let sql = "INSERT OR IGNORE INTO predictions VALUES \
                       (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
            let mut insert = self.connection.prepare(sql).map_err(self.writing())?;
            for p in predictions {
                let row = params![
                    p.id,
                    p.made_at.to_string(),
                    p.model,
                    p.shape,
                    p.precision,
                    p.device,
                    p.endpoint,
                    p.machine,
                    p.reality.to_string(),
                    p.mark.to_string(),
                    p.model_version,
                    p.fit,
                    p.inputs,
                    p.predicted_ms,
                    p.low_ms,
                    p.high_ms,
                    p.confidence.name(),
                    p.validated_error,
                    p.nearest_device,
                    p.extrapolated_share,
                    p.memory_bytes,
                    p.fits
                ];
                new += insert.execute(row).map_err(self.writing())?;
            }
        }
        Ok(new)
    }

    fn add_lessons(&self, lessons: &[Learned]) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO lessons VALUES \
                   (?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS DOUBLE[]), CAST(? AS VARCHAR[]))";
        let mut insert = self.connection.prepare(sql).map_err(self.writing())?;
        for lesson in lessons {
            let row = params![
                lesson.id,
                lesson.made_at.to_string(),
                lesson.version,
                lesson.place.machine,
                lesson.place.endpoint,
                lesson.place.device,
                lesson.place.reality.to_string(),
                lesson.model_version,
                lesson.without,
                format!("{:?}", lesson.rates),
                format!("[{}]", lesson.records.join(", "))
            ];
            insert.execute(row).map_err(self.writing())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Folders;
    use std::path::PathBuf;
    use tempfile::TempDir;

    /// A database, and files of predictions.
    struct Folder(TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn db(&self) -> PathBuf {
            self.0.path().join("results.duckdb")
        }

        fn folders(&self) -> Folders {
            Folders::below(self.0.path())
        }

        fn predictions(&self) -> PathBuf {
            self.0.path().join("predictions")
        }

        fn open(&self) -> Store {
            Store::open(&self.db()).unwrap()
        }
    }

    /// A prediction with this id and interval.
    fn prediction(id: &str, [low, predicted, high]: [f64; 3]) -> Recorded {
        let text = serde_json::json!({
            "format": 1, "id": id, "made_at": "2026-01-01T00:00:00Z", "model": "m", "shape": "b1", "precision": "f32",
            "device": "Tesla P4", "mark": "simulated", "model_version": 1, "fit": "f", "inputs": "i",
            "predicted_ms": predicted, "low_ms": low, "high_ms": high, "confidence": "low", "validated_error": 0.3,
            "nearest_device": "Tesla T4", "extrapolated_share": 0.5, "memory_bytes": 7, "fits": true
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn predictions_have_a_table_of_their_own() {
        let world = Folder::new();
        let all = [prediction("1", [1.0, 2.0, 3.0]), prediction("2", [2.0, 2.0, 2.0])];
        recorded::append(&world.predictions(), &all).unwrap();
        let ingest = || world.open().ingest_predictions(&world.predictions()).unwrap();
        assert_eq!(ingest(), (2, Vec::new()));
        assert_eq!(ingest(), (0, Vec::new()));
        let count = |table: &str| {
            let store = world.open();
            let sql = format!("SELECT count(*) FROM {table}");
            store.connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let counts = || ["predictions", "results", "latest_results"].map(count);
        assert_eq!(counts(), [2, 0, 0]);
        std::fs::remove_file(world.db()).unwrap();
        let rebuilt = Store::rebuild(&world.db(), &world.folders()).unwrap();
        assert_eq!((rebuilt.predictions, counts()), (2, [2, 0, 0]));
    }

    #[test]
    fn predictions_that_mean_nothing_get_in_by_no_way() {
        for interval in [[3.0, 2.0, 3.0], [1.0, 2.0, 1.5], [0.0, 2.0, 3.0], [-1.0, -1.0, 3.0]] {
            let world = Folder::new();
            recorded::append(&world.predictions(), &[prediction("1", interval)]).unwrap();
            let (new, faults) = world.open().ingest_predictions(&world.predictions()).unwrap();
            assert_eq!((new, faults.len()), (0, 1), "{interval:?}");
        }
        let world = Folder::new();
        let store = world.open();
        let row = "INSERT INTO predictions VALUES ('1', '2026-01-01', 'm', 'b1', 'f32', 'd', NULL, NULL, 'real', 'software', 1, \
                   'f', 'i', 2, 1, 3, \
                   'low', 0.3, 'n', 0, 7, true)";
        assert!(store.connection.execute_batch(row).is_err());
        store.connection.execute_batch(&row.replace("'software'", "'simulated'")).unwrap();
    }
}
