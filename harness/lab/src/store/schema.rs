//! The tables, and how a database of an older version becomes one of this version.
//!
//! What a table holds is said here, in its SQL; how rows get in is `ingest`.

use duckdb::Connection;

/// Names the program that a database belongs to.
pub(super) const APPLICATION: &str = "proofmark";

/// Each entry leads from the schema version that is its index to the next one. Append only.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
    include_str!("schema_8.sql"),
    include_str!("schema_9.sql"),
];

/// The schema version of this program.
pub(super) fn version() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Whose database this is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody's: it is empty.
    Nobody,
    /// Ours, with this schema version.
    Ours(u32),
    /// Another program's.
    Foreign,
}

/// Reads whose database this is. Writes nothing.
pub(super) fn owner(connection: &Connection) -> duckdb::Result<Owner> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    if count("SELECT count(*) FROM duckdb_tables() WHERE NOT internal")? == 0
        && count("SELECT count(*) FROM duckdb_views() WHERE NOT internal")? == 0
    {
        return Ok(Owner::Nobody);
    }
    let columns = "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'proofmark_meta' \
                   AND column_name IN ('application', 'schema_version')";
    if count(columns)? != 2 {
        return Ok(Owner::Foreign);
    }
    let sql = "SELECT application, schema_version FROM proofmark_meta";
    let row = connection.query_row(sql, [], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)));
    match row {
        Ok((application, version)) if application == APPLICATION => Ok(Owner::Ours(version)),
        Ok(_) | Err(duckdb::Error::QueryReturnedNoRows) => Ok(Owner::Foreign),
        Err(error) => Err(error),
    }
}

/// The names of the tables of an attached database.
pub(super) fn tables(connection: &Connection, database: &str) -> duckdb::Result<Vec<String>> {
    let sql = "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND NOT internal ORDER BY 1";
    let mut statement = connection.prepare(sql)?;
    statement.query_map([database], |row| row.get(0))?.collect()
}

/// Brings a database from version `from` to this version, all or nothing.
pub(super) fn migrate(connection: &Connection, from: u32) -> duckdb::Result<()> {
    migrate_along(connection, from, MIGRATIONS)
}

/// Brings a database from version `from` along these steps.
pub(super) fn migrate_along(
    connection: &Connection,
    from: u32,
    steps: &[&str],
) -> duckdb::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    for sql in steps.iter().skip(from as usize) {
        transaction.execute_batch(sql)?;
    }
    let version = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    transaction.execute("UPDATE proofmark_meta SET schema_version = ?", [version])?;
    transaction.commit()
}

#[cfg(test)]
mod checks;
#[cfg(test)]
mod document;
#[cfg(test)]
mod specimen;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod views;

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(connection: &Connection) -> i64 {
        let sql = "SELECT count(*) FROM duckdb_columns() WHERE NOT internal";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_database_of_version_1_takes_the_steps_it_lacks() {
        let connection = Connection::open_in_memory().unwrap();
        migrate_along(&connection, 0, &MIGRATIONS[..1]).unwrap();
        assert_eq!(owner(&connection).unwrap(), Owner::Ours(1));
        let before = columns(&connection);
        let next = [MIGRATIONS[0], "ALTER TABLE files ADD COLUMN digest VARCHAR"];
        migrate_along(&connection, 1, &next).unwrap();
        assert_eq!(owner(&connection).unwrap(), Owner::Ours(2));
        assert_eq!(columns(&connection), before + 1);
    }

    #[test]
    fn predictions_of_version_3_are_still_there() {
        let connection = Connection::open_in_memory().unwrap();
        migrate_along(&connection, 0, &MIGRATIONS[..3]).unwrap();
        let row = "INSERT INTO predictions VALUES ('1', '2026-01-01', 'm', 'b1', 'f32', 'd', 'simulated', 1, 'f', 'i', 2, \
                   1, 3, 'low', 0.3, 'n', 0.5, 7, true)";
        connection.execute_batch(row).unwrap();
        migrate(&connection, 3).unwrap();
        let sql = "SELECT count(*) FROM predictions WHERE id = '1' AND reality = 'real' AND endpoint IS NULL \
                   AND high_ms = 3 AND fits";
        assert_eq!(connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_version() {
        let connection = Connection::open_in_memory().unwrap();
        migrate_along(&connection, 0, &MIGRATIONS[..1]).unwrap();
        let before = columns(&connection);
        let bad = [MIGRATIONS[0], "ALTER TABLE files ADD COLUMN digest VARCHAR", "SELECT nonsense"];
        assert!(migrate_along(&connection, 1, &bad).is_err());
        assert_eq!(owner(&connection).unwrap(), Owner::Ours(1));
        assert_eq!(columns(&connection), before);
    }

    #[test]
    fn owners_are_told_apart() {
        let connection = Connection::open_in_memory().unwrap();
        assert_eq!(owner(&connection).unwrap(), Owner::Nobody);
        connection.execute_batch("CREATE TABLE results (x INTEGER)").unwrap();
        assert_eq!(owner(&connection).unwrap(), Owner::Foreign);
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE proofmark_meta (application VARCHAR, schema_version INTEGER);
                 INSERT INTO proofmark_meta VALUES ('somebody', 1)",
            )
            .unwrap();
        assert_eq!(owner(&connection).unwrap(), Owner::Foreign);
    }
}
