-- Schema 6: what other tools measured, imported from their files. Never among the results: nothing shows that it ran.

-- One row per source: a file, or what criterion keeps of a benchmark.
CREATE TABLE imported_files (
    -- SHA-256 of its bytes.
    id VARCHAR PRIMARY KEY,
    imported_at TIMESTAMP NOT NULL,
    source VARCHAR NOT NULL,
    tool VARCHAR NOT NULL,
    tool_version VARCHAR,
    -- Where the version comes from, or why it is not known.
    tool_version_from VARCHAR NOT NULL CHECK (tool_version_from <> ''),
    measured_at TIMESTAMP,
    mark VARCHAR NOT NULL CHECK (mark = 'claimed'),
    results UBIGINT NOT NULL,
    -- What was left out, and what a reader of the numbers must know, a line each.
    remarks VARCHAR NOT NULL
);

-- One row per number.
CREATE TABLE imported_results (
    file_id VARCHAR NOT NULL CHECK (file_id <> ''),
    position UINTEGER NOT NULL,
    tool VARCHAR NOT NULL CHECK (tool <> ''),
    tool_version VARCHAR,
    benchmark VARCHAR NOT NULL,
    metric VARCHAR NOT NULL CHECK (metric <> ''),
    -- What the value is of the runs behind it: mean, median, p99, …
    statistic VARCHAR NOT NULL CHECK (statistic <> ''),
    value DOUBLE NOT NULL CHECK (isfinite(value)),
    -- ns, 1/s, B/s, B, 1, W, …, or the tool's own; null if the tool writes none.
    unit VARCHAR,
    raw_value DOUBLE NOT NULL CHECK (isfinite(raw_value)),
    raw_unit VARCHAR,
    mark VARCHAR NOT NULL CHECK (mark = 'claimed'),
    -- Runs behind the value.
    runs UBIGINT,
    -- In unit, with the runs of each where they are known.
    samples DOUBLE[] NOT NULL,
    iterations UBIGINT[] NOT NULL,
    -- Where in the source it stands.
    place VARCHAR NOT NULL CHECK (place <> ''),
    PRIMARY KEY (file_id, position),
    CHECK (len(samples) = list_count(samples) AND len(iterations) = list_count(iterations)),
    CHECK (isfinite(list_min(samples)) AND isfinite(list_max(samples))),
    CHECK (unit NOT IN ('ns', '1/s', 'B/s', 'B', 'Hz') OR (value >= 0 AND coalesce(list_min(samples) >= 0, true))),
    CHECK (len(iterations) = 0 OR len(iterations) = len(samples))
);

-- What a source says of where it was measured.
CREATE TABLE imported_file_details (
    file_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    value VARCHAR NOT NULL,
    PRIMARY KEY (file_id, name)
);

-- What a source says of a number: parameters, threads, validity, …
CREATE TABLE imported_details (
    file_id VARCHAR NOT NULL,
    position UINTEGER NOT NULL,
    name VARCHAR NOT NULL,
    value VARCHAR NOT NULL,
    PRIMARY KEY (file_id, position, name)
);
