-- Spans of apps and stages, as they came over OTLP: a row each. Whose they are says their key, and not they themselves.
-- What was said in them, where it is kept, is in `trace_contents`, by their id.

CREATE TABLE spans (
    id           TEXT   NOT NULL PRIMARY KEY, -- 'spn_' and a digest of owner, trace and span: the same each time it comes
    trace        TEXT   NOT NULL, -- 32 hexadecimal digits
    span         TEXT   NOT NULL, -- 16
    parent       TEXT   NOT NULL, -- the span that it is part of, or empty
    at           BIGINT NOT NULL, -- when it began, by the clock of who sent it
    at_us        BIGINT NOT NULL, -- the same in microseconds
    written_at   BIGINT NOT NULL,
    key_name     TEXT   NOT NULL,
    organisation TEXT   NOT NULL, -- these, to `endpoint`: whose it is, or empty
    team         TEXT   NOT NULL,
    project      TEXT   NOT NULL, -- as `team/name`
    pipeline     TEXT   NOT NULL,
    run          TEXT   NOT NULL,
    stage        TEXT   NOT NULL,
    endpoint     TEXT   NOT NULL,
    service      TEXT   NOT NULL, -- `service.name`
    name         TEXT   NOT NULL,
    kind         TEXT   NOT NULL, -- 'internal', 'server', 'client', 'producer', 'consumer'
    operation    TEXT   NOT NULL, -- 'agent', 'tool', 'retrieval', 'model', 'http' and such, or empty
    provider     TEXT   NOT NULL, -- of a model, or the kind of a database, or empty
    model        TEXT   NOT NULL,
    status       BIGINT, -- of HTTP
    error        TEXT   NOT NULL, -- what went wrong: one word; empty for nothing
    total_us     BIGINT NOT NULL,
    detail       TEXT   NOT NULL  -- JSON: attributes, events, links, resource
);
CREATE INDEX spans_by_trace ON spans (trace, span);
CREATE INDEX spans_by_time ON spans (at, id);
CREATE INDEX spans_by_team ON spans (team, at, id);
CREATE INDEX spans_by_project ON spans (project, at, id);
CREATE INDEX spans_by_run ON spans (run, at, id) WHERE run <> '';
CREATE INDEX spans_by_writing ON spans (written_at, id);
