-- Several processes on several machines: who holds a run, who may take it, and who works at all.

-- The state folder (`instance`) of the process that holds the lease: another process of the same folder can
-- take the run over at once and adopt its containers, as the lock file there says that the holder is dead.
ALTER TABLE runs ADD COLUMN lease_instance TEXT NOT NULL DEFAULT '';
-- Labels that the next driver must have: `key=value` lines in order, or empty.
ALTER TABLE runs ADD COLUMN wants TEXT NOT NULL DEFAULT '';
CREATE INDEX runs_new ON runs (wants, project, id) WHERE status = 'queued' AND lease_epoch = 0;
CREATE INDEX runs_orphaned ON runs (lease_until, id)
    WHERE status IN ('queued', 'running', 'waiting', 'cancelling') AND lease_epoch > 0;
CREATE INDEX runs_by_holder ON runs (lease_instance, id) WHERE lease_instance <> '';

-- First-parent commits up to the revision for a run of trunk; 0 for every other.
ALTER TABLE group_slots ADD COLUMN height BIGINT NOT NULL DEFAULT 0;

-- The newest run of trunk that ever had a slot of a group: what it has overtaken.
CREATE TABLE group_heights (
    name       TEXT   NOT NULL PRIMARY KEY,
    height     BIGINT NOT NULL,
    run        TEXT   NOT NULL,
    granted_at BIGINT NOT NULL
);

-- Processes that drive runs. A row outlives its process for a while, to be seen.
CREATE TABLE workers (
    name       TEXT    NOT NULL PRIMARY KEY,
    instance   TEXT    NOT NULL,
    session    TEXT    NOT NULL, -- new with each start of the process
    kind       TEXT    NOT NULL, -- 'server' or 'worker'
    labels     TEXT    NOT NULL, -- JSON: a mapping
    slots      BIGINT  NOT NULL,
    version    TEXT    NOT NULL,
    running    TEXT    NOT NULL, -- JSON: attempts under way by team
    started_at BIGINT  NOT NULL,
    seen_at    BIGINT  NOT NULL,
    draining   BOOLEAN NOT NULL
);
