-- Runs that have ended, for retention and for traces. Most of a large table has: nothing else is in it.
CREATE INDEX runs_by_end ON runs (finished_at) WHERE finished_at IS NOT NULL;
-- What a project keeps; -1: what the server says.
ALTER TABLE projects ADD COLUMN keep_runs_days BIGINT NOT NULL DEFAULT -1;
ALTER TABLE projects ADD COLUMN keep_runs_count BIGINT NOT NULL DEFAULT -1;
CREATE INDEX deliveries_processed ON deliveries (processed_at) WHERE status <> 'received';
-- Events of a run that the collector of traces has; and until when somebody sends the rest.
ALTER TABLE runs ADD COLUMN traced BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN trace_claimed_until BIGINT NOT NULL DEFAULT 0;
