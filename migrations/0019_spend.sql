-- What calls to models cost, and what budgets allow. Money is in nano-dollars.

CREATE TABLE budgets (
    id                 TEXT   NOT NULL PRIMARY KEY, -- its name; of a team: `team/name`
    team               TEXT   NOT NULL, -- name of the team whose it is, or empty: the installation's
    scope              TEXT   NOT NULL, -- JSON: which calls
    span               TEXT   NOT NULL, -- 'hour', 'day', 'month' or 'whole': after it, it begins anew
    money              BIGINT,
    tokens             BIGINT,
    per_thousand       BIGINT, -- money for a thousand requests
    at_least_requests  BIGINT NOT NULL,
    mode               TEXT   NOT NULL, -- 'hard' or 'soft'
    version            BIGINT NOT NULL, -- grows with each change; the sum over all rows says whether any did
    set_by             TEXT   NOT NULL,
    created_at         BIGINT NOT NULL,
    changed_at         BIGINT NOT NULL,
    archived_at        BIGINT
);
CREATE INDEX budgets_by_team ON budgets (team, id);

-- What is used of a budget: by one value of each part of its scope that is counted apart, in one window.
CREATE TABLE budget_accounts (
    budget         TEXT   NOT NULL,
    account        TEXT   NOT NULL, -- such as `team=core run=01k…`
    began_at       BIGINT NOT NULL, -- of the window
    spent          BIGINT NOT NULL,
    spent_tokens   BIGINT NOT NULL,
    requests       BIGINT NOT NULL,
    overrun        BIGINT NOT NULL, -- what calls cost beyond their own reservations
    overrun_tokens BIGINT NOT NULL,
    granted        BIGINT NOT NULL, -- set aside for processes, see `budget_grants`
    granted_tokens BIGINT NOT NULL,
    max_money      BIGINT, -- the limits when it was used last
    max_tokens     BIGINT,
    alerted        BIGINT NOT NULL, -- the highest threshold that was told of, in percent
    short_at       BIGINT NOT NULL, -- when a process asked for more than was left
    used_at        BIGINT NOT NULL,
    PRIMARY KEY (budget, account, began_at)
);
CREATE INDEX budget_accounts_by_age ON budget_accounts (used_at);

-- Processes that may spend. One that gives no sign is taken for dead, and its grants for spent.
CREATE TABLE spenders (
    id         TEXT    NOT NULL PRIMARY KEY, -- new with each start
    name       TEXT    NOT NULL,
    batch      BIGINT  NOT NULL, -- the last one that was written: none counts twice
    expires_at BIGINT  NOT NULL,
    lapsed     BOOLEAN NOT NULL
);
CREATE INDEX spenders_by_expiry ON spenders (expires_at);

-- What a process may still spend of an account without asking.
CREATE TABLE budget_grants (
    spender  TEXT   NOT NULL REFERENCES spenders (id) ON DELETE CASCADE,
    budget   TEXT   NOT NULL,
    account  TEXT   NOT NULL,
    began_at BIGINT NOT NULL,
    granted  BIGINT NOT NULL,
    tokens   BIGINT NOT NULL,
    PRIMARY KEY (spender, budget, account, began_at)
);

-- A threshold of an account was crossed: a row each, written with what crossed it.
CREATE TABLE budget_alerts (
    budget       TEXT   NOT NULL,
    account      TEXT   NOT NULL,
    began_at     BIGINT NOT NULL,
    percent      BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    spent        BIGINT NOT NULL,
    spent_tokens BIGINT NOT NULL,
    max_money    BIGINT,
    max_tokens   BIGINT,
    told_at      BIGINT,
    PRIMARY KEY (budget, account, began_at, percent)
);
CREATE INDEX budget_alerts_to_tell ON budget_alerts (at) WHERE told_at IS NULL;

-- The ledger: a row for each attempt of a call.
CREATE TABLE model_calls (
    request            TEXT   NOT NULL, -- id of the client's request
    attempt            BIGINT NOT NULL,
    at                 BIGINT NOT NULL,
    spender            TEXT   NOT NULL,
    key_name           TEXT   NOT NULL,
    organisation       TEXT   NOT NULL, -- these, to `endpoint`: whose it was, or empty
    team               TEXT   NOT NULL,
    project            TEXT   NOT NULL, -- as `team/name`
    pipeline           TEXT   NOT NULL,
    run                TEXT   NOT NULL,
    stage              TEXT   NOT NULL,
    endpoint           TEXT   NOT NULL,
    operation          TEXT   NOT NULL,
    provider           TEXT   NOT NULL,
    model              TEXT   NOT NULL, -- that was asked for
    answered_by        TEXT   NOT NULL, -- the model that answered, or empty
    origin             TEXT   NOT NULL, -- 'live', 'cache' or 'cassette'
    status             BIGINT, -- of the answer
    usage              TEXT   NOT NULL, -- JSON: counts by class
    input_tokens       BIGINT NOT NULL,
    output_tokens      BIGINT NOT NULL,
    cache_read_tokens  BIGINT NOT NULL,
    tokens             BIGINT NOT NULL, -- that budgets count
    cost               BIGINT NOT NULL,
    avoided            BIGINT NOT NULL, -- what it would have cost
    reserved           BIGINT NOT NULL,
    overrun            BIGINT NOT NULL,
    price              TEXT   NOT NULL, -- id of the price that was taken, or empty
    price_from         TEXT   NOT NULL, -- its first day, or empty
    flags              TEXT   NOT NULL, -- words with a space between them
    first_token_ms     BIGINT,
    total_ms           BIGINT NOT NULL,
    PRIMARY KEY (request, attempt)
);
CREATE INDEX model_calls_by_time ON model_calls (at);
CREATE INDEX model_calls_by_team ON model_calls (team, at);
CREATE INDEX model_calls_by_project ON model_calls (project, at);
CREATE INDEX model_calls_by_run ON model_calls (run, at) WHERE run <> '';
CREATE INDEX model_calls_by_model ON model_calls (model, at);
