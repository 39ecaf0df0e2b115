-- Calls to models that are made later: submitted to the gateway, carried out by any of its processes.

CREATE TABLE queue_items (
    id               TEXT   NOT NULL PRIMARY KEY,
    line             TEXT   NOT NULL, -- in which line it stands: `team/<name>`, or `key/<name>` for a key of no team
    team             TEXT   NOT NULL, -- name, or empty
    project          TEXT   NOT NULL, -- as `team/name`, or empty
    key_name         TEXT   NOT NULL,
    key_digest       TEXT   NOT NULL, -- of the key that it came with: it is looked up again for each try
    path             TEXT   NOT NULL,
    model            TEXT   NOT NULL,
    endpoint         TEXT   NOT NULL, -- or empty
    priority         BIGINT NOT NULL, -- higher is earlier within the line
    on_budget        TEXT   NOT NULL, -- 'wait' or 'fail': when a budget refuses it
    state            TEXT   NOT NULL, -- 'queued', 'running', 'done', 'failed' or 'cancelled'
    request          TEXT   NOT NULL, -- sealed; empty once it has ended
    request_bytes    BIGINT NOT NULL,
    answer           TEXT   NOT NULL, -- sealed; empty until then
    answer_bytes     BIGINT NOT NULL,
    request_id       TEXT   NOT NULL, -- of its last try, in the ledger
    idempotency      TEXT   NOT NULL, -- digest of the key and what the client calls it, or empty
    request_digest   TEXT   NOT NULL, -- of what was submitted
    attempts         BIGINT NOT NULL, -- tries that were begun
    failures         BIGINT NOT NULL, -- those that failed
    waits            BIGINT NOT NULL, -- times in a row that it was told to come later
    reason           TEXT   NOT NULL, -- a word: why it waits or has failed
    error            TEXT   NOT NULL, -- the same for people
    created_at       BIGINT NOT NULL,
    next_at          BIGINT NOT NULL, -- when it may be tried (again)
    deadline_at      BIGINT NOT NULL,
    started_at       BIGINT,          -- the last try
    ended_at         BIGINT,
    cancelled_at     BIGINT,          -- when somebody asked for it
    lease_owner      TEXT   NOT NULL,
    lease_epoch      BIGINT NOT NULL,
    lease_until      BIGINT NOT NULL,
    webhook          TEXT   NOT NULL, -- sealed address and secret, or empty
    webhook_state    TEXT   NOT NULL, -- empty, 'waiting', 'sent' or 'failed'
    webhook_attempts BIGINT NOT NULL,
    webhook_at       BIGINT NOT NULL, -- when it is tried (again)
    webhook_error    TEXT   NOT NULL
);
CREATE INDEX queue_items_to_take ON queue_items (line, priority, id) WHERE state = 'queued';
CREATE INDEX queue_items_running ON queue_items (lease_until) WHERE state = 'running';
CREATE INDEX queue_items_by_line ON queue_items (line, id);
CREATE INDEX queue_items_by_end ON queue_items (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX queue_items_by_start ON queue_items (started_at) WHERE started_at IS NOT NULL;
CREATE INDEX queue_items_to_tell ON queue_items (webhook_at, id) WHERE webhook_state = 'waiting';
CREATE UNIQUE INDEX queue_items_by_idempotency ON queue_items (idempotency) WHERE idempotency <> '';
