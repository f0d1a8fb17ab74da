-- Schema 8: many results. The tables of what belongs to a result have no keys.

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
