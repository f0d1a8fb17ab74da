-- Schema 4: where a prediction holds and what may grade it; what the results of a machine taught.

-- One row per prediction of a model on a device. Times are in milliseconds. Those of before are of no
-- endpoint that is known, and about hardware.
CREATE TEMP TABLE earlier AS SELECT * FROM predictions;
DROP TABLE predictions;
CREATE TABLE predictions (
    id VARCHAR PRIMARY KEY,
    made_at TIMESTAMP NOT NULL,
    model VARCHAR NOT NULL,
    shape VARCHAR NOT NULL,
    precision VARCHAR NOT NULL,
    device VARCHAR NOT NULL,
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
    high_ms DOUBLE NOT NULL CHECK (high_ms >= predicted_ms),
    confidence VARCHAR NOT NULL CHECK (confidence IN ('high', 'medium', 'low', 'unvalidated')),
    -- The mean absolute error, as a part of one, that was validated near it; null if none was.
    validated_error DOUBLE CHECK (validated_error >= 0),
    nearest_device VARCHAR NOT NULL,
    extrapolated_share DOUBLE NOT NULL CHECK (extrapolated_share BETWEEN 0 AND 1.000001),
    memory_bytes UBIGINT NOT NULL,
    fits BOOLEAN NOT NULL,
    CHECK (confidence <> 'unvalidated' OR validated_error IS NULL),
    CHECK ((endpoint IS NULL) = (machine IS NULL))
);

INSERT INTO predictions BY NAME SELECT *, 'real' AS reality FROM earlier;
DROP TABLE earlier;

-- What the results of an endpoint of a machine taught, in versions; one row more for each family that was left out.
CREATE TABLE lessons (
    id VARCHAR PRIMARY KEY,
    made_at TIMESTAMP NOT NULL,
    version UINTEGER NOT NULL CHECK (version > 0),
    machine VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL,
    device VARCHAR NOT NULL,
    reality VARCHAR NOT NULL CHECK (reality IN ('real', 'software')),
    model_version UINTEGER NOT NULL,
    -- The family whose results did not teach.
    without VARCHAR,
    -- Nanoseconds per run, kernel, operation and byte.
    rates DOUBLE[] NOT NULL,
    -- The results that taught.
    records VARCHAR[] NOT NULL
);
