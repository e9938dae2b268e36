//! All SQL of the project: runs, trials, costs, evaluations and fronts in one SQLite file.
//!
//! Every write is one transaction that is on disk when the call returns: a killed process loses at most what it had
//! not recorded yet. Several processes may use one store; a [`RunLock`] keeps a run to one coordinator.
//!
//! This module may not know what the numbers mean: a [`Store`] keeps what it is given.

mod error;
mod lock;
mod migrations;
mod rows;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::disk;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, ToSql, Transaction,
    TransactionBehavior, named_params, params,
};

pub use self::{
    error::StoreError,
    lock::RunLock,
    rows::{
        CostRow, Counts, CyclesRow, EvaluationRow, Front, MeasurementRow, NewRun, RepeatRow, Run,
        RunId, RunState, ScoreRow, TrialOutcome, TrialRow,
    },
};

/// SQLite's name for a database without a file.
const IN_MEMORY: &str = ":memory:";
/// How long a call waits for another process to finish writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The folder of a run, from the folder of its store. Each store but `nas.sqlite` has a folder of its own for its runs, so
/// that runs of two stores in one folder do not share files.
pub fn run_path(store: &Path, run: &str) -> String {
    match store.file_name().unwrap_or_default().to_string_lossy() {
        name if name == "nas.sqlite" || name == IN_MEMORY => run.to_string(),
        name => {
            let stem = name.strip_suffix(".sqlite").unwrap_or(&name);
            format!("{stem}.runs/{run}")
        }
    }
}

/// Refuses names that SQLite takes for something else than a file.
fn refuse_no_file(path: &Path) -> Result<(), StoreError> {
    let text = path.to_string_lossy();
    match text == IN_MEMORY || text.starts_with("file:") || text.is_empty() {
        true => Err(StoreError::NoFile {
            path: path.to_path_buf(),
        }),
        false => Ok(()),
    }
}

/// Refuses a name that would be trouble in a path or on a command line, or that has a meaning of its own.
pub fn check_run_name(name: &str) -> Result<(), StoreError> {
    let is_taken = matches!(name, "latest" | "cache")
        || name.starts_with("nas.sqlite")
        || name.ends_with(".runs");
    match rows::is_plain_name(name) && !is_taken {
        true => Ok(()),
        false => Err(StoreError::BadRunName {
            name: name.to_string(),
        }),
    }
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

impl Store {
    /// Opens the store at `path` for reading and writing; makes the file and its folder where they are missing.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        refuse_no_file(path)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| StoreError::Io {
                path: folder.to_path_buf(),
                source,
            })?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        refuse_short_files(path)?;
        let connection = connect(path, flags, BUSY_TIMEOUT)?;
        Store::make_ready(connection, path)
    }

    /// Opens the store at `path` for reading; never changes it.
    pub fn open_read_only(path: &Path) -> Result<Store, StoreError> {
        refuse_no_file(path)?;
        if !path.exists() {
            let path = path.to_path_buf();
            return Err(StoreError::Missing { path });
        }
        match Store::open_for_reading(path, false) {
            // Even a reader of SQLite wants to write the index of the log. Where it may not, and there is no log, no
            // other process is writing, and SQLite can be told that nothing will change.
            Err(StoreError::Inaccessible { .. }) if !has_log(path) => {
                Store::open_for_reading(path, true)
            }
            result => result,
        }
    }

    /// A store without a file: it ends with the process, and keeps no models.
    pub fn open_in_memory() -> Result<Store, StoreError> {
        let path = Path::new(IN_MEMORY);
        let connection = connect(path, OpenFlags::default(), BUSY_TIMEOUT)?;
        Store::make_ready(connection, path)
    }

    /// The file of the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that holds the store and its artefacts; `None` for a store in memory, which keeps no files.
    pub fn folder(&self) -> Option<&Path> {
        if self.path == Path::new(IN_MEMORY) {
            return None;
        }
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => Some(folder),
            _ => Some(Path::new(".")),
        }
    }

    /// Adds a run in the state [`RunState::Running`].
    pub fn create_run(&mut self, run: &NewRun) -> Result<Run, StoreError> {
        let name = &run.name;
        check_run_name(name)?;
        let created = self.write(|transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO runs (name, created_utc, seed, version, data_name, data_hash,
                        synthetic, settings_json, reference_json, state)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                     ON CONFLICT (name) DO NOTHING
                     RETURNING id",
                )?
                .query_row(
                    params![
                        run.name,
                        run.created_utc,
                        run.seed.cast_signed(),
                        run.version,
                        run.data_name,
                        run.data_hash,
                        run.synthetic,
                        run.settings_json,
                        run.reference_json,
                        RunState::Running,
                    ],
                    |row| row.get(0),
                )
                .optional()
        })?;
        let id = created.ok_or_else(|| StoreError::RunExists { name: name.clone() })?;
        let run = run.clone();
        Ok(Run {
            id: RunId(id),
            name: run.name,
            created_utc: run.created_utc,
            seed: run.seed,
            version: run.version,
            data_name: run.data_name,
            data_hash: run.data_hash,
            synthetic: run.synthetic,
            settings_json: run.settings_json,
            reference_json: run.reference_json,
            state: RunState::Running,
        })
    }

    /// Locks and adds a run. Where nobody chose its name, one that is taken gets `-2`, `-3` and so on: searches that begin
    /// in the same second are several runs. A store in memory needs no lock.
    pub fn begin_run(
        &mut self,
        run: &NewRun,
        name_is_chosen: bool,
    ) -> Result<(Run, Option<RunLock>), StoreError> {
        check_run_name(&run.name)?;
        let mut attempt = 1;
        loop {
            let name = match attempt {
                1 => run.name.clone(),
                _ => format!("{}-{attempt}", run.name),
            };
            let named = NewRun {
                name,
                ..run.clone()
            };
            match self.lock_and_create(&named) {
                Err(StoreError::RunExists { .. } | StoreError::RunLocked { .. })
                    if !name_is_chosen =>
                {
                    attempt += 1;
                }
                begun => return begun,
            }
        }
    }

    fn lock_and_create(&mut self, run: &NewRun) -> Result<(Run, Option<RunLock>), StoreError> {
        let lock = match self.folder() {
            Some(folder) => Some(RunLock::acquire(
                &folder.join(run_path(&self.path, &run.name)),
            )?),
            None => None,
        };
        Ok((self.create_run(run)?, lock))
    }

    /// How far a run is. One that was killed is interrupted, although its last coordinator could not write so.
    pub fn state_of(&self, run: &Run) -> RunState {
        let is_held =
            |folder: &Path| RunLock::is_held(&folder.join(run_path(&self.path, &run.name)));
        match (run.state, self.folder()) {
            (RunState::Running, Some(folder)) if !is_held(folder) => RunState::Interrupted,
            (state, _) => state,
        }
    }

    /// Removes a run with its models and pictures, and the lock that keeps others from it. Models that trials of other
    /// runs share stay; returns how many.
    ///
    /// The rows go first, in one transaction: what a kill leaves is files that nothing names.
    pub fn remove_run(&mut self, run: &Run, lock: RunLock) -> Result<usize, StoreError> {
        let shared = self.write(|transaction| remove_rows(transaction, run))?;
        if let Some(base) = self.folder() {
            let path = base.join(run_path(&self.path, &run.name));
            let kept: Vec<PathBuf> = shared.iter().map(|kept| base.join(kept)).collect();
            disk::remove_all_but(&path, &kept).map_err(|source| StoreError::Io { path, source })?;
        }
        drop(lock);
        Ok(shared.len())
    }

    /// Records how far the run is.
    pub fn set_state(&mut self, run: RunId, state: RunState) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE runs SET state = ?2 WHERE id = ?1",
                params![run.0, state],
            )
        })?;
        Ok(())
    }

    /// All runs, oldest first.
    pub fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.read(|transaction| {
            let columns = Run::COLUMNS;
            transaction
                .prepare(&format!("SELECT {columns} FROM runs ORDER BY id"))?
                .query_map([], Run::read)?
                .collect()
        })
    }

    /// The run that `selector` names: `latest` (the last run that has a scored trial, or the last run), its name, or a beginning of its name that no other run shares.
    pub fn find_run(&self, selector: &str) -> Result<Run, StoreError> {
        let mut runs = self.runs()?;
        runs.reverse();
        let names = |runs: &[Run]| runs.iter().map(|run| run.name.clone()).collect();
        let unknown = StoreError::UnknownRun {
            selector: selector.to_string(),
            runs: names(&runs),
        };
        if let Some(idx) = runs.iter().position(|run| run.name == selector) {
            return Ok(runs.swap_remove(idx));
        }
        match selector {
            "" => return Err(unknown),
            "latest" => {
                let mut has_network = 0;
                for (idx, run) in runs.iter().enumerate() {
                    if self.counts(run.id)?.scored > 0 {
                        has_network = idx;
                        break;
                    }
                }
                runs = runs.into_iter().skip(has_network).take(1).collect();
            }
            prefix => runs.retain(|run| run.name.starts_with(prefix)),
        }
        match runs.len() {
            0 => Err(unknown),
            1 => Ok(runs.remove(0)),
            _ => Err(StoreError::AmbiguousRun {
                selector: selector.to_string(),
                runs: names(&runs),
            }),
        }
    }

    /// Records trials that were never trained, with their costs, in one transaction.
    pub fn record_rejected(&mut self, run: RunId, trials: &[TrialRow]) -> Result<(), StoreError> {
        if trials.is_empty() {
            return Ok(());
        }
        for trial in trials {
            refuse_nan(trial, None)?;
        }
        self.write(|transaction| {
            for trial in trials {
                insert_trial(transaction, run, trial)?;
            }
            Ok(())
        })
    }

    /// Records a finished trial with its costs, its evaluation if that is new, and the new fronts.
    ///
    /// All in one transaction. An evaluation that is stored already stays: another run may have been faster. The fronts
    /// of the targets named in `fronts` are replaced, those of others stay.
    pub fn record(
        &mut self,
        run: RunId,
        trial: &TrialRow,
        evaluation: Option<&EvaluationRow>,
        fronts: &[Front],
    ) -> Result<(), StoreError> {
        refuse_nan(trial, evaluation)?;
        let is_new = self.write(|transaction| {
            if is_recorded(transaction, run, trial.number)? {
                return Ok(false);
            }
            if let Some(evaluation) = evaluation {
                insert_evaluation(transaction, evaluation)?;
            }
            insert_trial(transaction, run, trial)?;
            for (target, numbers) in fronts {
                replace_front(transaction, run, target, numbers)?;
            }
            Ok(true)
        })?;
        match is_new {
            true => Ok(()),
            false => Err(StoreError::AlreadyRecorded {
                number: trial.number,
            }),
        }
    }

    /// All trials of a run with their costs, by number.
    pub fn trials(&self, run: RunId) -> Result<Vec<TrialRow>, StoreError> {
        self.read(|transaction| {
            let columns = TrialRow::COLUMNS;
            let mut trials: Vec<TrialRow> = transaction
                .prepare_cached(&format!(
                    "SELECT {columns} FROM trials WHERE run_id = ?1 ORDER BY number"
                ))?
                .query_map([run.0], TrialRow::read)?
                .collect::<Result<_, _>>()?;
            let columns = CostRow::COLUMNS;
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT {columns}, number FROM costs WHERE run_id = ?1
                 ORDER BY number, target, metric, source"
            ))?;
            let costs = statement.query_map([run.0], |row| {
                Ok((row.get::<_, i64>(6)?, CostRow::read(row)?))
            })?;
            for cost in costs {
                let (number, cost) = cost?;
                if let Ok(idx) = trials.binary_search_by_key(&number, |trial| trial.number) {
                    trials[idx].costs.push(cost);
                }
            }
            Ok(trials)
        })
    }

    /// The evaluation with this content key, whichever run made it.
    pub fn evaluation(&self, key: &str) -> Result<Option<EvaluationRow>, StoreError> {
        self.read(|transaction| Ok(evaluations(transaction, "?1", key)?.into_values().next()))
    }

    /// The evaluations of all trials of a run and of their further trainings, by key.
    pub fn evaluations(&self, run: RunId) -> Result<BTreeMap<String, EvaluationRow>, StoreError> {
        let of_run = "SELECT evaluation_key FROM trials WHERE run_id = ?1
            UNION SELECT evaluation_key FROM repeats WHERE run_id = ?1";
        self.read(|transaction| evaluations(transaction, of_run, run.0))
    }

    /// Records a further training of a trial with its evaluation if that is new, and the new fronts.
    ///
    /// All in one transaction. A training that is recorded already stays.
    pub fn record_repeat(
        &mut self,
        run: RunId,
        repeat: &RepeatRow,
        evaluation: Option<&EvaluationRow>,
        fronts: &[Front],
    ) -> Result<(), StoreError> {
        refuse_nan_of(repeat.number, evaluation)?;
        self.write(|transaction| {
            if let Some(evaluation) = evaluation {
                insert_evaluation(transaction, evaluation)?;
            }
            let columns = RepeatRow::COLUMNS;
            transaction
                .prepare_cached(&format!(
                    "INSERT INTO repeats (run_id, {columns}) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (run_id, number, seed) DO NOTHING"
                ))?
                .execute(params![
                    run.0,
                    repeat.number,
                    repeat.seed,
                    repeat.outcome.as_ref().ok(),
                    repeat.outcome.as_ref().err()
                ])?;
            for (target, numbers) in fronts {
                replace_front(transaction, run, target, numbers)?;
            }
            Ok(())
        })
    }

    /// All further trainings of a run's trials, by trial and seed.
    pub fn repeats(&self, run: RunId) -> Result<Vec<RepeatRow>, StoreError> {
        self.read(|transaction| {
            let columns = RepeatRow::COLUMNS;
            transaction
                .prepare_cached(&format!(
                    "SELECT {columns} FROM repeats WHERE run_id = ?1 ORDER BY number, seed"
                ))?
                .query_map([run.0], RepeatRow::read)?
                .collect()
        })
    }

    /// Records a measurement of a trial; it replaces an earlier one at the same place.
    pub fn record_measurement(
        &mut self,
        run: RunId,
        measurement: &MeasurementRow,
    ) -> Result<(), StoreError> {
        self.write(|transaction| insert_measurement(transaction, run, measurement))
    }

    /// All measurements of a run, by trial and place.
    pub fn measurements(&self, run: RunId) -> Result<Vec<MeasurementRow>, StoreError> {
        self.read(|transaction| {
            let columns = MeasurementRow::COLUMNS;
            transaction
                .prepare_cached(&format!(
                    "SELECT {columns} FROM measurements WHERE run_id = ?1 ORDER BY number, place"
                ))?
                .query_map([run.0], MeasurementRow::read)?
                .collect()
        })
    }

    /// The recorded fronts of a run, one per target, by name of the target.
    pub fn fronts(&self, run: RunId) -> Result<Vec<Front>, StoreError> {
        self.read(|transaction| {
            let mut fronts: Vec<Front> = Vec::new();
            let mut statement = transaction.prepare_cached(
                "SELECT target, number FROM fronts WHERE run_id = ?1 ORDER BY target, number",
            )?;
            let mut rows = statement.query([run.0])?;
            while let Some(row) = rows.next()? {
                let (target, number): (String, i64) = (row.get(0)?, row.get(1)?);
                match fronts.last_mut() {
                    Some((last, numbers)) if *last == target => numbers.push(number),
                    _ => fronts.push((target, vec![number])),
                }
            }
            Ok(fronts)
        })
    }

    /// Numbers of the run's trials by their end.
    pub fn counts(&self, run: RunId) -> Result<Counts, StoreError> {
        self.read(|transaction| {
            transaction
                .prepare_cached(
                    "SELECT count(*) FILTER (WHERE outcome = 'scored'),
                        count(*) FILTER (WHERE outcome = 'rejected'),
                        count(*) FILTER (WHERE outcome = 'failed')
                     FROM trials WHERE run_id = ?1",
                )?
                .query_row([run.0], |row| {
                    Ok(Counts {
                        scored: row.get::<_, i64>(0)?.cast_unsigned(),
                        rejected: row.get::<_, i64>(1)?.cast_unsigned(),
                        failed: row.get::<_, i64>(2)?.cast_unsigned(),
                    })
                })
        })
    }

    /// Reads the whole file; fails with [`StoreError::Damaged`] where it is not sound.
    pub fn check(&self) -> Result<(), StoreError> {
        let verdict: String = self.read(|transaction| {
            transaction.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        })?;
        match verdict.as_str() {
            "ok" => Ok(()),
            reason => Err(StoreError::Damaged {
                path: self.path.clone(),
                reason: reason.to_string(),
            }),
        }
    }

    fn open_for_reading(path: &Path, immutable: bool) -> Result<Store, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match immutable {
            true => {
                let flags = flags | OpenFlags::SQLITE_OPEN_URI;
                connect(&immutable_uri(path), flags, BUSY_TIMEOUT)?
            }
            false => connect(path, flags, BUSY_TIMEOUT)?,
        };
        let path = path.to_path_buf();
        match migrations::version(&connection, &path)? {
            migrations::VERSION => Ok(Store { connection, path }),
            found => Err(StoreError::OlderVersion {
                path,
                found,
                known: migrations::VERSION,
            }),
        }
    }

    fn make_ready(mut connection: Connection, path: &Path) -> Result<Store, StoreError> {
        migrations::migrate(&mut connection, path)?;
        enter_wal_mode(&connection, path)?;
        let path = path.to_path_buf();
        Ok(Store { connection, path })
    }

    /// Runs `work` in a transaction that holds the write lock from its beginning.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let attempt = || {
            let transaction =
                Transaction::new(&mut self.connection, TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        attempt().map_err(|error| StoreError::from_sqlite(&self.path, error))
    }

    /// Runs `work` in a transaction that sees one state of the store.
    fn read<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let attempt = || work(&self.connection.unchecked_transaction()?);
        attempt().map_err(|error| StoreError::from_sqlite(&self.path, error))
    }
}

/// Whether the store has a write-ahead log with something in it.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_os_string();
    log.push("-wal");
    fs::metadata(log).is_ok_and(|metadata| metadata.len() > 0)
}

/// The file as a URI which says that nobody writes to it (<https://sqlite.org/uri.html>).
fn immutable_uri(path: &Path) -> PathBuf {
    let escaped = path
        .to_string_lossy()
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    PathBuf::from(format!("file:{escaped}?immutable=1"))
}

fn connect(path: &Path, flags: OpenFlags, timeout: Duration) -> Result<Connection, StoreError> {
    let attempt = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(timeout)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // The schema of a file from elsewhere may not run functions, and its pages are checked when they are read.
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    };
    attempt().map_err(|error| StoreError::from_sqlite(path, error))
}

/// Switches to a write-ahead log: readers and the writer do not wait for each other then.
fn enter_wal_mode(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        let switched = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match switched {
            Ok(_) => return Ok(()),
            // When two processes open a new store at once, SQLite does not wait here by itself.
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(StoreError::from_sqlite(path, error)),
        }
    }
}

/// Refuses a NaN by its name; SQLite would store it as NULL.
fn refuse_nan(trial: &TrialRow, evaluation: Option<&EvaluationRow>) -> Result<(), StoreError> {
    let excess = match trial.outcome {
        TrialOutcome::Rejected { excess, .. } => excess,
        _ => 0.0,
    };
    let of_trial = [("excess", excess), ("duration", trial.seconds)];
    let of_costs = trial
        .costs
        .iter()
        .flat_map(|cost| [cost.value, cost.low, cost.high].map(|value| (&cost.metric[..], value)));
    refuse_nan_among(trial.number, of_trial.into_iter().chain(of_costs))?;
    refuse_nan_of(trial.number, evaluation)
}

/// As [`refuse_nan`], for an evaluation that comes with trial `number`.
fn refuse_nan_of(number: i64, evaluation: Option<&EvaluationRow>) -> Result<(), StoreError> {
    let scores = evaluation.into_iter().flat_map(|evaluation| {
        let scores = evaluation.scores.iter();
        let scores = scores.map(|score| (&score.metric[..], score.value));
        scores.chain([("duration", evaluation.seconds)])
    });
    refuse_nan_among(number, scores)
}

fn refuse_nan_among<'a>(
    number: i64,
    mut named: impl Iterator<Item = (&'a str, f64)>,
) -> Result<(), StoreError> {
    match named.find(|(_, value)| value.is_nan()) {
        None => Ok(()),
        Some((what, _)) => Err(StoreError::NotANumber {
            number,
            what: what.to_string(),
        }),
    }
}

fn insert_evaluation(
    transaction: &Transaction<'_>,
    evaluation: &EvaluationRow,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO evaluations (key, details_json, artefacts, seconds, created_utc)
             VALUES (:key, :details_json, :artefacts, :seconds, :created_utc)
             ON CONFLICT (key) DO UPDATE
                SET artefacts = excluded.artefacts, details_json = excluded.details_json
                WHERE excluded.artefacts IS NOT NULL",
        )?
        .execute(named_params! {
            ":key": evaluation.key,
            ":details_json": evaluation.details_json,
            ":artefacts": evaluation.artefacts,
            ":seconds": evaluation.seconds,
            ":created_utc": evaluation.created_utc,
        })?;
    // An evaluation of an older program gets the figures that it lacks.
    let columns = ScoreRow::COLUMNS;
    let mut statement = transaction.prepare_cached(&format!(
        "INSERT INTO scores (evaluation_key, {columns}) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING"
    ))?;
    for ScoreRow {
        metric,
        part,
        value,
    } in &evaluation.scores
    {
        statement.execute(params![evaluation.key, metric, part, value])?;
    }
    Ok(())
}

/// Removes the rows of a run, and the evaluations that no other run names; returns the models in the run's folder that
/// other runs share, as paths beside the store.
fn remove_rows(transaction: &Transaction<'_>, run: &Run) -> rusqlite::Result<Vec<String>> {
    // Any row that names a run names one of its trials; evaluations stand alone.
    for table in ["fronts", "costs", "measurements", "repeats", "trials"] {
        transaction.execute(
            &format!("DELETE FROM {table} WHERE run_id = ?1"),
            [run.id.0],
        )?;
    }
    transaction.execute("DELETE FROM runs WHERE id = ?1", [run.id.0])?;
    let unnamed = "NOT IN (SELECT evaluation_key FROM trials WHERE evaluation_key IS NOT NULL
        UNION SELECT evaluation_key FROM repeats WHERE evaluation_key IS NOT NULL)";
    for (table, key) in [("scores", "evaluation_key"), ("evaluations", "key")] {
        transaction.execute(&format!("DELETE FROM {table} WHERE {key} {unnamed}"), [])?;
    }
    let columns = EvaluationRow::COLUMNS;
    let evaluations: Vec<EvaluationRow> = transaction
        .prepare(&format!("SELECT {columns} FROM evaluations"))?
        .query_map([], EvaluationRow::read)?
        .collect::<Result<_, _>>()?;
    let artefacts = evaluations.into_iter().filter_map(|row| row.artefacts);
    let inside = |path: &String| path.split('/').next() == Some(&run.name);
    Ok(artefacts.filter(inside).collect())
}

/// Evaluations with their scores, by key; `keys` is SQL that gives one or more keys and takes one parameter.
fn evaluations(
    transaction: &Transaction<'_>,
    keys: &str,
    parameter: impl ToSql + Copy,
) -> rusqlite::Result<BTreeMap<String, EvaluationRow>> {
    let columns = EvaluationRow::COLUMNS;
    let mut evaluations: BTreeMap<String, EvaluationRow> = transaction
        .prepare_cached(&format!(
            "SELECT {columns} FROM evaluations WHERE key IN ({keys})"
        ))?
        .query_map([parameter], EvaluationRow::read)?
        .map(|row| row.map(|evaluation| (evaluation.key.clone(), evaluation)))
        .collect::<Result<_, _>>()?;
    let columns = ScoreRow::COLUMNS;
    let mut statement = transaction.prepare_cached(&format!(
        "SELECT {columns}, evaluation_key FROM scores WHERE evaluation_key IN ({keys})
         ORDER BY evaluation_key, metric, part"
    ))?;
    let scores = statement.query_map([parameter], |row| {
        Ok((row.get::<_, String>(3)?, ScoreRow::read(row)?))
    })?;
    for score in scores {
        let (key, score) = score?;
        if let Some(evaluation) = evaluations.get_mut(&key) {
            evaluation.scores.push(score);
        }
    }
    Ok(evaluations)
}

fn is_recorded(transaction: &Transaction<'_>, run: RunId, number: i64) -> rusqlite::Result<bool> {
    transaction
        .prepare_cached("SELECT 1 FROM trials WHERE run_id = ?1 AND number = ?2")?
        .exists(params![run.0, number])
}

fn insert_trial(
    transaction: &Transaction<'_>,
    run: RunId,
    trial: &TrialRow,
) -> rusqlite::Result<()> {
    let (outcome, evaluation_key, excess, message) = trial.outcome.columns();
    transaction
        .prepare_cached(
            "INSERT INTO trials (run_id, number, block, genome, key, space, task, macs, params,
                outcome, evaluation_key, excess, message, seconds, recorded_utc)
             VALUES (:run_id, :number, :block, :genome, :key, :space, :task, :macs, :params,
                :outcome, :evaluation_key, :excess, :message, :seconds, :recorded_utc)",
        )?
        .execute(named_params! {
            ":run_id": run.0,
            ":number": trial.number,
            ":block": trial.block,
            ":genome": trial.genome,
            ":key": trial.key,
            ":space": trial.space,
            ":task": trial.task,
            ":macs": trial.macs,
            ":params": trial.params,
            ":outcome": outcome,
            ":evaluation_key": evaluation_key,
            ":excess": excess,
            ":message": message,
            ":seconds": trial.seconds,
            ":recorded_utc": trial.recorded_utc,
        })?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO costs (run_id, number, target, metric, value, low, high, source)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for cost in &trial.costs {
        let CostRow {
            target,
            metric,
            value,
            low,
            high,
            source,
        } = cost;
        statement.execute(params![
            run.0,
            trial.number,
            target,
            metric,
            value,
            low,
            high,
            source
        ])?;
    }
    Ok(())
}

fn insert_measurement(
    transaction: &Transaction<'_>,
    run: RunId,
    measurement: &MeasurementRow,
) -> rusqlite::Result<()> {
    let columns = MeasurementRow::COLUMNS;
    let (cycles, source) = match &measurement.cycles {
        Some(cycles) => (Some(cycles.value), Some(&cycles.source)),
        None => (None, None),
    };
    transaction
        .prepare_cached(&format!(
            "INSERT OR REPLACE INTO measurements (run_id, {columns})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
        ))?
        .execute(params![
            run.0,
            measurement.number,
            measurement.place,
            measurement.outputs_match,
            measurement.instructions,
            cycles,
            source,
            measurement.hop_instructions,
            measurement.arena_bytes,
            measurement.front_end_bytes,
            measurement.stack_bytes,
            measurement.text_bytes,
            measurement.rodata_bytes,
            measurement.data_bytes,
            measurement.bss_bytes,
            measurement.model_bytes,
            measurement.version,
            measurement.measured_utc,
        ])?;
    Ok(())
}

/// Refuses a file of a few bytes, which SQLite would take for an empty database and write over.
///
/// Asks for the size alone: to open the file beside SQLite and close it again would end the process's locks on it.
fn refuse_short_files(path: &Path) -> Result<(), StoreError> {
    /// Bytes of the smallest page, and so of the smallest database.
    const LEAST: u64 = 512;
    match fs::metadata(path) {
        Ok(file) if file.is_file() && (1..LEAST).contains(&file.len()) => {
            Err(StoreError::Damaged {
                path: path.to_path_buf(),
                reason: "it is too short for a SQLite file".to_string(),
            })
        }
        _ => Ok(()),
    }
}

fn replace_front(
    transaction: &Transaction<'_>,
    run: RunId,
    target: &str,
    numbers: &[i64],
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM fronts WHERE run_id = ?1 AND target = ?2")?
        .execute(params![run.0, target])?;
    let mut statement = transaction
        .prepare_cached("INSERT INTO fronts (run_id, target, number) VALUES (?1, ?2, ?3)")?;
    for number in numbers {
        statement.execute(params![run.0, target, number])?;
    }
    Ok(())
}
