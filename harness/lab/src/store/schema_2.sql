-- Schema 2: what else is known of where a result comes from, stages before the measured phase, ops that ran elsewhere.

-- What is known of the opened device besides its adapter and driver, by name.
CREATE TABLE details (
    result_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    value VARCHAR NOT NULL,
    PRIMARY KEY (result_id, name)
);

-- Time of stages that an endpoint has of its own, such as the start of a browser.
CREATE TABLE stages (
    result_id VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    time_ns UBIGINT NOT NULL,
    PRIMARY KEY (result_id, stage)
);

-- Ops that did not run on the device, in the order in which they are told.
CREATE TABLE fallbacks (
    result_id VARCHAR NOT NULL,
    position UINTEGER NOT NULL,
    op VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    goes_to VARCHAR NOT NULL,
    PRIMARY KEY (result_id, position)
);

-- What else a probe found, by name.
CREATE TABLE probe_details (
    probe_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    value VARCHAR NOT NULL,
    PRIMARY KEY (probe_id, name)
);

-- Files may hold what schema 1 had no place for or refused to read, so all are read again. Rows that are known stay.
DELETE FROM files;
DELETE FROM faults;

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
    coalesce(elsewhere.ops, 0) AS fallbacks
FROM results
LEFT JOIN (SELECT result_id, count(*) AS ops FROM fallbacks GROUP BY result_id) AS elsewhere
    ON elsewhere.result_id = results.id
WHERE purpose = 'measure'
QUALIFY row_number() OVER (
    PARTITION BY case_id, machine
    ORDER BY outcome = 'skipped' OR (outcome = 'passed' AND latency_ns_median IS NULL),
        recorded_at DESC, id DESC
) = 1;
