-- What forges sent, as it came, and what is owed to them.

CREATE TABLE deliveries (
    id           TEXT   NOT NULL PRIMARY KEY,
    project      TEXT   NOT NULL,
    forge        TEXT   NOT NULL,
    delivery     TEXT   NOT NULL, -- the forge's own id, or a digest of the body
    event        TEXT   NOT NULL,
    body         TEXT   NOT NULL,
    status       TEXT   NOT NULL, -- 'received', 'processed', 'ignored' or 'failed'
    outcome      TEXT   NOT NULL, -- what came of it, for people
    attempts     BIGINT NOT NULL,
    next_at      BIGINT NOT NULL, -- when it is tried (again)
    received_at  BIGINT NOT NULL,
    processed_at BIGINT,
    UNIQUE (project, forge, delivery)
);
CREATE INDEX deliveries_to_process ON deliveries (next_at, id) WHERE status = 'received';
CREATE INDEX deliveries_by_project ON deliveries (project, id);

-- The newest state of each status at a forge. What is posted follows what is wanted.
CREATE TABLE commit_statuses (
    project     TEXT   NOT NULL,
    revision    TEXT   NOT NULL,
    context     TEXT   NOT NULL,
    run         TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    description TEXT   NOT NULL,
    version     BIGINT NOT NULL, -- counts changes
    posted      BIGINT NOT NULL, -- the version the forge has
    remote_id   TEXT   NOT NULL, -- of a check, or empty
    attempts    BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,
    error       TEXT   NOT NULL,
    PRIMARY KEY (project, revision, context)
);
CREATE INDEX commit_statuses_to_post ON commit_statuses (next_at) WHERE posted < version;
