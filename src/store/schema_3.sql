-- Further trainings of a trial with other seeds.
CREATE TABLE repeats (
    run_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    seed INTEGER NOT NULL CHECK (seed >= 0), -- how far the seed lies from that of the run
    evaluation_key TEXT REFERENCES evaluations (key),
    message TEXT,                      -- why there is no evaluation
    PRIMARY KEY (run_id, number, seed),
    FOREIGN KEY (run_id, number) REFERENCES trials (run_id, number),
    CHECK ((evaluation_key IS NULL) = (message IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- As before, with the means over the further trainings where there are any.
DROP VIEW IF EXISTS front;
CREATE VIEW front AS
WITH means AS (
    SELECT
        repeats.run_id AS run_id,
        repeats.number AS number,
        count(*) AS seeds,
        avg(evaluations.auc_int8) AS auc_int8,
        avg(evaluations.pauc_int8) AS pauc_int8,
        avg(evaluations.auc_float) AS auc_float,
        avg(evaluations.test_auc_int8) AS test_auc_int8
    FROM repeats
    JOIN evaluations ON evaluations.key = repeats.evaluation_key
    GROUP BY repeats.run_id, repeats.number
)
SELECT
    runs.name AS run,
    fronts.target AS target,
    fronts.number AS trial,
    trials.space AS space,
    trials.task AS task,
    coalesce(means.auc_int8, evaluations.auc_int8) AS auc_int8,
    coalesce(means.pauc_int8, evaluations.pauc_int8) AS pauc_int8,
    coalesce(means.auc_float, evaluations.auc_float) AS auc_float,
    coalesce(means.test_auc_int8, evaluations.test_auc_int8) AS test_auc_int8,
    trials.macs AS macs,
    trials.params AS params,
    max(costs.value) FILTER (WHERE costs.metric = 'ram_bytes') AS estimated_ram_bytes,
    max(costs.value) FILTER (WHERE costs.metric = 'flash_bytes') AS estimated_flash_bytes,
    max(costs.value) FILTER (WHERE costs.metric = 'latency_us') AS estimated_latency_us,
    max(costs.value) FILTER (WHERE costs.metric = 'energy_uj') AS estimated_energy_uj,
    coalesce(means.seeds, 0) AS further_seeds
FROM fronts
JOIN runs ON runs.id = fronts.run_id
JOIN trials ON trials.run_id = fronts.run_id AND trials.number = fronts.number
LEFT JOIN evaluations ON evaluations.key = trials.evaluation_key
LEFT JOIN means ON means.run_id = fronts.run_id AND means.number = fronts.number
LEFT JOIN costs ON costs.run_id = fronts.run_id AND costs.number = fronts.number
    AND costs.target = fronts.target AND costs.source = 'estimated'
GROUP BY fronts.run_id, fronts.target, fronts.number;
