-- Calls that a candidate has answered as well, and how the two answers compare. No texts. Money is in nano-dollars.

CREATE TABLE shadow_pairs (
    id             TEXT   NOT NULL PRIMARY KEY,
    shadow         TEXT   NOT NULL, -- its name
    at             BIGINT NOT NULL,
    request        TEXT   NOT NULL, -- the call, in the ledger
    copy           TEXT   NOT NULL, -- the copy, in the ledger
    endpoint       TEXT   NOT NULL, -- of the call, or empty
    model          TEXT   NOT NULL,
    candidate      TEXT   NOT NULL, -- the model of the copy
    status         BIGINT NOT NULL, -- of the answer; 0 for none
    copy_status    BIGINT NOT NULL,
    reason         TEXT   NOT NULL, -- why the copy has no answer, or empty
    total_ms       BIGINT NOT NULL,
    copy_total_ms  BIGINT NOT NULL,
    first_ms       BIGINT NOT NULL, -- until the first piece
    copy_first_ms  BIGINT NOT NULL,
    cost           BIGINT NOT NULL,
    copy_cost      BIGINT NOT NULL,
    output_tokens      BIGINT NOT NULL,
    copy_output_tokens BIGINT NOT NULL,
    refused        BOOLEAN NOT NULL,
    copy_refused   BOOLEAN NOT NULL,
    fits           BOOLEAN, -- the schema; no value where there is none
    copy_fits      BOOLEAN,
    similarity     DOUBLE PRECISION -- from 0 to 1; no value where one has no answer
);
CREATE INDEX shadow_pairs_by_shadow ON shadow_pairs (shadow, at);
CREATE INDEX shadow_pairs_by_time ON shadow_pairs (at);
