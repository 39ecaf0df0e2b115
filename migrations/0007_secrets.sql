-- Values are sealed under a data key, and data keys under a key that this database never sees.

CREATE TABLE data_keys (
    id          TEXT   NOT NULL PRIMARY KEY,
    provider    TEXT   NOT NULL, -- 'file', 'transit' or 'aws_kms'
    wrapped_by  TEXT   NOT NULL, -- which key of the provider, with its version
    wrapped_key TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT           -- nothing new is sealed with it
);

-- A rotation of the keys, so that another process can go on with it. One is under way at most.
CREATE TABLE key_rotations (
    id          TEXT   NOT NULL PRIMARY KEY,
    wrapped_by  TEXT   NOT NULL, -- the provider's new key; empty until it is there
    data_key    TEXT   NOT NULL, -- the new data key; empty until it is there
    owner       TEXT   NOT NULL, -- the process that does it
    owned_until BIGINT NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT NOT NULL  -- 0 while it is under way
);
CREATE UNIQUE INDEX key_rotations_under_way ON key_rotations (finished_at) WHERE finished_at = 0;

CREATE TABLE secrets (
    id          TEXT   NOT NULL PRIMARY KEY,
    team        TEXT   NOT NULL REFERENCES teams (id),
    project     TEXT   NOT NULL, -- or empty: all of the team
    environment TEXT   NOT NULL, -- or empty: all of them
    name        TEXT   NOT NULL,
    sealed      TEXT   NOT NULL, -- names its data key
    rules       TEXT   NOT NULL, -- JSON: events, branches and images that may read it
    version     BIGINT NOT NULL, -- counts values and rules
    changed_by  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,
    UNIQUE (team, project, environment, name)
);
