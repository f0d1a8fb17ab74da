//! From files of predictions to their table.

use super::{Store, StoreError};
use crate::simulate::recorded::{self, Recorded};
use duckdb::params;
use proofmark::journal::Fault;
use std::path::Path;

impl Store {
    /// Takes in the predictions of a folder that are not known yet, all or nothing; says how many these were, and which
    /// lines are none.
    ///
    /// # Errors
    /// The file cannot be read, or the database cannot be written.
    pub fn ingest_predictions(&self, folder: &Path) -> Result<(usize, Vec<Fault>), StoreError> {
        let failed = |source| StoreError::Records { path: folder.to_owned(), source };
        let (predictions, faults) = recorded::read(folder).map_err(failed)?;
        Ok((self.add(&predictions)?, faults))
    }

    fn add(&self, predictions: &[Recorded]) -> Result<usize, StoreError> {
        let transaction = self.connection.unchecked_transaction().map_err(self.writing())?;
        let mut new = 0;
        {
            let sql = "INSERT OR IGNORE INTO predictions VALUES \
                       (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
            let mut insert = transaction.prepare(sql).map_err(self.writing())?;
            for p in predictions {
                let row = params![
                    p.id,
                    p.made_at.to_string(),
                    p.model,
                    p.shape,
                    p.precision,
                    p.device,
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
        transaction.commit().map_err(self.writing())?;
        Ok(new)
    }
}
