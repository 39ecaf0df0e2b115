-- Traces of calls to models: a row for each request of a client, with what happened inside as JSON.
-- Written after the fact and in batches; the ledger, and not this, says what was spent.

CREATE TABLE traces (
    id             TEXT   NOT NULL PRIMARY KEY, -- of the request, as its `x-request-id` said
    trace          TEXT   NOT NULL, -- 32 hexadecimal digits
    span           TEXT   NOT NULL, -- 16
    parent         TEXT   NOT NULL, -- the span that it was made in, or empty
    at             BIGINT NOT NULL, -- when it began
    written_at     BIGINT NOT NULL,
    key_name       TEXT   NOT NULL,
    organisation   TEXT   NOT NULL, -- these, to `endpoint`: whose it was, or empty
    team           TEXT   NOT NULL,
    project        TEXT   NOT NULL, -- as `team/name`
    pipeline       TEXT   NOT NULL,
    run            TEXT   NOT NULL,
    stage          TEXT   NOT NULL,
    endpoint       TEXT   NOT NULL,
    operation      TEXT   NOT NULL,
    provider       TEXT   NOT NULL, -- who served it, or was asked last
    model          TEXT   NOT NULL, -- that was asked for
    answered_by    TEXT   NOT NULL, -- the model that answered, or empty
    origin         TEXT   NOT NULL, -- 'live', 'cache' or 'cassette'
    status         BIGINT, -- that the client got
    error          TEXT   NOT NULL, -- what went wrong: one word; empty for nothing
    attempts       BIGINT NOT NULL,
    input_tokens   BIGINT NOT NULL,
    output_tokens  BIGINT NOT NULL,
    cost           BIGINT NOT NULL, -- nano-dollars
    avoided        BIGINT NOT NULL,
    first_token_us BIGINT,
    total_us       BIGINT NOT NULL,
    flags          TEXT   NOT NULL, -- words with a space between them
    detail         TEXT   NOT NULL  -- JSON: attempts, findings, tools
);
CREATE INDEX traces_by_time ON traces (at, id);
CREATE INDEX traces_by_team ON traces (team, at, id);
CREATE INDEX traces_by_project ON traces (project, at, id);
CREATE INDEX traces_by_run ON traces (run, at, id) WHERE run <> '';
CREATE INDEX traces_by_trace ON traces (trace, at, id);
CREATE INDEX traces_by_writing ON traces (written_at, id);

-- What was asked and answered, where the gateway's file says that it is kept. Goes sooner than the trace.
CREATE TABLE trace_contents (
    id         TEXT    NOT NULL PRIMARY KEY, -- of the trace
    written_at BIGINT  NOT NULL,
    kept       TEXT    NOT NULL, -- 'redacted' or 'full'
    is_cut     BOOLEAN NOT NULL, -- it was longer than what is kept
    content    TEXT    NOT NULL  -- JSON
);
CREATE INDEX trace_contents_by_writing ON trace_contents (written_at, id);

-- How far the traces were sent to a collector. Who holds the claim sends.
CREATE TABLE trace_exports (
    name          TEXT   NOT NULL PRIMARY KEY,
    written_at    BIGINT NOT NULL,
    id            TEXT   NOT NULL,
    claimed_until BIGINT NOT NULL
);
