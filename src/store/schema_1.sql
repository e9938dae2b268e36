-- Columns of a primary key come first: the integrity check of SQLite 3.40 misreads other tables without rowid.
-- Times are UTC in ISO 8601. Paths are relative to the folder of the store.

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_utc TEXT NOT NULL,
    seed INTEGER NOT NULL,             -- 64 bits, unsigned seeds stored as the same bits
    version TEXT NOT NULL,             -- of the program that began the run
    data_name TEXT NOT NULL,
    data_hash TEXT NOT NULL,
    synthetic INTEGER NOT NULL CHECK (synthetic IN (0, 1)),
    settings_json TEXT NOT NULL,       -- all that is needed to run it again
    reference_json TEXT NOT NULL,      -- reference points of the hypervolume
    state TEXT NOT NULL CHECK (state IN ('running', 'interrupted', 'finished'))
) STRICT;

-- Trained and scored networks, shared between runs: the key names content, not a run.
CREATE TABLE evaluations (
    key TEXT NOT NULL PRIMARY KEY,
    auc_int8 REAL,
    pauc_int8 REAL,
    auc_float REAL,
    pauc_float REAL,
    test_auc_int8 REAL,
    test_pauc_int8 REAL,
    details_json TEXT NOT NULL,
    artefacts TEXT,                    -- folder of the trained network
    seconds REAL NOT NULL,
    created_utc TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE trials (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL,
    block INTEGER NOT NULL,            -- proposals of one block know the same history
    genome BLOB NOT NULL,
    key TEXT NOT NULL,                 -- hash of the network, equal for genomes that decode to the same one
    space TEXT NOT NULL,
    task TEXT NOT NULL,
    macs INTEGER NOT NULL,
    params INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('scored', 'rejected', 'failed')),
    evaluation_key TEXT REFERENCES evaluations (key),
    excess REAL,                       -- share of the budgets by which a rejected network is over them
    message TEXT,
    seconds REAL NOT NULL,
    recorded_utc TEXT NOT NULL,
    PRIMARY KEY (run_id, number),
    CHECK ((outcome = 'scored') = (evaluation_key IS NOT NULL)),
    CHECK ((outcome = 'rejected') = (excess IS NOT NULL)),
    CHECK ((outcome = 'scored') = (message IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE costs (
    run_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    target TEXT NOT NULL,
    metric TEXT NOT NULL,
    source TEXT NOT NULL,              -- estimated, emulated or measured: rows of their own
    value REAL NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    PRIMARY KEY (run_id, number, target, metric, source),
    FOREIGN KEY (run_id, number) REFERENCES trials (run_id, number)
) STRICT, WITHOUT ROWID;

-- The Pareto front of each target, rewritten in the transaction that records a trial.
CREATE TABLE fronts (
    run_id INTEGER NOT NULL,
    target TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (run_id, target, number),
    FOREIGN KEY (run_id, number) REFERENCES trials (run_id, number)
) STRICT, WITHOUT ROWID;

CREATE VIEW front AS
SELECT
    runs.name AS run,
    fronts.target AS target,
    fronts.number AS trial,
    trials.space AS space,
    trials.task AS task,
    evaluations.auc_int8 AS auc_int8,
    evaluations.pauc_int8 AS pauc_int8,
    evaluations.auc_float AS auc_float,
    evaluations.test_auc_int8 AS test_auc_int8,
    trials.macs AS macs,
    trials.params AS params,
    max(costs.value) FILTER (WHERE costs.metric = 'ram_bytes') AS estimated_ram_bytes,
    max(costs.value) FILTER (WHERE costs.metric = 'flash_bytes') AS estimated_flash_bytes,
    max(costs.value) FILTER (WHERE costs.metric = 'latency_us') AS estimated_latency_us,
    max(costs.value) FILTER (WHERE costs.metric = 'energy_uj') AS estimated_energy_uj
FROM fronts
JOIN runs ON runs.id = fronts.run_id
JOIN trials ON trials.run_id = fronts.run_id AND trials.number = fronts.number
LEFT JOIN evaluations ON evaluations.key = trials.evaluation_key
LEFT JOIN costs ON costs.run_id = fronts.run_id AND costs.number = fronts.number
    AND costs.target = fronts.target AND costs.source = 'estimated'
GROUP BY fronts.run_id, fronts.target, fronts.number;
