-- A team owns projects, and people are members of teams. A project is a repository that a server builds.

CREATE TABLE teams (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,  -- in addresses
    title      TEXT   NOT NULL,
    weight     BIGINT NOT NULL,         -- share of the slots beside other teams' weights
    created_at BIGINT NOT NULL
);

CREATE TABLE people (
    id            TEXT    NOT NULL PRIMARY KEY,
    login         TEXT    NOT NULL UNIQUE, -- lower case
    name          TEXT    NOT NULL,
    email         TEXT    NOT NULL,        -- or empty
    password_hash TEXT    NOT NULL,        -- PHC string, or empty: no local sign-in
    is_owner      BOOLEAN NOT NULL,        -- of the whole installation
    created_at    BIGINT  NOT NULL,
    disabled_at   BIGINT
);

-- Who a person is elsewhere: `oidc:<issuer>`, `github:<host>`, `gitlab:<host>`.
CREATE TABLE identities (
    provider TEXT NOT NULL,
    subject  TEXT NOT NULL,
    person   TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    PRIMARY KEY (provider, subject)
);
CREATE INDEX identities_by_person ON identities (person);

CREATE TABLE members (
    team     TEXT   NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    person   TEXT   NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    role     TEXT   NOT NULL,
    added_at BIGINT NOT NULL,
    PRIMARY KEY (team, person)
);
CREATE INDEX members_by_person ON members (person);

CREATE TABLE projects (
    id             TEXT   NOT NULL PRIMARY KEY,
    team           TEXT   NOT NULL REFERENCES teams (id),
    name           TEXT   NOT NULL,
    address        TEXT   NOT NULL, -- where the code is fetched from
    forge          TEXT   NOT NULL, -- 'github', 'gitlab', 'gitea' or 'git'
    forge_url      TEXT   NOT NULL, -- base address of its API, or empty
    forge_path     TEXT   NOT NULL, -- 'owner/name' there, or empty
    default_branch TEXT   NOT NULL,
    priority       BIGINT NOT NULL, -- higher is served first within the team
    poll_seconds   BIGINT NOT NULL, -- how often the remote is asked; 0 for never
    created_at     BIGINT NOT NULL,
    archived_at    BIGINT,
    UNIQUE (team, name)
);
CREATE INDEX projects_by_forge_path ON projects (forge, forge_path);

-- Runs from a terminal belong to no project.
ALTER TABLE runs ADD COLUMN project TEXT NOT NULL DEFAULT '';
-- What asked for the run, so that nothing asks twice: 'delivery:…', 'schedule:…', or empty.
ALTER TABLE runs ADD COLUMN cause TEXT NOT NULL DEFAULT '';
-- First-parent commits up to the revision: the order of trunk, whatever the clocks say. 0: not known.
ALTER TABLE runs ADD COLUMN height BIGINT NOT NULL DEFAULT 0;
CREATE INDEX runs_by_project ON runs (project, id);
CREATE INDEX runs_by_project_and_status ON runs (project, status, id);
CREATE UNIQUE INDEX runs_by_cause ON runs (project, pipeline, cause) WHERE cause <> '';
