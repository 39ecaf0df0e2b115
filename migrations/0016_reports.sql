-- What the reports of an attempt said, for people who look at it. Written when the attempt ends, once or again
-- with the same content; goes with its run.
CREATE TABLE attempt_reports (
    run               TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    stage             BIGINT  NOT NULL,
    attempt           BIGINT  NOT NULL,
    stage_key         TEXT    NOT NULL,
    project           TEXT    NOT NULL, -- that of the run
    tree              TEXT    NOT NULL, -- that of the run: what was tested
    at                BIGINT  NOT NULL,
    executed          TEXT    NOT NULL, -- stands for the set of the cases that ran; empty without tests
    is_whole          BOOLEAN NOT NULL, -- every case that failed has a row
    failed            BIGINT  NOT NULL, -- cases
    cases_left_out    BIGINT  NOT NULL,
    findings_left_out BIGINT  NOT NULL,
    PRIMARY KEY (run, stage, attempt)
);
CREATE INDEX attempt_reports_by_tree ON attempt_reports (project, tree, stage_key);
CREATE INDEX attempt_reports_by_project ON attempt_reports (project, at, failed) WHERE executed <> '';

-- Cases that failed or were flaky; of those that passed, the slowest, and those that had failed before.
CREATE TABLE test_cases (
    run         TEXT    NOT NULL,
    stage       BIGINT  NOT NULL,
    attempt     BIGINT  NOT NULL,
    place       BIGINT  NOT NULL,
    stage_key   TEXT    NOT NULL,
    project     TEXT    NOT NULL,
    tree        TEXT    NOT NULL,
    at          BIGINT  NOT NULL,
    case_id     TEXT    NOT NULL, -- stands for suite and name
    suite       TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    outcome     TEXT    NOT NULL, -- 'failed', 'error', 'flaky' or 'passed'
    is_flaky    BOOLEAN NOT NULL, -- it failed, and passed with the same files
    message     TEXT    NOT NULL,
    file        TEXT    NOT NULL, -- or empty
    line        BIGINT,
    duration_ms BIGINT,
    PRIMARY KEY (run, stage, attempt, place),
    FOREIGN KEY (run, stage, attempt)
        REFERENCES attempt_reports (run, stage, attempt) ON DELETE CASCADE
);
CREATE INDEX test_cases_by_tree ON test_cases (project, tree, stage_key, case_id);
CREATE INDEX test_cases_by_project ON test_cases (project, at) WHERE outcome <> 'passed';

CREATE TABLE findings (
    run       TEXT   NOT NULL,
    stage     BIGINT NOT NULL,
    attempt   BIGINT NOT NULL,
    place     BIGINT NOT NULL, -- the worst first
    stage_key TEXT   NOT NULL,
    level     TEXT   NOT NULL, -- 'error', 'warning' or 'note'
    rule      TEXT   NOT NULL,
    message   TEXT   NOT NULL,
    file      TEXT   NOT NULL, -- or empty
    line      BIGINT,
    PRIMARY KEY (run, stage, attempt, place),
    FOREIGN KEY (run, stage, attempt)
        REFERENCES attempt_reports (run, stage, attempt) ON DELETE CASCADE
);

-- Gates as they were judged, for trends. Of several attempts of a stage the last one's count.
CREATE TABLE gate_results (
    run        TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    stage_key  TEXT    NOT NULL,
    metric     TEXT    NOT NULL,
    comparison TEXT    NOT NULL,
    value      DOUBLE PRECISION,
    baseline   DOUBLE PRECISION,
    passed     BOOLEAN NOT NULL,
    PRIMARY KEY (run, stage_key, metric)
);
