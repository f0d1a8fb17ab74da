-- Schema 1. Times are UTC; durations end in `_ns`. The record files are the truth: every row comes from them.

CREATE TABLE proofmark_meta (
    application VARCHAR NOT NULL,
    schema_version UINTEGER NOT NULL
);
INSERT INTO proofmark_meta VALUES ('proofmark', 1);

-- How far each record file has been read.
CREATE TABLE files (
    path VARCHAR PRIMARY KEY,
    next_offset UBIGINT NOT NULL
);

-- Lines that could not be read.
CREATE TABLE faults (
    path VARCHAR NOT NULL,
    line_offset UBIGINT NOT NULL,
    detail VARCHAR NOT NULL,
    PRIMARY KEY (path, line_offset)
);

-- One row per record. Values that were not measured are null.
CREATE TABLE results (
    id VARCHAR PRIMARY KEY,
    run VARCHAR NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    suite VARCHAR NOT NULL,
    case_id VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL,
    precision VARCHAR NOT NULL,
    shape VARCHAR NOT NULL,
    purpose VARCHAR NOT NULL CHECK (purpose IN ('test', 'measure')),
    outcome VARCHAR NOT NULL
        CHECK (outcome IN ('passed', 'failed', 'timed-out', 'crashed', 'skipped')),
    mark VARCHAR CHECK (mark IN ('real', 'software', 'simulated', 'claimed')),
    adapter VARCHAR,
    driver VARCHAR,
    message VARCHAR,
    -- samples[i] is the mean latency in nanoseconds over iterations[i] runs.
    samples DOUBLE[] NOT NULL,
    iterations UBIGINT[] NOT NULL,
    -- From the samples: median, and median absolute deviation over median.
    latency_ns_median DOUBLE CHECK (latency_ns_median >= 0),
    relative_noise DOUBLE CHECK (relative_noise >= 0),
    -- Load, compile, first run and measured phase together.
    busy_ns DOUBLE NOT NULL CHECK (busy_ns >= 0),
    load_ns UBIGINT,
    compile_ns UBIGINT,
    first_run_ns UBIGINT,
    peak_memory_bytes UBIGINT,
    items_per_run UBIGINT,
    operations_per_run UBIGINT,
    bytes_per_run UBIGINT,
    machine VARCHAR NOT NULL,
    platform VARCHAR NOT NULL,
    cpu VARCHAR NOT NULL,
    threads UBIGINT NOT NULL,
    memory_bytes UBIGINT NOT NULL,
    rustc VARCHAR NOT NULL,
    profile VARCHAR NOT NULL,
    commit_id VARCHAR NOT NULL,
    fingerprint VARCHAR NOT NULL,
    CHECK (len(samples) = len(iterations)),
    CHECK (list_min(samples) >= 0),
    -- A number without a mark does not exist.
    CHECK (mark IS NOT NULL OR (
        outcome <> 'passed' AND len(samples) = 0 AND latency_ns_median IS NULL
        AND load_ns IS NULL AND compile_ns IS NULL AND first_run_ns IS NULL
        AND peak_memory_bytes IS NULL AND items_per_run IS NULL
        AND operations_per_run IS NULL AND bytes_per_run IS NULL
    ))
);

-- What a fingerprint was made of.
CREATE TABLE fingerprint_parts (
    fingerprint VARCHAR NOT NULL,
    position UINTEGER NOT NULL,
    name VARCHAR NOT NULL,
    value VARCHAR NOT NULL,
    PRIMARY KEY (fingerprint, position)
);

-- Outputs against their references; the error is relative to the reference's largest magnitude.
CREATE TABLE outputs (
    result_id VARCHAR NOT NULL,
    position UINTEGER NOT NULL,
    name VARCHAR NOT NULL,
    shape UBIGINT[] NOT NULL,
    error DOUBLE CHECK (error >= 0),
    tolerance DOUBLE NOT NULL,
    summary VARCHAR NOT NULL,
    PRIMARY KEY (result_id, position)
);

-- Device time of each op in one run, in the order of the device.
CREATE TABLE op_times (
    result_id VARCHAR NOT NULL,
    position UINTEGER NOT NULL,
    name VARCHAR NOT NULL,
    time_ns UBIGINT NOT NULL,
    PRIMARY KEY (result_id, position)
);

-- What each probe of an endpoint found; mark and reason exclude each other.
CREATE TABLE probes (
    id VARCHAR PRIMARY KEY,
    recorded_at TIMESTAMP NOT NULL,
    suite VARCHAR NOT NULL,
    machine VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL,
    mark VARCHAR CHECK (mark IN ('real', 'software', 'simulated', 'claimed')),
    reason VARCHAR,
    adapter VARCHAR,
    driver VARCHAR,
    CHECK ((mark IS NULL) = (reason IS NOT NULL))
);

-- Limits of a probed adapter, by its own names.
CREATE TABLE probe_limits (
    probe_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    value UBIGINT NOT NULL,
    PRIMARY KEY (probe_id, name)
);

-- Capabilities of a probed adapter, by its own names.
CREATE TABLE probe_features (
    probe_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    PRIMARY KEY (probe_id, name)
);

-- A documented promise: the latest measurement of each case on each machine.
-- A skipped one never hides one that ran, nor one without samples a timed one.
CREATE VIEW latest_results AS
SELECT
    case_id, model, endpoint, precision, shape, mark, outcome,
    latency_ns_median, samples, recorded_at, machine, relative_noise,
    items_per_run * 1e9 / nullif(latency_ns_median, 0) AS throughput_items_per_s,
    operations_per_run * 1e9 / nullif(latency_ns_median, 0) AS throughput_operations_per_s,
    peak_memory_bytes, load_ns, compile_ns, first_run_ns,
    iterations, items_per_run, operations_per_run, bytes_per_run, busy_ns,
    message, adapter, driver, suite, platform, cpu, threads, memory_bytes,
    rustc, profile, commit_id, fingerprint, run, id
FROM results
WHERE purpose = 'measure'
QUALIFY row_number() OVER (
    PARTITION BY case_id, machine
    ORDER BY outcome = 'skipped' OR (outcome = 'passed' AND latency_ns_median IS NULL),
        recorded_at DESC, id DESC
) = 1;
