-- Values are sealed under a data key, and data keys under a key that this database never sees.

CREATE TABLE data_keys (
    id          TEXT   NOT NULL PRIMARY KEY,
    provider    TEXT   NOT NULL, -- 'file', 'transit' or 'aws_kms'
    wrapped_by  TEXT   NOT NULL, -- which key of the provider, with its version
    wrapped_key TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT           -- nothing new is sealed with it
);

CREATE TABLE secrets (
    id         TEXT   NOT NULL PRIMARY KEY,
    team       TEXT   NOT NULL REFERENCES teams (id),
    project    TEXT   NOT NULL, -- or empty: all of the team
    environment TEXT  NOT NULL, -- or empty: all of them
    name       TEXT   NOT NULL,
    data_key   TEXT   NOT NULL REFERENCES data_keys (id),
    sealed     TEXT   NOT NULL,
    rules      TEXT   NOT NULL, -- JSON: events, branches and images that may read it
    version    BIGINT NOT NULL,
    changed_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    UNIQUE (team, project, environment, name)
);
CREATE INDEX secrets_by_data_key ON secrets (data_key);
