-- Use of what is not called through the gateway (vector indexes, rerankers, OCR), as apps report it: each report
-- counts once, by the id that its app gave it. Its money is in the ledger, with the operation 'usage'.

CREATE TABLE usage_reports (
    owner   TEXT   NOT NULL, -- whose id it is: team and key
    id      TEXT   NOT NULL,
    digest  TEXT   NOT NULL, -- of what was reported
    request TEXT   NOT NULL, -- its row of the ledger
    spender TEXT   NOT NULL, -- the process that charges it
    at      BIGINT NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX usage_reports_by_time ON usage_reports (at);

ALTER TABLE spend_hours ADD COLUMN reports BIGINT NOT NULL DEFAULT 0; -- which are no calls
ALTER TABLE spend_hours ADD COLUMN reported BIGINT NOT NULL DEFAULT 0; -- what they cost, among `cost`

ALTER TABLE shadow_pairs ADD COLUMN overlap DOUBLE PRECISION; -- of the hits of two indexes, from 0 to 1
