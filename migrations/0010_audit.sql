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
