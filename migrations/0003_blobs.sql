-- Who refers to which blob. A blob that nobody refers to is garbage.
CREATE TABLE artifacts (
    run        TEXT   NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    stage      BIGINT NOT NULL,
    attempt    BIGINT NOT NULL,
    path       TEXT   NOT NULL,
    stage_key  TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    size_bytes BIGINT NOT NULL,
    files      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (run, stage, attempt, path)
);
CREATE INDEX artifacts_by_expiry ON artifacts (expires_at);

CREATE TABLE caches (
    scope      TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    size_bytes BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);

CREATE TABLE stage_results (
    run        TEXT   NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    stage      BIGINT NOT NULL,
    attempt    BIGINT NOT NULL,
    inputs     TEXT   NOT NULL, -- digest of everything the attempt could see
    outcome    TEXT   NOT NULL, -- JSON
    created_at BIGINT NOT NULL,
    PRIMARY KEY (run, stage, attempt)
);
CREATE INDEX stage_results_by_inputs ON stage_results (inputs, created_at);
CREATE INDEX stage_results_by_age ON stage_results (created_at);

CREATE TABLE stage_result_blobs (
    run     TEXT   NOT NULL,
    stage   BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    digest  TEXT   NOT NULL,
    PRIMARY KEY (run, stage, attempt, digest),
    FOREIGN KEY (run, stage, attempt)
        REFERENCES stage_results (run, stage, attempt) ON DELETE CASCADE
);
