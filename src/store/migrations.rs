//! The schema, as the list of steps that made it.
//!
//! Rules for change: the list only grows. Never remove, reorder or edit a released step: stores of that version
//! exist. A step's position is the version it leads to (`PRAGMA user_version`).

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::StoreError;

/// Steps of SQL; the first makes the tables in an empty file.
const MIGRATIONS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];

/// The version that this program reads and writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Marks a file as ours ("nas1"). Another program's database is never taken for a store.
pub(super) const APPLICATION_ID: i64 = 0x6e61_7331;

/// The version of the store, 0 for an empty file.
///
/// Fails for another program's database and for a version from the future.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    version_up_to(VERSION, connection, path)
}

/// Brings the store to [`VERSION`], all steps in one exclusive transaction.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    migrate_by(MIGRATIONS, connection, path)
}

fn version_up_to(known: i64, connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let (application, version, objects) = connection
        .query_row(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
             FROM pragma_application_id, pragma_user_version",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(|error| StoreError::from_sqlite(path, error))?;
    let path = path.to_path_buf();
    match (application, version, objects) {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, found, _) if found > known => {
            Err(StoreError::NewerVersion { path, found, known })
        }
        (APPLICATION_ID, found, _) if found > 0 => Ok(found),
        (APPLICATION_ID, found, _) => Err(StoreError::Damaged {
            path,
            reason: format!("its version is {found}"),
        }),
        _ => Err(StoreError::Foreign { path }),
    }
}

fn migrate_by(steps: &[&str], connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let sqlite = |error| StoreError::from_sqlite(path, error);
    let known = steps.len() as i64;
    if version_up_to(known, connection, path)? == known {
        return Ok(());
    }
    let transaction =
        Transaction::new(connection, TransactionBehavior::Exclusive).map_err(sqlite)?;
    // Another process may have migrated while this one waited.
    let done = version_up_to(known, &transaction, path)? as usize;
    for step in steps.iter().skip(done) {
        transaction.execute_batch(step).map_err(sqlite)?;
    }
    transaction
        .pragma_update(None, "application_id", APPLICATION_ID)
        .and_then(|()| transaction.pragma_update(None, "user_version", known))
        .and_then(|()| transaction.commit())
        .map_err(sqlite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_once_and_in_order() {
        let steps = [
            "CREATE TABLE a (x)",
            "INSERT INTO a VALUES (1)",
            "INSERT INTO a SELECT max(x) + 1 FROM a",
        ];
        let path = Path::new("test");
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(version(&connection, path).unwrap(), 0);
        for n_steps in [1, 1, 3, 3] {
            migrate_by(&steps[..n_steps], &mut connection, path).unwrap();
        }
        let rows: Vec<i64> = connection
            .prepare("SELECT x FROM a ORDER BY x")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(rows, [1, 2]);
        let error = migrate_by(&steps[..2], &mut connection, path).unwrap_err();
        assert!(matches!(error, StoreError::NewerVersion { .. }), "{error}");
    }

    #[test]
    fn a_failing_step_changes_nothing() {
        let path = Path::new("test");
        let mut connection = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "no SQL"];
        migrate_by(&steps, &mut connection, path).unwrap_err();
        assert_eq!(version(&connection, path).unwrap(), 0);
        migrate(&mut connection, path).unwrap();
        assert_eq!(version(&connection, path).unwrap(), VERSION);
    }
}
