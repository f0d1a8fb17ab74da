-- Schema 8: many results. The latest result of each case on each machine is kept in a table, and the tables of what
-- belongs to a result have no keys.

-- An index over (result_id, position) cost more time and room than all else that is stored of a result. That a row gets
-- in once is held by ingest, which leaves out all rows of a result that is known; the key of `results` stays. Nothing
-- is looked up by the keys that go.
ALTER TABLE fingerprint_parts RENAME TO fingerprint_parts_7;
CREATE TABLE fingerprint_parts (
    fingerprint VARCHAR NOT NULL,
    position UINTEGER NOT NULL,
    name VARCHAR NOT NULL,
    value VARCHAR NOT NULL
);
INSERT INTO fingerprint_parts SELECT * FROM fingerprint_parts_7;
DROP TABLE fingerprint_parts_7;

ALTER TABLE outputs RENAME TO outputs_7;
CREATE TABLE outputs (
    result_id VARCHAR NOT NULL,
    position UINTEGER NOT NULL,
    name VARCHAR NOT NULL,
    shape UBIGINT[] NOT NULL,
    error DOUBLE CHECK (error >= 0),
    tolerance DOUBLE NOT NULL,
    summary VARCHAR NOT NULL
);
INSERT INTO outputs SELECT * FROM outputs_7;
DROP TABLE outputs_7;

ALTER TABLE op_times RENAME TO op_times_7;
CREATE TABLE op_times (
    result_id VARCHAR NOT NULL,
    position UINTEGER NOT NULL,
    name VARCHAR NOT NULL,
    time_ns UBIGINT NOT NULL
);
INSERT INTO op_times SELECT * FROM op_times_7;
DROP TABLE op_times_7;

ALTER TABLE details RENAME TO details_7;
CREATE TABLE details (
    result_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    value VARCHAR NOT NULL
);
INSERT INTO details SELECT * FROM details_7;
DROP TABLE details_7;

ALTER TABLE stages RENAME TO stages_7;
CREATE TABLE stages (
    result_id VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    time_ns UBIGINT NOT NULL
);
INSERT INTO stages SELECT * FROM stages_7;
DROP TABLE stages_7;

ALTER TABLE fallbacks RENAME TO fallbacks_7;
CREATE TABLE fallbacks (
    result_id VARCHAR NOT NULL,
    position UINTEGER NOT NULL,
    op VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    goes_to VARCHAR NOT NULL
);
INSERT INTO fallbacks SELECT * FROM fallbacks_7;
DROP TABLE fallbacks_7;

ALTER TABLE time_series RENAME TO time_series_7;
CREATE TABLE time_series (
    result_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    -- Nanoseconds from the first reading on.
    at_ns UBIGINT[] NOT NULL,
    readings DOUBLE[] NOT NULL,
    CHECK (len(at_ns) = len(readings)),
    CHECK (list_min(readings) >= 0 OR name LIKE '%celsius')
);
INSERT INTO time_series SELECT * FROM time_series_7;
DROP TABLE time_series_7;

ALTER TABLE counters RENAME TO counters_7;
CREATE TABLE counters (
    result_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    risen UBIGINT NOT NULL,
    over_ns UBIGINT NOT NULL
);
INSERT INTO counters SELECT * FROM counters_7;
DROP TABLE counters_7;

ALTER TABLE absences RENAME TO absences_7;
CREATE TABLE absences (
    result_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    reason VARCHAR NOT NULL
);
INSERT INTO absences SELECT * FROM absences_7;
DROP TABLE absences_7;

-- The row of `results` that `latest_results` shows of each case on each machine, with the number of its fallbacks.
-- It is kept up to date as results come, so that the view need not look at all results.
CREATE TABLE latest AS
SELECT results.*, coalesce(elsewhere.ops, 0) AS fallbacks
FROM results
LEFT JOIN (SELECT result_id, count(*) AS ops FROM fallbacks GROUP BY result_id) AS elsewhere
    ON elsewhere.result_id = results.id
WHERE purpose = 'measure'
QUALIFY row_number() OVER (
    PARTITION BY case_id, machine
    ORDER BY outcome = 'skipped' OR (outcome = 'passed' AND latency_ns_median IS NULL),
        recorded_at DESC, id DESC
) = 1;

-- A documented promise: the latest measurement of each case on each machine.
-- A skipped one never hides one that ran, nor one without samples a timed one.
-- Results with fallbacks are of another kind than those without, as those of another mark are.
CREATE OR REPLACE VIEW latest_results AS
SELECT
    case_id, model, endpoint, precision, shape, mark, outcome,
    latency_ns_median, samples, recorded_at, machine, relative_noise,
    items_per_run * 1e9 / nullif(latency_ns_median, 0) AS throughput_items_per_s,
    operations_per_run * 1e9 / nullif(latency_ns_median, 0) AS throughput_operations_per_s,
    peak_memory_bytes, load_ns, compile_ns, first_run_ns,
    iterations, items_per_run, operations_per_run, bytes_per_run, busy_ns,
    message, adapter, driver, suite, platform, cpu, threads, memory_bytes,
    rustc, profile, commit_id, fingerprint, run, id,
    fallbacks
FROM latest;
