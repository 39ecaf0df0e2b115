-- Processes that drive runs.

CREATE TABLE workers (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    labels      TEXT    NOT NULL, -- JSON: words
    slots       BIGINT  NOT NULL,
    busy        BIGINT  NOT NULL,
    version     TEXT    NOT NULL,
    is_draining BOOLEAN NOT NULL,
    started_at  BIGINT  NOT NULL,
    seen_at     BIGINT  NOT NULL
);
CREATE INDEX workers_by_seen ON workers (seen_at);
