-- Who is told what became of runs, and what still has to be told.

CREATE TABLE subscriptions (
    id              TEXT   NOT NULL PRIMARY KEY,
    team            TEXT   NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    project         TEXT   NOT NULL, -- or empty: every project of the team
    form            TEXT   NOT NULL, -- 'webhook', 'slack' or 'mail'
    target          TEXT   NOT NULL, -- sealed: an address may be a secret itself
    shown_target    TEXT   NOT NULL, -- its host, or the mail address
    events          TEXT   NOT NULL, -- JSON: words
    branches        TEXT   NOT NULL, -- JSON: globs; none for all
    secret          TEXT   NOT NULL, -- sealed, signs webhooks; or empty
    former_secret   TEXT   NOT NULL, -- sealed, signs beside it for a while; or empty
    former_until    BIGINT NOT NULL,
    failures        BIGINT NOT NULL, -- given up in a row
    disabled_at     BIGINT,
    disabled_reason TEXT   NOT NULL,
    created_by      TEXT   NOT NULL,
    created_at      BIGINT NOT NULL
);
CREATE INDEX subscriptions_by_team ON subscriptions (team, project);

CREATE TABLE notifications (
    id           TEXT   NOT NULL PRIMARY KEY,
    subscription TEXT   NOT NULL REFERENCES subscriptions (id) ON DELETE CASCADE,
    cause        TEXT   NOT NULL, -- so that nothing is told twice
    event        TEXT   NOT NULL,
    run          TEXT   NOT NULL, -- or empty
    notice       TEXT   NOT NULL, -- JSON: what is told
    status       TEXT   NOT NULL, -- 'waiting', 'sent' or 'failed'
    attempts     BIGINT NOT NULL,
    next_at      BIGINT NOT NULL,
    error        TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    UNIQUE (subscription, cause)
);
CREATE INDEX notifications_to_send ON notifications (next_at, id) WHERE status = 'waiting';
CREATE INDEX notifications_by_age ON notifications (created_at);

-- Pictures of how a branch stands: for everybody, or for who knows the token. Empty: for members only.
ALTER TABLE projects ADD COLUMN badge_public BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE projects ADD COLUMN badge_token TEXT NOT NULL DEFAULT '';
