//! From the file of what other tools measured to its tables.

use super::staged::{insert, list, number, optional, text, time};
use super::{Store, StoreError};
use crate::import::{Imported, kept};
use duckdb::types::Value;
use proofmark::journal::Fault;
use std::collections::HashSet;
use std::path::Path;

/// Rows that wait for their way into the database, by table.
#[derive(Default)]
struct Rows {
    files: Vec<Vec<Value>>,
    file_details: Vec<Vec<Value>>,
    results: Vec<Vec<Value>>,
    details: Vec<Vec<Value>>,
}

impl Store {
    /// Takes in the sources of a folder that are not known yet, all or nothing; says how many these were, and which
    /// lines are none.
    ///
    /// # Errors
    /// The file cannot be read, or the database cannot be written.
    pub fn ingest_imports(&self, folder: &Path) -> Result<(usize, Vec<Fault>), StoreError> {
        let failed = |source| StoreError::Records { path: folder.to_owned(), source };
        let (sources, faults) = kept::read(folder).map_err(failed)?;
        let mut known = self.imported().map_err(self.reading())?;
        let mut rows = Rows::default();
        for source in sources.iter().filter(|source| known.insert(source.id.clone())) {
            rows.push(source);
        }
        let transaction = self.connection.unchecked_transaction().map_err(self.writing())?;
        let add = |table, key, rows: &[Vec<Value>]| {
            insert(&transaction, table, key, rows).map_err(self.writing())
        };
        let new = add("imported_files", "id", &rows.files)?;
        add("imported_file_details", "file_id, name", &rows.file_details)?;
        add("imported_results", "file_id, position", &rows.results)?;
        add("imported_details", "file_id, position, name", &rows.details)?;
        transaction.commit().map_err(self.writing())?;
        Ok((new, faults))
    }

    fn imported(&self) -> duckdb::Result<HashSet<String>> {
        let mut statement = self.connection.prepare("SELECT id FROM imported_files")?;
        statement.query_map([], |row| row.get(0))?.collect()
    }
}

impl Rows {
    /// Each row has the columns of its table, in their order.
    fn push(&mut self, source: &Imported) {
        let (id, tool) = (text(&source.id), text(source.tool.name()));
        let version = optional(source.tool_version.as_deref());
        let mark = text(source.mark.name());
        self.files.push(vec![
            id.clone(),
            time(source.imported_at),
            text(&source.source),
            tool.clone(),
            version.clone(),
            text(&source.tool_version_from),
            source.measured_at.map_or(Value::Null, time),
            mark.clone(),
            number(source.results.len() as u64),
            text(&source.remarks.join("\n")),
        ]);
        for (name, value) in &source.details {
            self.file_details.push(vec![id.clone(), text(name), text(value)]);
        }
        for (position, one) in source.results.iter().enumerate() {
            let position = number(position as u64);
            for (name, value) in &one.details {
                self.details.push(vec![id.clone(), position.clone(), text(name), text(value)]);
            }
            self.results.push(vec![
                id.clone(),
                position,
                tool.clone(),
                version.clone(),
                text(&one.benchmark),
                text(&one.metric),
                text(&one.statistic),
                Value::Double(one.value),
                optional(one.unit.as_deref()),
                Value::Double(one.raw_value),
                optional(one.raw_unit.as_deref()),
                mark.clone(),
                one.runs.map_or(Value::Null, number),
                list(&one.samples),
                list(&one.iterations),
                text(&one.place),
            ]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Measured, Tool};
    use crate::store::Folders;
    use proofmark::Mark;
    use std::path::PathBuf;
    use tempfile::TempDir;

    struct World(TempDir);

    impl World {
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn open(&self) -> Store {
            Store::open(&self.path("db")).unwrap()
        }

        fn ingest(&self) -> (usize, Vec<Fault>) {
            self.open().ingest_imports(&self.path("imports")).unwrap()
        }
    }

    fn source(id: &str) -> Imported {
        let value = Measured {
            benchmark: "'); DROP TABLE results; -- \u{1b}[31m".into(),
            metric: "time".into(),
            statistic: "mean".into(),
            unit: Some("ns".into()),
            value: 1.5,
            raw_value: 1.5e-9,
            raw_unit: Some("s".into()),
            runs: Some(2),
            samples: vec![1.0, 2.0],
            iterations: vec![1, 1],
            place: "results[0].mean".into(),
            details: [("parameter.n".to_owned(), "[1, \"2\"]".to_owned())].into(),
        };
        let unitless = Measured {
            unit: None,
            value: -3.0,
            samples: vec![],
            iterations: vec![],
            ..value.clone()
        };
        Imported {
            format: kept::FORMAT,
            id: id.into(),
            imported_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            source: "a \"b\",\n{c}".into(),
            tool: Tool::Hyperfine,
            tool_version: None,
            tool_version_from: "unknown: …".into(),
            measured_at: None,
            mark: Mark::Claimed,
            details: [("host".to_owned(), "bench".to_owned())].into(),
            results: vec![value, unitless],
            remarks: vec!["one".into(), "two".into()],
        }
    }

    #[test]
    fn a_source_is_taken_in_once_and_comes_back_after_a_rebuild() {
        let world = World(tempfile::tempdir().unwrap());
        kept::append(&world.path("imports"), &[source("1"), source("2"), source("1")]).unwrap();
        assert_eq!(world.ingest(), (2, Vec::new()));
        assert_eq!(world.ingest(), (0, Vec::new()));
        let sql = "SELECT file_id, benchmark, r.value, unit, r.mark, samples, source, remarks, d.value AS n \
                   FROM imported_results r JOIN imported_files f ON f.id = r.file_id \
                   JOIN imported_details d USING (file_id, position) ORDER BY ALL";
        let before = world.open().query(sql).unwrap();
        assert_eq!(before.rows.len(), 4);
        let first = &before.objects()[1];
        assert_eq!(first["benchmark"], source("1").results[0].benchmark);
        assert_eq!((&first["value"], &first["mark"]), (&1.5.into(), &"claimed".into()));
        assert_eq!(first["samples"], serde_json::json!([1.0, 2.0]));
        assert_eq!(
            (&first["source"], &first["n"]),
            (&"a \"b\",\n{c}".into(), &"[1, \"2\"]".into())
        );
        assert_eq!(first["remarks"], "one\ntwo");
        std::fs::remove_file(world.path("db")).unwrap();
        let folders = Folders::below(world.0.path());
        let rebuilt = Store::rebuild(&world.path("db"), &folders).unwrap();
        assert_eq!((rebuilt.imports, rebuilt.results), (2, 0));
        assert_eq!(world.open().query(sql).unwrap(), before);
    }

    #[test]
    fn a_name_of_four_parts_is_a_case_only_on_an_endpoint() {
        let world = World(tempfile::tempdir().unwrap());
        let names = ["BenchmarkSort/ints/n/1000", "m/cpu/f32/b1"].map(|name| {
            let one = Measured { benchmark: name.into(), ..source("1").results.swap_remove(0) };
            Imported { id: name.into(), results: vec![one], ..source("1") }
        });
        kept::append(&world.path("imports"), &names).unwrap();
        assert_eq!(world.ingest().0, 2);
        let store = world.open();
        let (facts, _) = store.compatibility("2027-01-01T00:00:00Z".parse().unwrap()).unwrap();
        let known: Vec<_> = facts.iter().map(|fact| fact.case.as_str()).collect();
        assert_eq!(known, ["m/cpu/f32/b1"]);
        let timed = store.measurements().unwrap();
        let known: Vec<_> = timed.iter().map(|one| one.parts[1].as_str()).collect();
        assert_eq!(known, ["cpu"]);
    }

    #[test]
    fn what_claims_more_than_it_can_show_gets_in_by_no_way() {
        let world = World(tempfile::tempdir().unwrap());
        let real = Imported { mark: Mark::Real, ..source("1") };
        let mut negative = source("2");
        negative.results[0].value = -1.0;
        let mut odd = source("3");
        odd.results[0].iterations.pop();
        let newer = Imported { format: kept::FORMAT + 1, ..source("4") };
        kept::append(&world.path("imports"), &[real, negative, odd, newer]).unwrap();
        let (new, faults) = world.ingest();
        assert_eq!((new, faults.len()), (0, 4), "{faults:?}");
        let store = world.open();
        let file = "INSERT INTO imported_files VALUES ('1', '2026-01-01', 's', 'go', NULL, 'unknown: …', NULL, \
                    'claimed', 1, '')";
        store.connection.execute_batch(file).unwrap();
        for (from, to) in [
            ("'claimed'", "'real'"),
            ("'claimed'", "NULL"),
            ("'unknown: …'", "''"),
            ("'unknown: …'", "NULL"),
            ("('1'", "(NULL"),
        ] {
            let other = file.replacen("('1'", "('2'", 1).replacen(from, to, 1);
            let other = if from == "('1'" { file.replacen(from, to, 1) } else { other };
            assert!(store.connection.execute_batch(&other).is_err(), "{to}");
        }
        let row = "INSERT INTO imported_results VALUES ('1', 0, 'go', NULL, 'b', 'time', 'mean', 1, 'ns', 1, 'ns', \
                   'claimed', NULL, [1.0], [], 'line 1')";
        store.connection.execute_batch(row).unwrap();
        for (from, to) in [
            ("'claimed'", "'real'"),
            ("'claimed'", "NULL"),
            ("'mean', 1,", "'mean', -1,"),
            ("'mean', 1,", "'mean', 'inf',"),
            ("[1.0]", "[-1.0]"),
            ("[], ", "[1, 2], "),
            ("'line 1'", "''"),
            ("'time'", "''"),
            ("'mean'", "''"),
        ] {
            let other = row.replacen("0,", "1,", 1).replacen(from, to, 1);
            assert!(store.connection.execute_batch(&other).is_err(), "{to}");
        }
    }
}
