-- Whoever grants a slot writes the row of the group's lock first. Groups share a fixed number of
-- locks, as names of groups (one for each branch, say) would pile up.
CREATE TABLE group_locks (
    lock BIGINT NOT NULL PRIMARY KEY
);

CREATE TABLE group_slots (
    name         TEXT    NOT NULL,
    run          TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    stage        BIGINT  NOT NULL, -- place in the plan; -1 for the run as a whole
    place        BIGINT  NOT NULL, -- the lowest is served first
    granted      BOOLEAN NOT NULL,
    requested_at BIGINT  NOT NULL,
    PRIMARY KEY (name, run, stage)
);
CREATE INDEX group_slots_by_run ON group_slots (run);
