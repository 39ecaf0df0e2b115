-- Keys that calls of models come with: of the attempts of stages while they run, and of apps.

CREATE TABLE gateway_keys (
    digest     TEXT   NOT NULL PRIMARY KEY, -- SHA-256 of its text, hex
    name       TEXT   NOT NULL,
    team       TEXT   NOT NULL, -- id; empty for an attempt's
    attempt    TEXT   NOT NULL, -- empty for an app's
    subject    TEXT   NOT NULL, -- JSON: whose calls it makes
    models     TEXT   NOT NULL, -- JSON: globs of the models it may call; none for all
    per_minute BIGINT,          -- calls; no value for as many as it likes
    created_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX gateway_keys_by_name ON gateway_keys (team, name) WHERE revoked_at IS NULL AND attempt = '';
CREATE INDEX gateway_keys_by_attempt ON gateway_keys (attempt) WHERE attempt <> '';
