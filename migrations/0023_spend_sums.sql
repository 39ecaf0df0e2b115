-- Keys of apps say when they were used last, and are replaced by others of their name while they still work.

ALTER TABLE gateway_keys ADD COLUMN used_at BIGINT; -- to the minute
ALTER TABLE gateway_keys ADD COLUMN replaced_at BIGINT; -- since when another one has its name
DROP INDEX gateway_keys_by_name;
CREATE UNIQUE INDEX gateway_keys_by_name ON gateway_keys (team, name)
    WHERE revoked_at IS NULL AND replaced_at IS NULL AND attempt = '';

-- Sums of the ledger by hour, so that what was spent long ago is read from few rows. The ledger stays the truth.

CREATE TABLE spend_hours (
    at            BIGINT NOT NULL, -- first moment of the hour
    organisation  TEXT   NOT NULL,
    team          TEXT   NOT NULL,
    project       TEXT   NOT NULL,
    pipeline      TEXT   NOT NULL,
    run           TEXT   NOT NULL,
    stage         TEXT   NOT NULL,
    endpoint      TEXT   NOT NULL,
    model         TEXT   NOT NULL,
    calls         BIGINT NOT NULL,
    answered_here BIGINT NOT NULL,
    input_tokens  BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    tokens        BIGINT NOT NULL,
    cost          BIGINT NOT NULL,
    avoided       BIGINT NOT NULL,
    lost          BIGINT NOT NULL,
    PRIMARY KEY (at, organisation, team, project, pipeline, run, stage, endpoint, model)
);
CREATE INDEX spend_hours_by_team ON spend_hours (team, at);
CREATE INDEX spend_hours_by_run ON spend_hours (run, at) WHERE run <> '';

-- One row: the ledger before this moment is in `spend_hours`.
CREATE TABLE spend_summed (
    id       BIGINT NOT NULL PRIMARY KEY,
    until_at BIGINT NOT NULL
);
INSERT INTO spend_summed (id, until_at) VALUES (1, 0);

-- Words by which apps tell their calls apart (`x-trunkline-tags`): with spaces between, and a row each to sum by.

ALTER TABLE model_calls ADD COLUMN tags TEXT NOT NULL DEFAULT '';

CREATE TABLE call_tags (
    request TEXT   NOT NULL,
    attempt BIGINT NOT NULL,
    tag     TEXT   NOT NULL,
    at      BIGINT NOT NULL, -- as of the call
    PRIMARY KEY (request, attempt, tag)
);
CREATE INDEX call_tags_by_time ON call_tags (at);
CREATE INDEX call_tags_by_tag ON call_tags (tag, at);
