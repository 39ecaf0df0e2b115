-- When the stages of a run could start: the last time, and the first. Empty for runs that began before this.
ALTER TABLE runs ADD COLUMN started_at BIGINT;
ALTER TABLE runs ADD COLUMN first_started_at BIGINT;
-- For trends of one pipeline on one branch.
CREATE INDEX runs_by_project_pipeline_and_branch ON runs (project, pipeline, branch, id);
