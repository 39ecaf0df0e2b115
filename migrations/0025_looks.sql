-- What the last look at a project's remote has told, and what the newest commit of its trunk has.
ALTER TABLE projects ADD COLUMN looked_at BIGINT;                    -- when it ended
ALTER TABLE projects ADD COLUMN look_error TEXT NOT NULL DEFAULT ''; -- why it has failed, or empty
ALTER TABLE projects ADD COLUMN trunk_read TEXT NOT NULL DEFAULT ''; -- its pipelines as JSON, or empty: not known
