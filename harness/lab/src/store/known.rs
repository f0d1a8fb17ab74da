//! Which results and fingerprints are known already: in the database, or since this reading began.

use duckdb::Connection;
use duckdb::arrow::array::{Array as _, StringArray};
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Nothing: it is new.
    New,
    /// It is in the database, and came for the first time in this reading.
    Stored,
    /// It came before in this reading.
    Repeated,
}

/// The names of one kind. Of each there is a hash of 128 bits with keys that are drawn anew for each reading.
#[derive(Debug)]
pub(super) struct Known {
    keys: [RandomState; 2],
    /// What is in the database; nothing where it is asked for each name.
    stored: Option<HashSet<u128, BuildHasherDefault<Hashed>>>,
    seen: HashSet<u128, BuildHasherDefault<Hashed>>,
    /// Asks whether a name is in the database.
    ask: String,
}

impl Known {
    /// The names in a column. `many` says that many names will come: then all in the database are read at once.
    pub(super) fn new(
        connection: &Connection,
        table: &str,
        column: &str,
        many: bool,
    ) -> duckdb::Result<Self> {
        let ask = format!("SELECT 1 FROM {table} WHERE {column} = ? LIMIT 1");
        let keys = [RandomState::new(), RandomState::new()];
        let mut known = Self { keys, stored: None, seen: HashSet::default(), ask };
        if many {
            let mut stored = HashSet::default();
            let sql = format!("SELECT DISTINCT {column} FROM {table}");
            for batch in connection.prepare(&sql)?.query_arrow([])? {
                let names = batch.column(0).as_any().downcast_ref::<StringArray>();
                let names = names.into_iter().flat_map(|names| names.iter().flatten());
                stored.extend(names.map(|name| known.hash(name)));
            }
            known.stored = Some(stored);
        }
        Ok(known)
    }

    /// What is known of a name, which is seen from now on.
    pub(super) fn see(&mut self, connection: &Connection, name: &str) -> duckdb::Result<Status> {
        let hash = self.hash(name);
        if !self.seen.insert(hash) {
            return Ok(Status::Repeated);
        }
        let is_stored = match &self.stored {
            Some(stored) => stored.contains(&hash),
            None => connection.prepare_cached(&self.ask)?.exists([name])?,
        };
        Ok(if is_stored { Status::Stored } else { Status::New })
    }

    fn hash(&self, name: &str) -> u128 {
        let [high, low] = &self.keys;
        u128::from(high.hash_one(name)) << 64 | u128::from(low.hash_one(name))
    }
}

/// Takes what is a hash already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut first = [0; 8];
        first.copy_from_slice(&bytes[..8]);
        self.0 = u64::from_ne_bytes(first);
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}
