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
