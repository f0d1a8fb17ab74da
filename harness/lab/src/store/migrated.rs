//! From lines of migrated contents to their tables, and back to what is known of files.

use super::staged::{self, text, time};
use super::table::Table;
use super::{Store, StoreError};
use crate::migrate::RULES;
use crate::migrate::extract::{Extracted, Outcome};
use crate::migrate::lines::{self, Content, Line, Reader, Source};
use duckdb::{Connection, Row, params, params_from_iter};
use proofmark::journal::Fault;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::io;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

/// Lines, each with the byte at which it begins.
type Parsed = Vec<(u64, Result<Line, String>)>;

/// The name under which it is remembered how far the lines have been read.
const NAME: &str = "migrated/migrated.jsonl";
/// Bytes of lines that are parsed at a time.
const BATCH: usize = 16 << 20;

/// What one reading of the lines brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// New contents.
    pub files: usize,
    /// New numbers.
    pub rows: usize,
    /// Lines that could not be read.
    pub faults: Vec<Fault>,
}

/// What is known of a content that these rules have read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The file in which it was found first.
    pub source_file: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub reasons: Vec<String>,
    /// Where it contradicts itself.
    pub contradictions: Vec<String>,
    /// What was not understood.
    pub not_understood: Vec<String>,
    /// How many numbers are simulated.
    pub simulated: usize,
    /// How many are claimed.
    pub claimed: usize,
}

/// All that the database says of a number, except of which content it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    json_path: String,
    texts: [Option<String>; 10],
    value: Option<f64>,
    batch_size: Option<u64>,
}

impl Store {
    /// Takes in what is new in the lines of a folder, all or nothing.
    ///
    /// # Errors
    /// The file cannot be read, or the database cannot be written.
    pub fn ingest_migrated(&self, folder: &Path) -> Result<Taken, StoreError> {
        let failed = |source| StoreError::Records { path: folder.join(lines::FILE), source };
        let seen = self.migrated_offset().map_err(self.reading())?;
        let Some(mut reader) = Reader::open(folder, seen).map_err(failed)? else {
            return Ok(Taken::default());
        };
        let mut known = self.known_keys().map_err(self.reading())?;
        let transaction = self.connection.unchecked_transaction().map_err(self.writing())?;
        let mut taken = Taken::default();
        let path = reader.path.clone();
        // Lines are parsed while those before them are written.
        let (send, receive) = mpsc::sync_channel(1);
        let offset = thread::scope(|scope| {
            let parsing = scope.spawn(move || -> io::Result<u64> {
                loop {
                    let batch = reader.next(BATCH)?;
                    let parsed: Parsed =
                        batch.par_iter().map(|(at, line)| (*at, lines::parse(line))).collect();
                    if parsed.is_empty() || send.send(parsed).is_err() {
                        return Ok(reader.offset);
                    }
                }
            });
            for parsed in receive {
                take(&transaction, parsed, (&path, &mut known, &mut taken))
                    .map_err(self.writing())?;
            }
            let offset = parsing.join().unwrap_or_else(|panic| resume_unwind(panic));
            offset.map_err(failed)
        })?;
        let sql = "INSERT OR REPLACE INTO files VALUES (?, ?)";
        transaction.execute(sql, params![NAME, offset]).map_err(self.writing())?;
        transaction.commit().map_err(self.writing())?;
        Ok(taken)
    }

    fn migrated_offset(&self) -> duckdb::Result<u64> {
        let sql = "SELECT next_offset FROM files WHERE path = ?";
        match self.connection.query_row(sql, [NAME], |row| row.get(0)) {
            Err(duckdb::Error::QueryReturnedNoRows) => Ok(0),
            offset => offset,
        }
    }

    fn known_keys(&self) -> duckdb::Result<HashSet<(String, u32)>> {
        let mut statement = self.connection.prepare("SELECT sha256, rules FROM migrated_files")?;
        let keys = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        keys.collect()
    }

    /// What is known of contents that these rules have read, by SHA-256.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn known_contents(&self) -> Result<HashMap<String, Known>, StoreError> {
        self.read_known().map_err(self.reading())
    }

    fn read_known(&self) -> duckdb::Result<HashMap<String, Known>> {
        let sql = "SELECT sha256, source_file, outcome, array_to_string(reasons, chr(10)), array_to_string(contradictions, chr(10)), \
                   array_to_string(not_understood, chr(10)), coalesce(simulated, 0), coalesce(claimed, 0) FROM migrated_files LEFT JOIN ( \
                   SELECT sha256, rules, count(*) FILTER (mark = 'simulated') AS simulated, count(*) FILTER (mark = 'claimed') AS claimed \
                   FROM migrated_results GROUP BY ALL) USING (sha256, rules) WHERE rules = ?";
        let mut statement = self.connection.prepare(sql)?;
        let of = |row: &Row<'_>| {
            let list = |index| -> duckdb::Result<Vec<String>> {
                let text: String = row.get(index)?;
                Ok(text.lines().map(str::to_owned).collect())
            };
            let known = Known {
                source_file: row.get(1)?,
                outcome: outcome(&row.get::<_, String>(2)?),
                reasons: list(3)?,
                contradictions: list(4)?,
                not_understood: list(5)?,
                simulated: row.get(6)?,
                claimed: row.get(7)?,
            };
            Ok((row.get::<_, String>(0)?, known))
        };
        let known = statement.query_map([RULES], of)?;
        known.collect()
    }

    /// Which content each file had last.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn latest_sources(&self) -> Result<HashMap<String, String>, StoreError> {
        let read = || -> duckdb::Result<_> {
            let sql = "SELECT source_file, arg_max(sha256, seen_at) FROM migrated_sources GROUP BY source_file";
            let mut statement = self.connection.prepare(sql)?;
            let sources = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            sources.collect()
        };
        read().map_err(self.reading())
    }

    /// The numbers of these contents as they are in the database, in the order of their paths, by SHA-256.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn stored_numbers(
        &self,
        contents: &[String],
    ) -> Result<HashMap<String, Vec<Stored>>, StoreError> {
        let read = || -> duckdb::Result<_> {
            let places = vec!["?"; contents.len()].join(", ");
            let sql = format!(
                "SELECT sha256, json_path, value, batch_size, model, endpoint, metric, statistic, unit, mark, reason, note, \
                 precision, measured_at, name, raw FROM migrated_results WHERE rules = {RULES} AND sha256 IN ({places})"
            );
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(contents))?;
            let mut found: HashMap<String, Vec<Stored>> = HashMap::new();
            while let Some(row) = rows.next()? {
                found.entry(row.get(0)?).or_default().push(stored(row)?);
            }
            found.values_mut().for_each(|rows| rows.sort_by(|a, b| a.json_path.cmp(&b.json_path)));
            Ok(found)
        };
        if contents.is_empty() { Ok(HashMap::new()) } else { read().map_err(self.reading()) }
    }
}

fn stored(row: &Row<'_>) -> duckdb::Result<Stored> {
    let mut texts: [Option<String>; 10] = Default::default();
    let [model, endpoint, metric, statistic, unit, reason, note, precision, measured_at, name_raw] =
        &mut texts;
    for (index, text) in [
        (4, model),
        (5, endpoint),
        (6, metric),
        (7, statistic),
        (8, unit),
        (11, note),
        (12, precision),
        (13, measured_at),
    ] {
        *text = row.get(index)?;
    }
    *reason = Some(row.get::<_, String>(9)? + " " + &row.get::<_, String>(10)?);
    *name_raw = Some(row.get::<_, String>(14)? + " " + &row.get::<_, String>(15)?);
    Ok(Stored { json_path: row.get(1)?, value: row.get(2)?, batch_size: row.get(3)?, texts })
}

/// The numbers of a content as the database should have them, in the order of their paths.
pub fn expected_numbers(found: &Extracted) -> Vec<Stored> {
    let mut all: Vec<Stored> = Vec::new();
    for group in &found.groups {
        let reason = format!("{} {}", group.mark, group.reason);
        all.extend(group.rows.iter().map(|row| {
            let naming = &found.names[row.naming];
            Stored {
                json_path: row.path.clone(),
                value: row.value,
                batch_size: group.batch_size,
                texts: [
                    group.model.clone(),
                    group.endpoint.clone(),
                    naming.metric.clone(),
                    naming.statistic.clone(),
                    naming.unit.clone(),
                    Some(reason.clone()),
                    naming.note.clone(),
                    group.precision.clone(),
                    group.measured_at.clone(),
                    Some(format!("{} {}", naming.name, row.raw)),
                ],
            }
        }));
    }
    all.sort_by(|a, b| a.json_path.cmp(&b.json_path));
    all
}

fn outcome(name: &str) -> Outcome {
    [Outcome::Migrated, Outcome::Partly, Outcome::NoResults]
        .into_iter()
        .find(|outcome| outcome.name() == name)
        .unwrap_or(Outcome::Rejected)
}

/// Takes in lines: of contents, those that are not yet known.
fn take(
    connection: &Connection,
    parsed: Parsed,
    (path, known, taken): (&Path, &mut HashSet<(String, u32)>, &mut Taken),
) -> duckdb::Result<()> {
    let (mut new, mut sources) = (Vec::new(), Vec::new());
    for (offset, line) in parsed {
        match line {
            Ok(Line::Content(content)) => {
                if known.insert((content.sha256.clone(), content.rules)) {
                    new.push(content);
                }
            }
            Ok(Line::Source(Source { source_file, sha256, seen_at, .. })) => {
                sources.push(vec![text(&source_file), text(&sha256), time(seen_at)]);
            }
            Err(detail) => taken.faults.push(Fault { path: path.to_owned(), offset, detail }),
        }
    }
    staged::insert(connection, "migrated_sources", "source_file, seen_at", &sources)?;
    taken.files += new.len();
    taken.rows += add_contents(connection, &new)?;
    Ok(())
}

/// The columns of the tables of contents and of numbers in their order.
const CONTENTS: &str = "tstnTtLLL";
const NUMBERS: &str = "ttttttftttttntttts";

fn add_contents(connection: &Connection, contents: &[Box<Content>]) -> duckdb::Result<usize> {
    let (mut files, mut numbers) = (Table::new(CONTENTS), Table::new(NUMBERS));
    for c in contents {
        files.row(0, |row| {
            row.text(&c.sha256).small(c.rules).text(&c.source_file).number(c.bytes);
            row.time(c.read_at.as_microsecond()).text(c.outcome.name());
            row.texts(&c.reasons).texts(&c.contradictions).texts(&c.not_understood);
        });
        add_numbers(&mut numbers, c);
    }
    append(connection, "migrated_files", &mut files)?;
    append(connection, "migrated_results", &mut numbers)
}

/// Appends rows to their table, and says how many these were.
fn append(connection: &Connection, table: &str, rows: &mut Table) -> duckdb::Result<usize> {
    let Some(batch) = rows.batch() else { return Ok(0) };
    let count = batch.num_rows();
    let mut appender = connection.appender(table)?;
    appender.append_record_batch(batch)?;
    appender.flush()?;
    Ok(count)
}

fn add_numbers(numbers: &mut Table, content: &Content) {
    for group in &content.groups {
        for number in &group.rows {
            let name = &content.names[number.naming];
            numbers.row(0, |row| {
                row.text(&content.source_file).text(&number.path);
                for text in [&group.model, &group.endpoint, &name.metric, &name.statistic] {
                    row.maybe_text(text.as_deref());
                }
                row.maybe_float(number.value).maybe_text(name.unit.as_deref());
                row.text(group.mark.name()).text(&group.reason).maybe_text(name.note.as_deref());
                row.maybe_text(group.precision.as_deref()).maybe_number(group.batch_size);
                row.maybe_text(group.measured_at.as_deref()).text(&name.name).text(&number.raw);
                row.text(&content.sha256).small(content.rules);
            });
        }
    }
}

#[cfg(test)]
mod tests;
