-- Who did what. Never changed; removed only by retention.

CREATE TABLE audit_events (
    id      TEXT   NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL, -- `person:<login>`, `run:<id>`, `system`, …
    address TEXT   NOT NULL, -- of the caller, or empty
    action  TEXT   NOT NULL, -- such as `secret.read`
    team    TEXT   NOT NULL, -- or empty
    project TEXT   NOT NULL, -- or empty
    subject TEXT   NOT NULL,
    detail  TEXT   NOT NULL  -- JSON
);
CREATE INDEX audit_events_by_team ON audit_events (team, id);
CREATE INDEX audit_events_by_age ON audit_events (at);

-- Answers to requests that carried an idempotency key.
CREATE TABLE idempotency_keys (
    caller     TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    request    TEXT   NOT NULL, -- digest of method, path and body
    status     BIGINT NOT NULL, -- 0: still being answered
    body       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
