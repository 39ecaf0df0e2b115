CREATE TABLE metrics (
    run         TEXT             NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    stage_key   TEXT             NOT NULL,
    name        TEXT             NOT NULL,
    value       DOUBLE PRECISION NOT NULL,
    measured_at BIGINT           NOT NULL,
    PRIMARY KEY (run, stage_key, name)
);
