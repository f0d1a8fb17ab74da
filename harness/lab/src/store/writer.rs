//! Portions of results into their tables: what is new as it comes, and of known results what the tables lack.

use super::columns::{CHILDREN, Columns, SORTED_BY};
use super::known::{Known, Status};
use super::latest::{self, Newest};
use super::staged::beside;
use duckdb::arrow::array::BooleanArray;
use duckdb::arrow::compute::{
    SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch,
};
use duckdb::arrow::record_batch::RecordBatch;
use duckdb::{Appender, Connection};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Rows that DuckDB keeps together.
const ROW_GROUP: usize = 122_880;
/// Rows that DuckDB works on at once.
const VECTOR: usize = 2048;

/// Writes results. The child tables have no keys, which would cost more than all else: that each row gets in once
/// is held here, by leaving out what is known.
pub(super) struct Writer<'c> {
    connection: &'c Connection,
    results: Known,
    fingerprints: Known,
    /// Nothing where so many come that it is cheaper to look for the newest afterwards.
    newest: Option<Newest>,
    /// New results that are still to be sorted.
    held: Vec<RecordBatch>,
    /// By table.
    appenders: HashMap<&'static str, Appender<'c>>,
    /// Of known results that were read again, as after a change of the schema: the child tables of what belongs to them.
    again: HashMap<&'static str, Appender<'c>>,
}

impl<'c> Writer<'c> {
    /// `many` says that many results will come.
    pub(super) fn new(connection: &'c Connection, many: bool) -> duckdb::Result<Self> {
        Ok(Self {
            connection,
            results: Known::new(connection, "results", "id", many)?,
            fingerprints: Known::new(connection, "fingerprint_parts", "fingerprint", many)?,
            newest: (!many).then(Newest::default),
            held: Vec::new(),
            appenders: HashMap::new(),
            again: HashMap::new(),
        })
    }

    /// Writes what is new of some results, and says how many of them are.
    pub(super) fn write(
        &mut self,
        mut columns: Columns,
        newest: Option<Newest>,
    ) -> duckdb::Result<usize> {
        if let (Some(all), Some(newest)) = (&mut self.newest, newest) {
            all.merge(newest);
        }
        let statuses = see(&mut self.results, self.connection, &columns.ids)?;
        let (new, stored) =
            (Choice::of(&statuses, Status::New), Choice::of(&statuses, Status::Stored));
        let batch = columns.results.batch();
        self.hold(new.rows(&columns.results.owners, batch.as_ref()))?;
        for (name, named) in CHILDREN.into_iter().zip(&mut columns.children) {
            for table in named.tables.values_mut() {
                let batch = table.batch();
                self.append(name, new.rows(&table.owners, batch.as_ref()))?;
                self.append_again(name, stored.rows(&table.owners, batch.as_ref()))?;
            }
        }
        let digests = see(&mut self.fingerprints, self.connection, &columns.digests)?;
        let batch = columns.parts.batch();
        let rows = Choice::of(&digests, Status::New).rows(&columns.parts.owners, batch.as_ref());
        self.append("fingerprint_parts", rows)?;
        Ok(new.count)
    }

    /// Holds results until there are enough of them to be sorted: where those of a case stand side by side, DuckDB reads
    /// a case without reading the others, and what is alike takes less room.
    fn hold(&mut self, rows: Option<RecordBatch>) -> duckdb::Result<()> {
        self.held.extend(rows);
        if self.held.iter().map(RecordBatch::num_rows).sum::<usize>() < ROW_GROUP {
            return Ok(());
        }
        let Some(all) = joined(&self.held) else { return Ok(()) };
        self.held = vec![all.slice(ROW_GROUP, all.num_rows() - ROW_GROUP)];
        self.append_sorted(&all.slice(0, ROW_GROUP))
    }

    /// Appends results in the order of their case, machine and time.
    fn append_sorted(&mut self, rows: &RecordBatch) -> duckdb::Result<()> {
        let column = |column| SortColumn { values: rows.column(column).clone(), options: None };
        let order = lexsort_to_indices(&SORTED_BY.map(column), None);
        let order = order.expect("text and times can be sorted");
        // DuckDB copies the whole lists of a batch for each of the vectors that it makes of it: one vector is a batch.
        for start in (0..order.len()).step_by(VECTOR) {
            let rows =
                take_record_batch(rows, &order.slice(start, VECTOR.min(order.len() - start)));
            self.append("results", Some(rows.expect("the order is of these rows")))?;
        }
        Ok(())
    }

    fn append(&mut self, table: &'static str, rows: Option<RecordBatch>) -> duckdb::Result<()> {
        let Some(rows) = rows else { return Ok(()) };
        let appender = match self.appenders.entry(table) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(self.connection.appender(table)?),
        };
        appender.append_record_batch(rows)
    }

    fn append_again(
        &mut self,
        table: &'static str,
        rows: Option<RecordBatch>,
    ) -> duckdb::Result<()> {
        let Some(rows) = rows else { return Ok(()) };
        let appender = match self.again.entry(table) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                place.insert(beside(self.connection, &format!("again_{table}"), table)?)
            }
        };
        appender.append_record_batch(rows)
    }

    /// Writes what is still waiting, and brings the table of the latest results up to date.
    pub(super) fn finish(mut self) -> duckdb::Result<()> {
        if let Some(held) = joined(&self.held) {
            self.append_sorted(&held)?;
        }
        for mut appender in self.appenders.into_values() {
            appender.flush()?;
        }
        for (table, mut appender) in self.again {
            appender.flush()?;
            drop(appender);
            // A table has all rows of a result or none.
            self.connection.execute_batch(&format!(
                "INSERT INTO {table} SELECT * FROM again_{table} ANTI JOIN {table} USING (result_id); \
                 DROP TABLE again_{table}"
            ))?;
        }
        match self.newest {
            Some(newest) => newest.store(self.connection),
            None => latest::renew(self.connection),
        }
    }
}

fn joined(batches: &[RecordBatch]) -> Option<RecordBatch> {
    let schema = batches.first()?.schema();
    Some(concat_batches(&schema, batches).expect("batches of one table have one schema"))
}

fn see(
    known: &mut Known,
    connection: &Connection,
    names: &[String],
) -> duckdb::Result<Vec<Status>> {
    names.iter().map(|name| known.see(connection, name)).collect()
}

/// Those of some results that have one status.
struct Choice {
    chosen: Vec<bool>,
    count: usize,
}

impl Choice {
    fn of(statuses: &[Status], wanted: Status) -> Self {
        let chosen: Vec<bool> = statuses.iter().map(|status| *status == wanted).collect();
        let count = chosen.iter().filter(|chosen| **chosen).count();
        Self { chosen, count }
    }

    /// The rows that belong to the chosen ones.
    fn rows(&self, owners: &[u32], batch: Option<&RecordBatch>) -> Option<RecordBatch> {
        let batch = batch?;
        if self.count == self.chosen.len() {
            return Some(batch.clone());
        }
        if self.count == 0 {
            return None;
        }
        let mask: BooleanArray =
            owners.iter().map(|owner| Some(self.chosen[*owner as usize])).collect();
        let rows = filter_record_batch(batch, &mask).expect("the mask is as long as the batch");
        (rows.num_rows() > 0).then_some(rows)
    }
}
