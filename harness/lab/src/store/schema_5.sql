-- Schema 5: results that were migrated from elsewhere. None of them is a result of a run, and none is real.

-- What was found in each content, by the SHA-256 of its bytes and the version of the rules that read it.
CREATE TABLE migrated_files (
    sha256 VARCHAR NOT NULL CHECK (sha256 <> ''),
    rules UINTEGER NOT NULL,
    -- The file in which it was found first.
    source_file VARCHAR NOT NULL CHECK (source_file <> ''),
    bytes UBIGINT NOT NULL,
    read_at TIMESTAMP NOT NULL,
    outcome VARCHAR NOT NULL CHECK (outcome IN ('migrated', 'partly', 'no results', 'rejected')),
    reasons VARCHAR[] NOT NULL,
    contradictions VARCHAR[] NOT NULL,
    not_understood VARCHAR[] NOT NULL,
    PRIMARY KEY (sha256, rules)
);

-- Which content a file had at some time: a row more when it has changed.
CREATE TABLE migrated_sources (
    source_file VARCHAR NOT NULL CHECK (source_file <> ''),
    sha256 VARCHAR NOT NULL,
    seen_at TIMESTAMP NOT NULL,
    PRIMARY KEY (source_file, seen_at)
);

-- One row per number.
CREATE TABLE migrated_results (
    source_file VARCHAR NOT NULL CHECK (source_file <> ''),
    json_path VARCHAR NOT NULL CHECK (json_path <> ''),
    model VARCHAR,
    endpoint VARCHAR,
    -- Ours; null if the name is not understood.
    metric VARCHAR,
    statistic VARCHAR,
    -- In our unit; null if it is not understood.
    value DOUBLE CHECK (isfinite(value)),
    unit VARCHAR,
    mark VARCHAR NOT NULL CHECK (mark IN ('simulated', 'claimed')),
    -- Why it has this mark.
    reason VARCHAR NOT NULL CHECK (reason <> ''),
    -- Why it has no value.
    note VARCHAR,
    precision VARCHAR,
    batch_size UBIGINT,
    -- As the file has them.
    measured_at VARCHAR,
    name VARCHAR NOT NULL,
    raw VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL CHECK (sha256 <> ''),
    rules UINTEGER NOT NULL,
    CHECK ((value IS NULL) = (unit IS NULL)),
    CHECK ((value IS NULL) = (note IS NOT NULL)),
    CHECK (value IS NULL OR metric IS NOT NULL),
    -- Of what is understood, similarities alone have a sign.
    CHECK (value >= 0 OR metric = 'similarity')
);

-- The numbers of what each file has now, by the newest rules that read it; of several files with one content, under the
-- one in which it was found first, if that has it still.
CREATE VIEW latest_migrated AS
WITH sources AS (
    SELECT source_file, arg_max(sha256, seen_at) AS sha256 FROM migrated_sources GROUP BY source_file
), contents AS (
    SELECT
        sha256, max(rules) AS rules,
        coalesce(min(sources.source_file) FILTER (sources.source_file = migrated_files.source_file), min(sources.source_file)) AS now_in
    FROM sources JOIN migrated_files USING (sha256)
    GROUP BY sha256
)
SELECT migrated_results.* REPLACE (now_in AS source_file)
FROM migrated_results JOIN contents USING (sha256, rules);
