-- Who is told about the ends of runs and about approvals.

CREATE TABLE subscriptions (
    id         TEXT   NOT NULL PRIMARY KEY,
    team       TEXT   NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    project    TEXT   NOT NULL, -- or empty: all of the team
    kind       TEXT   NOT NULL, -- 'webhook', 'slack' or 'email'
    address    TEXT   NOT NULL,
    secret     TEXT   NOT NULL, -- sealed, or empty
    events     TEXT   NOT NULL, -- JSON: words
    created_at BIGINT NOT NULL
);
CREATE INDEX subscriptions_by_team ON subscriptions (team, id);

CREATE TABLE notifications (
    id           TEXT   NOT NULL PRIMARY KEY,
    subscription TEXT   NOT NULL REFERENCES subscriptions (id) ON DELETE CASCADE,
    cause        TEXT   NOT NULL, -- what it tells, so that it is told once
    body         TEXT   NOT NULL, -- JSON
    attempts     BIGINT NOT NULL,
    next_at      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    sent_at      BIGINT,
    error        TEXT   NOT NULL,
    UNIQUE (subscription, cause)
);
CREATE INDEX notifications_to_send ON notifications (next_at) WHERE sent_at IS NULL;
