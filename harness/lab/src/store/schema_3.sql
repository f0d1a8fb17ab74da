-- Schema 3: predictions, in a table of their own: a prediction is never a result of a run.

-- One row per prediction of a model on a device. Times are in milliseconds.
CREATE TABLE predictions (
    id VARCHAR PRIMARY KEY,
    made_at TIMESTAMP NOT NULL,
    model VARCHAR NOT NULL,
    shape VARCHAR NOT NULL,
    precision VARCHAR NOT NULL,
    device VARCHAR NOT NULL,
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
    CHECK (confidence <> 'unvalidated' OR validated_error IS NULL)
);
