-- Requests that their clients may repeat (`Idempotency-Key`), with what was answered. Kept for a day.

CREATE TABLE requests (
    id         TEXT   NOT NULL PRIMARY KEY, -- digest of who asks and their key
    digest     TEXT   NOT NULL, -- of method, address and body
    created_at BIGINT NOT NULL,
    claimed_at BIGINT NOT NULL, -- when the process began that works on it
    is_done    BOOLEAN NOT NULL,
    answer     TEXT   NOT NULL  -- sealed JSON; empty while it is worked on
);
CREATE INDEX requests_by_age ON requests (created_at);
