-- What is found again: batches at a provider which keeps no names, and the span above another.

ALTER TABLE queue_batches ADD COLUMN is_guessed BOOLEAN NOT NULL DEFAULT FALSE; -- `remote` was found by its size alone

-- With the owner: else SQLite looks through all spans of a project for each span.
DROP INDEX spans_by_trace;
CREATE INDEX spans_by_trace ON spans (trace, span, team, project);
