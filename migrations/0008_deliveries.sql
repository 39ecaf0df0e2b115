-- What forges sent, as it came, and what is owed to them.

CREATE TABLE deliveries (
    id           TEXT   NOT NULL PRIMARY KEY,
    project      TEXT   NOT NULL,
    forge        TEXT   NOT NULL, -- in whose words the body is: 'git' for a change seen at a remote
    delivery     TEXT   NOT NULL, -- the forge's own id, or a digest of the body
    digest       TEXT   NOT NULL, -- of the body: the id is not signed everywhere
    event        TEXT   NOT NULL,
    body         TEXT   NOT NULL,
    status       TEXT   NOT NULL, -- 'received', 'processed', 'ignored' or 'failed'
    outcome      TEXT   NOT NULL, -- what came of it, for people
    attempts     BIGINT NOT NULL,
    next_at      BIGINT NOT NULL, -- when it is tried (again)
    received_at  BIGINT NOT NULL,
    processed_at BIGINT,
    UNIQUE (project, forge, delivery),
    UNIQUE (project, forge, digest)
);
CREATE INDEX deliveries_to_process ON deliveries (next_at, id) WHERE status = 'received';
CREATE INDEX deliveries_by_project ON deliveries (project, id);

-- The newest state of each status at a forge. What is posted follows what is wanted.
CREATE TABLE commit_statuses (
    project     TEXT   NOT NULL,
    revision    TEXT   NOT NULL,
    context     TEXT   NOT NULL,
    run         TEXT   NOT NULL, -- or empty: no run came of it
    state       TEXT   NOT NULL,
    description TEXT   NOT NULL,
    summary     TEXT   NOT NULL, -- Markdown, or empty
    version     BIGINT NOT NULL, -- counts changes
    posted      BIGINT NOT NULL, -- the version the forge has, or has refused
    remote_id   TEXT   NOT NULL, -- of a check, or empty
    attempts    BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,
    error       TEXT   NOT NULL,
    PRIMARY KEY (project, revision, context)
);
CREATE INDEX commit_statuses_to_post ON commit_statuses (next_at) WHERE posted < version;

-- How many events of a run its statuses have been told of; -1: not even that it exists.
ALTER TABLE runs ADD COLUMN told BIGINT NOT NULL DEFAULT -1;
CREATE INDEX runs_to_tell ON runs (id) WHERE project <> '' AND told < events;

-- How a project's repository and forge are reached. Both are sealed, or empty.
ALTER TABLE projects ADD COLUMN hook_secret TEXT NOT NULL DEFAULT '';
ALTER TABLE projects ADD COLUMN credential TEXT NOT NULL DEFAULT '';
-- Commits of history that a mirror has; 0 for all.
ALTER TABLE projects ADD COLUMN fetch_depth BIGINT NOT NULL DEFAULT 0;
-- Whether each stage has a status of its own at the forge.
ALTER TABLE projects ADD COLUMN stage_statuses BOOLEAN NOT NULL DEFAULT false;
-- When the refs of the remote are looked at next.
ALTER TABLE projects ADD COLUMN look_at BIGINT NOT NULL DEFAULT 0;
