-- Schema 9: what the tables refuse is said by the tables; views that answer the common questions.

-- Rows of an older database that a check of this schema refuses, as text: no migration loses a row.
CREATE TABLE set_aside (
    table_name VARCHAR NOT NULL CHECK (table_name <> ''),
    content VARCHAR NOT NULL CHECK (content <> '')
);

-- One row per record of a run. A run that took place is real or software: what was computed by a model is a prediction,
-- what comes from elsewhere is imported or migrated. NaN and infinities are greater than every number to `isfinite`.
CREATE TEMP TABLE earlier AS SELECT * FROM results;
DROP TABLE results;
CREATE TABLE results (
    id VARCHAR PRIMARY KEY CHECK (id <> ''),
    run VARCHAR NOT NULL CHECK (run <> ''),
    recorded_at TIMESTAMP NOT NULL,
    suite VARCHAR NOT NULL CHECK (suite <> ''),
    case_id VARCHAR NOT NULL,
    model VARCHAR NOT NULL CHECK (model <> ''),
    endpoint VARCHAR NOT NULL CHECK (endpoint <> ''),
    precision VARCHAR NOT NULL CHECK (precision <> ''),
    shape VARCHAR NOT NULL CHECK (shape <> ''),
    purpose VARCHAR NOT NULL CHECK (purpose IN ('test', 'measure')),
    outcome VARCHAR NOT NULL
        CHECK (outcome IN ('passed', 'failed', 'timed-out', 'crashed', 'skipped')),
    mark VARCHAR CHECK (mark IN ('real', 'software')),
    adapter VARCHAR,
    driver VARCHAR,
    message VARCHAR,
    -- samples[i] is the mean latency in nanoseconds over iterations[i] runs.
    samples DOUBLE[] NOT NULL,
    iterations UBIGINT[] NOT NULL,
    -- From the samples: median, and median absolute deviation over median.
    latency_ns_median DOUBLE CHECK (latency_ns_median >= 0 AND isfinite(latency_ns_median)),
    relative_noise DOUBLE CHECK (relative_noise >= 0 AND isfinite(relative_noise)),
    -- Load, compile, first run and measured phase together.
    busy_ns DOUBLE NOT NULL CHECK (busy_ns >= 0 AND isfinite(busy_ns)),
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
    -- How many samples a result had that was thinned: its medians stay, and the rest is in `summaries`.
    dropped_samples UBIGINT CHECK (dropped_samples > 0),
    CHECK (case_id = model || '/' || endpoint || '/' || precision || '/' || shape),
    CHECK (len(samples) = len(iterations)),
    CHECK (len(samples) = list_count(samples) AND len(iterations) = list_count(iterations)),
    CHECK (list_min(samples) >= 0 AND isfinite(list_max(samples))),
    -- A latency is that of samples, there or dropped: nothing else can bring one.
    CHECK (dropped_samples IS NULL OR len(samples) = 0),
    CHECK ((latency_ns_median IS NULL) = (len(samples) = 0 AND dropped_samples IS NULL)),
    CHECK (relative_noise IS NULL OR latency_ns_median IS NOT NULL),
    -- A number without a mark does not exist.
    CHECK (mark IS NOT NULL OR (
        outcome <> 'passed' AND len(samples) = 0 AND dropped_samples IS NULL AND busy_ns = 0
        AND load_ns IS NULL AND compile_ns IS NULL AND first_run_ns IS NULL
        AND peak_memory_bytes IS NULL AND items_per_run IS NULL
        AND operations_per_run IS NULL AND bytes_per_run IS NULL
    ))
);
CREATE TEMP MACRO is_run(r) AS coalesce(
    r.id <> '' AND r.run <> '' AND r.suite <> '' AND r.model <> '' AND r.endpoint <> '' AND r.precision <> '' AND r.shape <> ''
    AND coalesce(r.mark IN ('real', 'software'), true)
    AND isfinite(r.busy_ns) AND coalesce(isfinite(r.latency_ns_median), true) AND coalesce(isfinite(r.relative_noise), true)
    AND r.case_id = r.model || '/' || r.endpoint || '/' || r.precision || '/' || r.shape
    AND len(r.samples) = list_count(r.samples) AND len(r.iterations) = list_count(r.iterations)
    AND coalesce(isfinite(list_max(r.samples)), true)
    AND (r.latency_ns_median IS NULL) = (len(r.samples) = 0) AND (r.relative_noise IS NULL OR r.latency_ns_median IS NOT NULL)
    AND (r.mark IS NOT NULL OR r.busy_ns = 0), false);
INSERT INTO set_aside SELECT 'results', earlier::VARCHAR FROM earlier WHERE NOT is_run(earlier);
INSERT INTO results BY NAME SELECT * FROM earlier WHERE is_run(earlier);
DROP MACRO is_run;
DROP TABLE earlier;

-- What samples said that were dropped.
CREATE TABLE summaries (
    result_id VARCHAR NOT NULL CHECK (result_id <> ''),
    samples UBIGINT NOT NULL CHECK (samples > 0),
    runs UBIGINT NOT NULL,
    total_ns DOUBLE NOT NULL CHECK (total_ns >= 0 AND isfinite(total_ns)),
    latency_ns_min DOUBLE NOT NULL CHECK (latency_ns_min >= 0),
    latency_ns_median DOUBLE NOT NULL,
    latency_ns_p95 DOUBLE NOT NULL,
    latency_ns_max DOUBLE NOT NULL CHECK (isfinite(latency_ns_max)),
    relative_noise DOUBLE CHECK (relative_noise >= 0 AND isfinite(relative_noise)),
    CHECK (latency_ns_min <= latency_ns_median AND latency_ns_median <= latency_ns_p95
        AND latency_ns_p95 <= latency_ns_max)
);

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

-- Outputs against their references; the error is relative to the reference's largest magnitude.
CREATE TEMP TABLE earlier AS SELECT * FROM outputs;
DROP TABLE outputs;
CREATE TABLE outputs (
    result_id VARCHAR NOT NULL CHECK (result_id <> ''),
    position UINTEGER NOT NULL,
    name VARCHAR NOT NULL,
    shape UBIGINT[] NOT NULL CHECK (len(shape) = list_count(shape)),
    error DOUBLE CHECK (error >= 0 AND isfinite(error)),
    tolerance DOUBLE NOT NULL CHECK (tolerance >= 0 AND isfinite(tolerance)),
    summary VARCHAR NOT NULL
);
CREATE TEMP MACRO is_output(r) AS
    r.result_id <> '' AND len(r.shape) = list_count(r.shape) AND r.tolerance >= 0 AND isfinite(r.tolerance) AND coalesce(isfinite(r.error), true);
INSERT INTO set_aside SELECT 'outputs', earlier::VARCHAR FROM earlier WHERE NOT is_output(earlier);
INSERT INTO outputs BY NAME SELECT * FROM earlier WHERE is_output(earlier);
DROP MACRO is_output;
DROP TABLE earlier;

-- What each probe of an endpoint found; mark and reason exclude each other. What is here is real or software.
CREATE TEMP TABLE earlier AS SELECT * FROM probes;
DROP TABLE probes;
CREATE TABLE probes (
    id VARCHAR PRIMARY KEY CHECK (id <> ''),
    recorded_at TIMESTAMP NOT NULL,
    suite VARCHAR NOT NULL CHECK (suite <> ''),
    machine VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL CHECK (endpoint <> ''),
    mark VARCHAR CHECK (mark IN ('real', 'software')),
    reason VARCHAR,
    adapter VARCHAR,
    driver VARCHAR,
    CHECK ((mark IS NULL) = (reason IS NOT NULL))
);
CREATE TEMP MACRO is_probe(r) AS
    r.id <> '' AND r.suite <> '' AND r.endpoint <> '' AND coalesce(r.mark IN ('real', 'software'), true);
INSERT INTO set_aside SELECT 'probes', earlier::VARCHAR FROM earlier WHERE NOT is_probe(earlier);
INSERT INTO probes BY NAME SELECT * FROM earlier WHERE is_probe(earlier);
DROP MACRO is_probe;
DROP TABLE earlier;

-- One row per prediction of a model on a device. Times are in milliseconds.
CREATE TEMP TABLE earlier AS SELECT * FROM predictions;
DROP TABLE predictions;
CREATE TABLE predictions (
    id VARCHAR PRIMARY KEY CHECK (id <> ''),
    made_at TIMESTAMP NOT NULL,
    model VARCHAR NOT NULL CHECK (model <> ''),
    shape VARCHAR NOT NULL CHECK (shape <> ''),
    precision VARCHAR NOT NULL CHECK (precision <> ''),
    device VARCHAR NOT NULL CHECK (device <> ''),
    -- Null: any endpoint that runs on the device, on any machine that has it.
    endpoint VARCHAR,
    machine VARCHAR,
    -- The mark of the results that may grade it.
    reality VARCHAR NOT NULL CHECK (reality IN ('real', 'software')),
    mark VARCHAR NOT NULL CHECK (mark = 'simulated'),
    model_version UINTEGER NOT NULL,
    -- Hashes of what was fitted, and of the kernels and the device's figures.
    fit VARCHAR NOT NULL,
    inputs VARCHAR NOT NULL,
    predicted_ms DOUBLE NOT NULL CHECK (predicted_ms > 0),
    -- The interval of 90 %.
    low_ms DOUBLE NOT NULL CHECK (low_ms > 0 AND low_ms <= predicted_ms),
    high_ms DOUBLE NOT NULL CHECK (high_ms >= predicted_ms AND isfinite(high_ms)),
    confidence VARCHAR NOT NULL CHECK (confidence IN ('high', 'medium', 'low', 'unvalidated')),
    -- The mean absolute error, as a part of one, that was validated near it; null if none was.
    validated_error DOUBLE CHECK (validated_error >= 0 AND isfinite(validated_error)),
    nearest_device VARCHAR NOT NULL,
    extrapolated_share DOUBLE NOT NULL CHECK (extrapolated_share BETWEEN 0 AND 1.000001),
    memory_bytes UBIGINT NOT NULL,
    fits BOOLEAN NOT NULL,
    CHECK (confidence <> 'unvalidated' OR validated_error IS NULL),
    CHECK ((endpoint IS NULL) = (machine IS NULL))
);
CREATE TEMP MACRO is_prediction(r) AS
    r.id <> '' AND r.model <> '' AND r.shape <> '' AND r.precision <> '' AND r.device <> '' AND isfinite(r.high_ms)
    AND coalesce(isfinite(r.validated_error), true);
INSERT INTO set_aside SELECT 'predictions', earlier::VARCHAR FROM earlier WHERE NOT is_prediction(earlier);
INSERT INTO predictions BY NAME SELECT * FROM earlier WHERE is_prediction(earlier);
DROP MACRO is_prediction;
DROP TABLE earlier;

-- What the results of an endpoint of a machine taught, in versions; one row more for each family that was left out.
CREATE TEMP TABLE earlier AS SELECT * FROM lessons;
DROP TABLE lessons;
CREATE TABLE lessons (
    id VARCHAR PRIMARY KEY CHECK (id <> ''),
    made_at TIMESTAMP NOT NULL,
    version UINTEGER NOT NULL CHECK (version > 0),
    machine VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL CHECK (endpoint <> ''),
    device VARCHAR NOT NULL CHECK (device <> ''),
    reality VARCHAR NOT NULL CHECK (reality IN ('real', 'software')),
    model_version UINTEGER NOT NULL,
    -- The family whose results did not teach.
    without VARCHAR,
    -- Nanoseconds per run, kernel, operation and byte.
    rates DOUBLE[] NOT NULL CHECK (len(rates) = list_count(rates)),
    -- The results that taught.
    records VARCHAR[] NOT NULL,
    CHECK (list_min(rates) >= 0 AND isfinite(list_max(rates)))
);
CREATE TEMP MACRO is_lesson(r) AS
    r.id <> '' AND r.endpoint <> '' AND r.device <> '' AND len(r.rates) = list_count(r.rates)
    AND coalesce(list_min(r.rates) >= 0 AND isfinite(list_max(r.rates)), true);
INSERT INTO set_aside SELECT 'lessons', earlier::VARCHAR FROM earlier WHERE NOT is_lesson(earlier);
INSERT INTO lessons BY NAME SELECT * FROM earlier WHERE is_lesson(earlier);
DROP MACRO is_lesson;
DROP TABLE earlier;

-- The views below are promises, as latest_results is: their columns stay, and more may come.

-- Where results were made, as far as records say it, apart by what the results prove.
CREATE VIEW environments AS
SELECT
    machine, platform, cpu, threads, memory_bytes, rustc, profile, mark,
    min(recorded_at) AS first_seen, max(recorded_at) AS last_seen, count(*) AS results
FROM results
GROUP BY ALL;

-- Endpoints of machines, with what answered there, from results and probes.
CREATE VIEW platforms AS
SELECT
    machine, endpoint, mark, adapter, driver,
    min(recorded_at) AS first_seen, max(recorded_at) AS last_seen,
    count(*) FILTER (of_run) AS results, count(*) FILTER (NOT of_run) AS probes
FROM (
    SELECT machine, endpoint, mark, adapter, driver, recorded_at, true AS of_run FROM results WHERE mark IS NOT NULL
    UNION ALL
    SELECT machine, endpoint, mark, adapter, driver, recorded_at, false FROM probes WHERE mark IS NOT NULL
)
GROUP BY machine, endpoint, mark, adapter, driver;

-- Every probe with all that it found, and whether that is what the probe before it found.
CREATE VIEW probe_log AS
WITH told AS (
    SELECT
        id, recorded_at, suite, machine, endpoint, mark, reason, adapter, driver,
        coalesce(limits, MAP {}) AS limits, coalesce(features, []) AS features, coalesce(details, MAP {}) AS details
    FROM probes
    LEFT JOIN (
        SELECT probe_id, map(list(name ORDER BY name), list(value ORDER BY name)) AS limits FROM probe_limits GROUP BY probe_id
    ) AS of_limits ON of_limits.probe_id = id
    LEFT JOIN (
        SELECT probe_id, list(name ORDER BY name) AS features FROM probe_features GROUP BY probe_id
    ) AS of_features ON of_features.probe_id = id
    LEFT JOIN (
        SELECT probe_id, map(list(name ORDER BY name), list(value ORDER BY name)) AS details FROM probe_details GROUP BY probe_id
    ) AS of_details ON of_details.probe_id = id
), found AS (
    SELECT *, row(mark, reason, adapter, driver, limits, features, details) AS finding FROM told
)
SELECT
    * EXCLUDE (finding),
    finding IS DISTINCT FROM lag(finding) OVER one_after_the_other
        AND row_number() OVER one_after_the_other > 1 AS changed
FROM found
WINDOW one_after_the_other AS (PARTITION BY suite, machine, endpoint ORDER BY recorded_at, id);

-- How much longer cases take on one platform than on another. Marks are never mixed, and results with fallbacks are left out.
CREATE VIEW platform_relations AS
WITH timed AS (
    SELECT suite, model, precision, shape, machine, endpoint, mark, latency_ns_median, recorded_at
    FROM latest_results
    WHERE outcome = 'passed' AND fallbacks = 0 AND latency_ns_median > 0
), pairs AS (
    SELECT
        base.machine AS base_machine, base.endpoint AS base_endpoint,
        other.machine AS other_machine, other.endpoint AS other_endpoint, mark,
        ln(other.latency_ns_median / base.latency_ns_median) AS log_ratio,
        least(base.recorded_at, other.recorded_at) AS oldest, greatest(base.recorded_at, other.recorded_at) AS newest
    FROM timed AS base JOIN timed AS other USING (suite, model, precision, shape, mark)
    WHERE (base.machine, base.endpoint) <> (other.machine, other.endpoint)
), spread AS (
    SELECT
        base_machine, base_endpoint, other_machine, other_endpoint, mark, count(*) AS cases,
        avg(log_ratio) AS middle, stddev_samp(log_ratio) / sqrt(count(*)) AS error,
        min(log_ratio) AS least, max(log_ratio) AS most, min(oldest) AS oldest, max(newest) AS newest
    FROM pairs
    GROUP BY ALL
), scaled AS (
    -- The 97.5 % quantile of Student's t with cases - 1 degrees of freedom; above 30 by the expansion of Cornish and
    -- Fisher about 1.959963984540054, which is right to 5 digits there.
    SELECT *, error * CASE
        WHEN cases BETWEEN 2 AND 31 THEN [
            12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139,
            2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963,
            2.079614, 2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272
        ][cases - 1]::DOUBLE
        WHEN cases > 31 THEN 1.959963984540054 + 2.372271 / (cases - 1) + 2.822503 / (cases - 1) ** 2 + 2.555859 / (cases - 1) ** 3
    END AS reach
    FROM spread
)
SELECT
    base_machine, base_endpoint, other_machine, other_endpoint, mark, cases,
    exp(middle) AS ratio, exp(middle - reach) AS ratio_low, exp(middle + reach) AS ratio_high,
    exp(least) AS ratio_least, exp(most) AS ratio_most,
    mark = 'real' AS validated, oldest, newest
FROM scaled;

-- What the latest passing result of each case attains, beside the best that any of its kind attained on its platform.
CREATE VIEW efficiency AS
WITH rates AS (
    SELECT
        case_id, model, endpoint, precision, shape, machine, mark, latency_ns_median, fallbacks,
        items_per_run * 1e9 / latency_ns_median AS items_per_s,
        operations_per_run * 1e9 / latency_ns_median AS operations_per_s,
        bytes_per_run * 1e9 / latency_ns_median AS bytes_per_s,
        operations_per_run / nullif(bytes_per_run, 0) AS operations_per_byte,
        recorded_at, id
    FROM latest_results
    WHERE outcome = 'passed' AND latency_ns_median > 0
), best AS (
    SELECT
        *, max(operations_per_s) OVER alike AS best_operations_per_s, max(bytes_per_s) OVER alike AS best_bytes_per_s
    FROM rates
    WINDOW alike AS (PARTITION BY machine, endpoint, precision, mark, fallbacks > 0)
)
SELECT
    case_id, model, endpoint, precision, shape, machine, mark, latency_ns_median, fallbacks,
    items_per_s, operations_per_s, bytes_per_s, operations_per_byte, best_operations_per_s, best_bytes_per_s,
    operations_per_s / nullif(best_operations_per_s, 0) AS operations_of_best,
    bytes_per_s / nullif(best_bytes_per_s, 0) AS bytes_of_best,
    recorded_at, id
FROM best;

-- How each case ended on each machine over time: a row for each stretch of runs that ended alike.
CREATE VIEW compatibility AS
WITH runs AS (
    SELECT
        case_id, model, endpoint, precision, shape, machine, outcome, mark, recorded_at, message, elsewhere.result_id IS NOT NULL AS fell_back,
        outcome || ' ' || coalesce(mark, '') || ' ' || (elsewhere.result_id IS NOT NULL) AS ending,
        row_number() OVER (PARTITION BY case_id, machine ORDER BY recorded_at, id) AS place
    FROM results LEFT JOIN (SELECT DISTINCT result_id FROM fallbacks) AS elsewhere ON elsewhere.result_id = id
), changes AS (
    -- Within a stretch both places rise by one from run to run.
    SELECT *, place - row_number() OVER (PARTITION BY case_id, machine, ending ORDER BY place) AS stretch FROM runs
), periods AS (
    SELECT
        case_id, any_value(model) AS model, any_value(endpoint) AS endpoint, any_value(precision) AS precision,
        any_value(shape) AS shape, machine, any_value(outcome) AS outcome, any_value(mark) AS mark,
        any_value(fell_back) AS fell_back, min(recorded_at) AS since, max(recorded_at) AS last_seen, count(*) AS runs,
        max_by(message, place) AS message, min(place) AS place
    FROM changes
    GROUP BY case_id, machine, ending, stretch
)
SELECT * EXCLUDE (place), lead(since) OVER (PARTITION BY case_id, machine ORDER BY place) AS until
FROM periods;

-- Device time of each op with its share of all ops of its result.
CREATE VIEW op_profile AS
SELECT
    result_id, case_id, model, endpoint, precision, shape, machine, mark, recorded_at, position, name AS op, time_ns,
    time_ns / nullif(sum(time_ns) OVER (PARTITION BY result_id), 0) AS share
FROM op_times JOIN results ON results.id = result_id;

-- What a run took before its measured phase: the stages of every run, and those that an endpoint has of its own, which
-- explain them and are not added to them.
CREATE VIEW stage_times AS
SELECT id AS result_id, case_id, model, endpoint, machine, mark, recorded_at, stage, of_endpoint, time_ns
FROM (
    SELECT id AS result_id, unnest(['load', 'compile', 'first run']) AS stage,
        unnest([load_ns, compile_ns, first_run_ns]) AS time_ns, false AS of_endpoint
    FROM results
    UNION ALL
    SELECT result_id, stage, time_ns, true FROM stages
) AS told JOIN results ON results.id = told.result_id
WHERE time_ns IS NOT NULL;

-- Each reading of the system while a case was measured.
CREATE VIEW readings AS
SELECT
    result_id, case_id, model, endpoint, machine, mark, recorded_at, name,
    CASE WHEN name LIKE '%_bytes' THEN 'B' WHEN name LIKE '%_hz' THEN 'Hz' WHEN name LIKE '%_celsius' THEN '°C'
        WHEN name LIKE '%_w' THEN 'W' ELSE '1' END AS unit,
    at_ns, reading
FROM (
    SELECT result_id, name, unnest(at_ns) AS at_ns, unnest(readings) AS reading FROM time_series
) AS told JOIN results ON results.id = told.result_id;

-- What devices told, from the files of the tools that asked them; the kind is the first word of a name.
CREATE VIEW device_readings AS
SELECT
    file_id, position, source, r.tool, of_file.device, split_part(metric, '.', 1) AS kind, benchmark AS part, metric,
    r.value, unit, of_reading.read_at, r.mark, imported_at, place
FROM imported_results AS r
JOIN imported_files AS f ON f.id = file_id
LEFT JOIN (SELECT file_id, value AS device FROM imported_file_details WHERE name = 'device') AS of_file USING (file_id)
LEFT JOIN (SELECT file_id, position, value AS read_at FROM imported_details WHERE name = 'at') AS of_reading
    USING (file_id, position)
WHERE statistic = 'reading';

CREATE VIEW device_facts AS
SELECT
    file_id, source, tool, of_file.device, split_part(name, '.', 1) AS kind, name, value, mark, imported_at
FROM imported_file_details
JOIN imported_files AS f ON f.id = file_id
LEFT JOIN (SELECT file_id, value AS device FROM imported_file_details WHERE name = 'device') AS of_file USING (file_id)
WHERE split_part(name, '.', 1) IN ('capability', 'setting', 'battery', 'thermal', 'power') AND name LIKE '%.%'
    AND tool IN ('dumpsys', 'getprop', 'powermetrics', 'nvidia-smi', 'perfetto');

-- The models that results are of, by the weights that they ran with, apart by what the results prove. What a suite does not
-- tell of its models (parameters, licence) is not here.
CREATE VIEW models AS
SELECT
    suite, model, split_part(model, '-', 1) AS family, weights, mark,
    list_sort(list_distinct(list(endpoint))) AS endpoints, list_sort(list_distinct(list(precision))) AS precisions,
    list_sort(list_distinct(list(shape))) AS shapes, min(recorded_at) AS first_seen, max(recorded_at) AS last_seen,
    count(*) AS results, count(*) FILTER (outcome = 'passed') AS passed
FROM results
LEFT JOIN (
    SELECT fingerprint, any_value(value) AS weights FROM fingerprint_parts WHERE name = 'weights' GROUP BY fingerprint
) AS parts USING (fingerprint)
GROUP BY suite, model, weights, mark;

-- The certificates of cases as their files have them; the files are the truth, and whether one still holds is judged from
-- record files.
CREATE TABLE certifications (
    case_id VARCHAR PRIMARY KEY CHECK (case_id <> ''),
    machine VARCHAR NOT NULL,
    mark VARCHAR NOT NULL CHECK (mark IN ('real', 'software')),
    level VARCHAR NOT NULL CHECK (level IN ('reproducible', 'certified')),
    score DOUBLE NOT NULL CHECK (score BETWEEN 0 AND 100),
    -- Of the median over processes; the others are relative to it.
    latency_ns_median DOUBLE NOT NULL CHECK (latency_ns_median >= 0 AND isfinite(latency_ns_median)),
    half_width DOUBLE CHECK (half_width >= 0 AND isfinite(half_width)),
    between_processes DOUBLE CHECK (between_processes >= 0 AND isfinite(between_processes)),
    within_processes DOUBLE NOT NULL CHECK (within_processes >= 0 AND isfinite(within_processes)),
    issued_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    revoked_at TIMESTAMP,
    revoked_why VARCHAR,
    fingerprint VARCHAR NOT NULL CHECK (fingerprint <> ''),
    -- The results that it rests on.
    records VARCHAR[] NOT NULL CHECK (len(records) > 0),
    CHECK (expires_at > issued_at),
    CHECK ((revoked_at IS NULL) = (revoked_why IS NULL))
);
