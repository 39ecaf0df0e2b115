-- How many stages of a run have failed for good and were not allowed to: a run that goes on may have failed already.
ALTER TABLE runs ADD COLUMN failed_stages BIGINT NOT NULL DEFAULT 0;
