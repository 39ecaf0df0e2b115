-- Written in the SQL that SQLite and Postgres share: TEXT, BIGINT, BOOLEAN, DOUBLE PRECISION.
-- Ids are ULID text, so they sort by time; moments are milliseconds since the Unix epoch.

-- Numbers handed out in order and never twice, also when the newest row is deleted.
CREATE TABLE counters (
    name  TEXT   NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('runs', 0);

CREATE TABLE runs (
    id          TEXT   NOT NULL PRIMARY KEY,
    number      BIGINT NOT NULL UNIQUE,
    pipeline    TEXT   NOT NULL,
    repository  TEXT   NOT NULL,
    event       TEXT   NOT NULL,
    branch      TEXT   NOT NULL, -- or empty
    revision    TEXT   NOT NULL,
    tree        TEXT   NOT NULL,
    title       TEXT   NOT NULL,
    status      TEXT   NOT NULL, -- follows run_events, for lists
    events      BIGINT NOT NULL, -- how many there are in run_events
    lease_epoch BIGINT NOT NULL,
    lease_owner TEXT   NOT NULL, -- or empty
    lease_until BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX runs_by_status ON runs (status, id);
CREATE INDEX runs_by_pipeline ON runs (pipeline, id);
CREATE INDEX runs_by_repository ON runs (repository, id);
CREATE INDEX runs_by_repository_and_pipeline ON runs (repository, pipeline, id);
CREATE INDEX runs_passed ON runs (repository, pipeline, branch, id) WHERE status = 'passed';

-- Apart from `runs`, so that lists do not read past large texts.
CREATE TABLE run_plans (
    run     TEXT NOT NULL PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    plan    TEXT NOT NULL, -- JSON
    context TEXT NOT NULL  -- JSON
);

-- The truth. A row is never changed.
CREATE TABLE run_events (
    run     TEXT   NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq     BIGINT NOT NULL,
    type    TEXT   NOT NULL,
    version BIGINT NOT NULL, -- of the shape of `body`
    at      BIGINT NOT NULL,
    body    TEXT   NOT NULL, -- JSON
    PRIMARY KEY (run, seq)
);
