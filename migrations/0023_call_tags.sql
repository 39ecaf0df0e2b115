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
