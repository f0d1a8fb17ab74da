-- Schema 7: what the system told while a case was measured.

-- Readings between the samples, each list over the same times; names end in their units, without one the unit is 1.
CREATE TABLE time_series (
    result_id VARCHAR NOT NULL CHECK (result_id <> ''),
    name VARCHAR NOT NULL CHECK (name <> ''),
    -- Nanoseconds from the first reading on.
    at_ns UBIGINT[] NOT NULL,
    readings DOUBLE[] NOT NULL,
    CHECK (len(at_ns) = len(readings)),
    CHECK (len(at_ns) = list_count(at_ns) AND len(readings) = list_count(readings)),
    CHECK (list_min(readings) >= 0 OR name LIKE '%celsius'),
    CHECK (isfinite(list_min(readings)) AND isfinite(list_max(readings)))
);

-- By how much a counter rose.
CREATE TABLE counters (
    result_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    risen UBIGINT NOT NULL,
    over_ns UBIGINT NOT NULL
);

-- What the system did not tell.
CREATE TABLE absences (
    result_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    reason VARCHAR NOT NULL
);

-- Files may hold what earlier schemas had no place for, so all are read again. Rows that are known stay.
DELETE FROM files;
DELETE FROM faults;
