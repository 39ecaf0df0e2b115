-- Schedules that the pipelines of default branches declare.

CREATE TABLE schedules (
    project   TEXT    NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    pipeline  TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    cron      TEXT    NOT NULL,
    timezone  TEXT    NOT NULL,
    missed    TEXT    NOT NULL,
    branch    TEXT    NOT NULL, -- or empty: the default branch
    next_at   BIGINT  NOT NULL,
    last_at   BIGINT  NOT NULL, -- 0: never
    is_paused BOOLEAN NOT NULL,
    PRIMARY KEY (project, pipeline, name)
);
CREATE INDEX schedules_due ON schedules (next_at) WHERE NOT is_paused;

-- What a remote's refs were when they were last looked at.
CREATE TABLE known_refs (
    project  TEXT   NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name     TEXT   NOT NULL,
    revision TEXT   NOT NULL,
    delivery TEXT   NOT NULL, -- which has brought it, or empty
    seen_at  BIGINT NOT NULL,
    PRIMARY KEY (project, name)
);
