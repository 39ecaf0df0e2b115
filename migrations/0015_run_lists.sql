-- For lists of runs with a filter that few of them pass.
CREATE INDEX runs_by_project_and_branch ON runs (project, branch, id);
CREATE INDEX runs_by_project_and_pipeline ON runs (project, pipeline, id);
CREATE INDEX runs_by_branch ON runs (branch, id);
CREATE INDEX runs_by_revision ON runs (revision, id);
