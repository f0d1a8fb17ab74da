//! Answers that leave the store: held in a table of their own, refused if a number has no mark, written as Parquet or Arrow.
//!
//! The user's SQL runs on a database that is open for reading only and can reach one file: the one that is written.

use super::error::opening;
use super::{Store, StoreError};
use duckdb::{AccessMode, Config, Connection};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// A format that is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// Parquet, by DuckDB's own writer.
    Parquet,
    /// Arrow's file format.
    Arrow,
}

/// The name of the answer while it is held.
const HELD: &str = "temp.exported";

impl Store {
    /// Opens a database as for reading only, except that the file `out` can be written.
    ///
    /// # Errors
    /// As for [`Store::open_read_only`].
    pub fn open_for_export(path: &Path, out: &Path) -> Result<Self, StoreError> {
        // What is refused, and said of it, is the same.
        drop(Self::open_read_only(path)?);
        let connect = || -> duckdb::Result<Connection> {
            let config = Config::default()
                .with("autoinstall_known_extensions", "false")?
                .with("autoload_known_extensions", "false")?
                .with("access_mode", AccessMode::ReadOnly.as_ref())?;
            let connection = Connection::open_with_flags(path, config)?;
            connection.execute_batch(&format!(
                "SET allowed_paths = [{}]; SET enable_external_access = false; SET lock_configuration = true",
                literal(&out.to_string_lossy())
            ))?;
            Ok(connection)
        };
        let connection = connect().map_err(|error| opening(path, &error))?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// The tables and views whose rows say what mark they have.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn marked_tables(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT table_name FROM duckdb_columns() \
                   WHERE column_name = 'mark' AND NOT internal ORDER BY 1";
        self.names(sql).map_err(self.reading())
    }

    /// Answers a query and holds the answer, if each row that has a number says what mark it has. With `unopened`, rows
    /// of which no device was opened may be without, as the table of results has them.
    ///
    /// # Errors
    /// The SQL is wrong, or a number would have no mark.
    pub fn hold(&self, sql: &str, unopened: bool) -> Result<(), StoreError> {
        let sql = sql.trim().trim_end_matches(';');
        // On lines of its own, so that a comment at its end ends there.
        let held = format!("CREATE TEMP TABLE exported AS (\n{sql}\n)");
        self.connection.execute_batch(&held).map_err(|e| StoreError::Query(e.to_string()))?;
        self.check_marks(unopened)
    }

    /// The answer that is held, as values.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn held(&self) -> Result<super::Answer, StoreError> {
        self.query(&format!("SELECT * FROM {HELD}"))
    }

    /// Writes the answer that is held into a file, which must be the one of [`Store::open_for_export`]; gives the count
    /// of its rows.
    ///
    /// # Errors
    /// The file cannot be written, or a type has no place in the format.
    pub fn write_held(&self, format: Binary, out: &Path) -> Result<u64, StoreError> {
        let failed = |detail: String| StoreError::Export { path: out.to_owned(), detail };
        match format {
            Binary::Parquet => {
                let path = literal(&out.to_string_lossy());
                let copy = format!(
                    "COPY {HELD} TO {path} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"
                );
                self.connection.execute_batch(&copy).map_err(|e| failed(e.to_string()))?;
            }
            Binary::Arrow => self.arrow(out).map_err(failed)?,
        }
        let count = format!("SELECT count(*) FROM {HELD}");
        self.connection.query_row(&count, [], |row| row.get(0)).map_err(self.reading())
    }

    fn arrow(&self, out: &Path) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let sql = format!("SELECT * FROM {HELD}");
        let mut statement = self.connection.prepare(&sql).map_err(|e| said(&e))?;
        let batches = statement.query_arrow([]).map_err(|e| said(&e))?;
        let file = BufWriter::new(File::create(out).map_err(|e| said(&e))?);
        let mut writer = arrow_ipc::writer::FileWriter::try_new(file, &batches.get_schema())
            .map_err(|e| said(&e))?;
        for batch in batches {
            writer.write(&batch).map_err(|e| said(&e))?;
        }
        writer.finish().map_err(|e| said(&e))
    }

    fn names(&self, sql: &str) -> duckdb::Result<Vec<String>> {
        let mut statement = self.connection.prepare(sql)?;
        statement.query_map([], |row| row.get(0))?.collect()
    }

    fn check_marks(&self, unopened: bool) -> Result<(), StoreError> {
        let columns = "SELECT column_name, data_type FROM duckdb_columns() \
                       WHERE database_name = 'temp' AND table_name = 'exported' ORDER BY column_index";
        let read = || -> duckdb::Result<Vec<(String, String)>> {
            let mut statement = self.connection.prepare(columns)?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let columns = read().map_err(self.reading())?;
        let numbers: Vec<&str> = columns
            .iter()
            .filter(|(_, kind)| has_numbers(kind))
            .map(|(name, _)| name.as_str())
            .collect();
        if numbers.is_empty() {
            return Ok(());
        }
        if !columns.iter().any(|(name, kind)| name == "mark" && kind == "VARCHAR") {
            return Err(StoreError::Unmarked(format!(
                "has numbers ({}) and no column `mark`",
                numbers.join(", ")
            )));
        }
        let some: Vec<_> =
            numbers.iter().map(|name| format!("{} IS NOT NULL", quoted(name))).collect();
        let missing = if unopened {
            "false".to_owned()
        } else {
            format!("mark IS NULL AND ({})", some.join(" OR "))
        };
        let sql = format!(
            "SELECT count(*), any_value(coalesce(mark, 'null')) FROM {HELD} \
             WHERE {missing} OR mark NOT IN ('real', 'software', 'simulated', 'claimed')"
        );
        let (count, example): (u64, Option<String>) = self
            .connection
            .query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(self.reading())?;
        if count > 0 {
            let example = example.unwrap_or_default();
            return Err(StoreError::Unmarked(format!(
                "has {count} rows with numbers whose mark is none (such as {example})"
            )));
        }
        Ok(())
    }
}

/// Whether a type, or one within it, is of numbers.
fn has_numbers(kind: &str) -> bool {
    // The last two may hold any value; INT is also in INTERVAL, a measured time.
    let words = ["INT", "DOUBLE", "FLOAT", "DECIMAL", "BIGNUM", "VARIANT", "JSON"];
    words.iter().any(|word| kind.contains(word))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use duckdb::arrow::array::{Array as _, Float64Array, ListArray, StringArray};
    use std::path::PathBuf;
    use tempfile::TempDir;

    struct World(TempDir);

    impl World {
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// A store that may write this file and no other.
        fn open(&self, out: &str) -> Store {
            Store::open_for_export(&self.path("db"), &self.path(out)).unwrap()
        }
    }

    fn world() -> World {
        let world = World(tempfile::tempdir().unwrap());
        let store = Store::open(&world.path("db")).unwrap();
        let rows = "INSERT INTO imported_results VALUES \
                    ('f', 0, 'go', NULL, 'a', 'time', 'mean', 1.5, 'ns', 1.5, 'ns', 'claimed', 2, [1, 2], [], 'p'), \
                    ('f', 1, 'go', NULL, 'é', 'time', 'max', 1e300, NULL, -2, NULL, 'claimed', NULL, [], [], 'p')";
        store.connection.execute_batch(rows).unwrap();
        store.close().unwrap();
        world
    }

    const SQL: &str =
        "SELECT benchmark, mark, value, samples, unit FROM imported_results ORDER BY position";

    #[test]
    fn parquet_is_read_back_as_it_was() {
        let world = world();
        let store = world.open("it's.parquet");
        store.hold(SQL, false).unwrap();
        assert_eq!(store.write_held(Binary::Parquet, &world.path("it's.parquet")).unwrap(), 2);
        let held = store.held().unwrap();
        let other = Connection::open_in_memory().unwrap();
        let read = Store { path: PathBuf::new(), connection: other };
        let from = literal(&world.path("it's.parquet").to_string_lossy());
        assert_eq!(read.query(&format!("SELECT * FROM read_parquet({from})")).unwrap(), held);
        assert_eq!(held.rows[0][3], serde_json::json!([1.0, 2.0]));
    }

    #[test]
    fn arrow_is_read_back_as_it_was() {
        let world = world();
        let store = world.open("a.arrow");
        store.hold(SQL, false).unwrap();
        assert_eq!(store.write_held(Binary::Arrow, &world.path("a.arrow")).unwrap(), 2);
        let file = File::open(world.path("a.arrow")).unwrap();
        let mut reader = arrow_ipc::reader::FileReader::try_new(file, None).unwrap();
        let batch = reader.next().unwrap().unwrap();
        assert!(reader.next().is_none());
        let names: Vec<_> =
            batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["benchmark", "mark", "value", "samples", "unit"]);
        let text =
            |at: usize| batch.column(at).as_any().downcast_ref::<StringArray>().unwrap().clone();
        assert_eq!((text(0).value(1), text(1).value(1)), ("é", "claimed"));
        assert!(text(4).is_null(1) && text(4).value(0) == "ns");
        let values = batch.column(2).as_any().downcast_ref::<Float64Array>().unwrap();
        assert_eq!(values.values()[..], [1.5, 1e300]);
        let samples = batch.column(3).as_any().downcast_ref::<ListArray>().unwrap().value(0);
        assert_eq!(
            samples.as_any().downcast_ref::<Float64Array>().unwrap().values()[..],
            [1.0, 2.0]
        );
    }

    #[test]
    fn no_other_file_is_in_reach() {
        let world = world();
        std::fs::write(world.path("secret.csv"), "a\n1\n").unwrap();
        let store = world.open("out.parquet");
        store.hold(SQL, false).unwrap();
        let error = store.write_held(Binary::Parquet, &world.path("other.parquet")).unwrap_err();
        assert!(error.to_string().contains("other.parquet"), "{error}");
        assert!(!world.path("other.parquet").exists());
        let secret = literal(&world.path("secret.csv").to_string_lossy());
        for sql in [
            format!("SELECT * FROM read_csv({secret})"),
            format!("SELECT 1 AS n) TO {secret} (FORMAT csv); --"),
            "SET enable_external_access = true".to_owned(),
            "SELECT 1; DROP TABLE imported_results".to_owned(),
        ] {
            let store = world.open("out.parquet");
            assert!(store.hold(&sql, false).is_err(), "{sql}");
            assert!(store.connection.execute_batch(&sql).is_err(), "{sql}");
        }
        let store = world.open("out.parquet");
        assert_eq!(
            store.query("SELECT count(*) AS n FROM imported_results").unwrap().rows[0][0],
            2
        );
        assert_eq!(std::fs::read_to_string(world.path("secret.csv")).unwrap(), "a\n1\n");
    }

    #[test]
    fn numbers_have_marks_or_are_refused() {
        let world = world();
        let check = |sql: &str, unopened: bool| {
            world.open("out").hold(sql, unopened).map_err(|e| e.to_string())
        };
        for sql in [
            "SELECT value FROM imported_results",
            "SELECT [1] AS l",
            "SELECT {'a': 1.5::DECIMAL(4, 1)} AS s",
            "SELECT 1::VARIANT AS v",
            "SELECT '1'::JSON AS j",
            "SELECT INTERVAL 1 SECOND AS i",
            "SELECT 1 AS mark",
            "SELECT 'fast' AS mark, 1 AS n",
            "SELECT NULL::VARCHAR AS mark, 1 AS n",
        ] {
            assert!(check(sql, false).unwrap_err().starts_with("the answer has"), "{sql}");
        }
        for sql in [
            "SELECT benchmark FROM imported_results",
            "SELECT NULL::VARCHAR AS mark, NULL::INT AS n",
            SQL,
        ] {
            check(sql, false).unwrap();
        }
        check("SELECT NULL::VARCHAR AS mark, 1 AS n", true).unwrap();
        assert!(check("SELECT 'fast' AS mark, 1 AS n", true).is_err());
        let tables = world.open("out").marked_tables().unwrap();
        assert!(
            tables.contains(&"imported_results".to_owned())
                && !tables.contains(&"op_times".to_owned())
        );
    }
}
