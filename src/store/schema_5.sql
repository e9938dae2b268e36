-- Figures of merit in a table of their own, so that a new one, or one per class, needs no column.
CREATE TABLE scores (
    evaluation_key TEXT NOT NULL REFERENCES evaluations (key),
    metric TEXT NOT NULL,              -- what was computed of which network, such as auc_int8
    part TEXT NOT NULL,                -- the clips that it was computed on: steer, test
    value REAL NOT NULL,
    PRIMARY KEY (evaluation_key, metric, part)
) STRICT, WITHOUT ROWID;

INSERT INTO scores
SELECT key, 'auc_int8', 'steer', auc_int8 FROM evaluations WHERE auc_int8 IS NOT NULL
UNION ALL
SELECT key, 'pauc_int8', 'steer', pauc_int8 FROM evaluations WHERE pauc_int8 IS NOT NULL
UNION ALL
SELECT key, 'auc_float', 'steer', auc_float FROM evaluations WHERE auc_float IS NOT NULL
UNION ALL
SELECT key, 'pauc_float', 'steer', pauc_float FROM evaluations WHERE pauc_float IS NOT NULL
UNION ALL
SELECT key, 'auc_int8', 'test', test_auc_int8 FROM evaluations WHERE test_auc_int8 IS NOT NULL
UNION ALL
SELECT key, 'pauc_int8', 'test', test_pauc_int8 FROM evaluations WHERE test_pauc_int8 IS NOT NULL
UNION ALL
SELECT key, 'accuracy_int8', 'steer', accuracy_int8 FROM evaluations WHERE accuracy_int8 IS NOT NULL
UNION ALL
SELECT key, 'accuracy_int8', 'test', test_accuracy_int8 FROM evaluations WHERE test_accuracy_int8 IS NOT NULL;

DROP VIEW front;
ALTER TABLE evaluations DROP COLUMN auc_int8;
ALTER TABLE evaluations DROP COLUMN pauc_int8;
ALTER TABLE evaluations DROP COLUMN auc_float;
ALTER TABLE evaluations DROP COLUMN pauc_float;
ALTER TABLE evaluations DROP COLUMN test_auc_int8;
ALTER TABLE evaluations DROP COLUMN test_pauc_int8;
ALTER TABLE evaluations DROP COLUMN accuracy_int8;
ALTER TABLE evaluations DROP COLUMN test_accuracy_int8;

-- As before, with the means over the further trainings where there are any. One that failed counts as chance, 0.5.
CREATE VIEW front AS
WITH trainings AS (
    -- What counts for a trial: its further trainings where there are any, else its own.
    SELECT repeats.run_id, repeats.number, trials.evaluation_key AS own_key, repeats.evaluation_key, repeats.seed
    FROM repeats
    JOIN trials ON trials.run_id = repeats.run_id AND trials.number = repeats.number
    UNION ALL
    SELECT run_id, number, evaluation_key, evaluation_key, NULL
    FROM trials
    WHERE outcome = 'scored' AND NOT EXISTS (
        SELECT 1 FROM repeats WHERE repeats.run_id = trials.run_id AND repeats.number = trials.number
    )
),
training_scores AS (
    SELECT
        trainings.run_id,
        trainings.number,
        trainings.seed,
        own.metric,
        own.part,
        CASE WHEN trainings.evaluation_key IS NULL THEN 0.5 ELSE scores.value END AS value
    FROM trainings
    JOIN scores AS own ON own.evaluation_key = trainings.own_key
    LEFT JOIN scores ON scores.evaluation_key = trainings.evaluation_key
        AND scores.metric = own.metric AND scores.part = own.part
),
figures AS (
    SELECT
        run_id,
        number,
        avg(value) FILTER (WHERE metric = 'auc_int8' AND part = 'steer') AS auc_int8,
        avg(value) FILTER (WHERE metric = 'pauc_int8' AND part = 'steer') AS pauc_int8,
        avg(value) FILTER (WHERE metric = 'auc_float' AND part = 'steer') AS auc_float,
        avg(value) FILTER (WHERE metric = 'auc_int8' AND part = 'test') AS test_auc_int8,
        count(DISTINCT seed) AS seeds
    FROM training_scores
    GROUP BY run_id, number
)
SELECT
    runs.name AS run,
    fronts.target AS target,
    fronts.number AS trial,
    trials.space AS space,
    trials.task AS task,
    figures.auc_int8 AS auc_int8,
    figures.pauc_int8 AS pauc_int8,
    figures.auc_float AS auc_float,
    figures.test_auc_int8 AS test_auc_int8,
    trials.macs AS macs,
    trials.params AS params,
    max(costs.value) FILTER (WHERE costs.metric = 'ram_bytes') AS estimated_ram_bytes,
    max(costs.value) FILTER (WHERE costs.metric = 'flash_bytes') AS estimated_flash_bytes,
    max(costs.value) FILTER (WHERE costs.metric = 'latency_us') AS estimated_latency_us,
    max(costs.value) FILTER (WHERE costs.metric = 'energy_uj') AS estimated_energy_uj,
    coalesce(figures.seeds, 0) AS further_seeds
FROM fronts
JOIN runs ON runs.id = fronts.run_id
JOIN trials ON trials.run_id = fronts.run_id AND trials.number = fronts.number
LEFT JOIN figures ON figures.run_id = fronts.run_id AND figures.number = fronts.number
LEFT JOIN costs ON costs.run_id = fronts.run_id AND costs.number = fronts.number
    AND costs.target = fronts.target AND costs.source = 'estimated'
GROUP BY fronts.run_id, fronts.target, fronts.number;
