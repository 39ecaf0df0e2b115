-- Items of the queue that are handed to a provider together, by its own batch interface.

ALTER TABLE queue_items ADD COLUMN batch TEXT NOT NULL DEFAULT ''; -- 'live' or 'fail': what becomes of it when its batch has no answer; empty for calls
ALTER TABLE queue_items ADD COLUMN batch_id TEXT NOT NULL DEFAULT ''; -- the batch that it is or was in last, or empty
ALTER TABLE queue_items ADD COLUMN terms TEXT NOT NULL DEFAULT ''; -- JSON: whose it is, what is held for it, what it is charged by
CREATE INDEX queue_items_by_batch ON queue_items (batch_id) WHERE batch_id <> '';
CREATE INDEX queue_items_to_gather ON queue_items (next_at) WHERE state = 'queued' AND batch <> '';

CREATE TABLE queue_batches (
    id           TEXT   NOT NULL PRIMARY KEY,
    provider     TEXT   NOT NULL,
    key_digest   TEXT   NOT NULL, -- of the provider's key, or empty
    path         TEXT   NOT NULL,
    model        TEXT   NOT NULL, -- the provider's name of it
    state        TEXT   NOT NULL, -- 'gathered', 'submitting', 'running' or 'ended'
    items        BIGINT NOT NULL, -- that were gathered
    sent         BIGINT NOT NULL, -- that went out
    file         TEXT   NOT NULL, -- the provider's id of what was uploaded, or empty
    remote       TEXT   NOT NULL, -- the provider's id of the batch, or empty
    strangers    TEXT   NOT NULL, -- batches of the provider that looked like this one and are others
    outcome      TEXT   NOT NULL, -- the provider's last word
    error        TEXT   NOT NULL,
    failures     BIGINT NOT NULL, -- times in a row that the present step has failed
    created_at   BIGINT NOT NULL,
    submitted_at BIGINT,          -- written before it is handed over
    cancelled_at BIGINT,
    next_at      BIGINT NOT NULL, -- when it is looked at (again)
    ended_at     BIGINT,
    lease_owner  TEXT   NOT NULL,
    lease_epoch  BIGINT NOT NULL,
    lease_until  BIGINT NOT NULL
);
CREATE INDEX queue_batches_to_look_at ON queue_batches (next_at) WHERE ended_at IS NULL;
CREATE INDEX queue_batches_by_end ON queue_batches (ended_at) WHERE ended_at IS NOT NULL;
