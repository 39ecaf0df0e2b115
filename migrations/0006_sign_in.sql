-- Proof of who calls. Only hashes of tokens are kept.

CREATE TABLE api_tokens (
    id         TEXT   NOT NULL PRIMARY KEY,
    person     TEXT   NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    name       TEXT   NOT NULL,
    hash       TEXT   NOT NULL UNIQUE, -- SHA-256, hex: the token itself has 256 random bits
    scopes     TEXT   NOT NULL,        -- JSON: words
    team       TEXT   NOT NULL,        -- or empty: every team of the person
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    revoked_at BIGINT
);
CREATE INDEX api_tokens_by_person ON api_tokens (person, id);

CREATE TABLE sessions (
    id           TEXT   NOT NULL PRIMARY KEY,
    person       TEXT   NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    refresh_hash TEXT   NOT NULL, -- of the newest refresh token
    used_hash    TEXT   NOT NULL, -- of the one before, or empty
    address      TEXT   NOT NULL,
    agent        TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    refreshed_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    revoked_at   BIGINT
);
CREATE INDEX sessions_by_person ON sessions (person, id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Wrong passwords and tokens, counted by login and by address.
CREATE TABLE sign_in_failures (
    subject  TEXT   NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_at  BIGINT NOT NULL
);

-- Proof that somebody reads the log of a server that nobody owns yet. Gone with the first person.
CREATE TABLE setup_tokens (
    hash       TEXT   NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);

-- A sign-in that is under way at an identity provider.
CREATE TABLE sign_in_states (
    state      TEXT   NOT NULL PRIMARY KEY, -- hash
    provider   TEXT   NOT NULL,
    nonce      TEXT   NOT NULL,
    verifier   TEXT   NOT NULL, -- sealed
    return_to  TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

-- Keys that sign sessions and the tokens of stages. A retired one still verifies for a while.
CREATE TABLE signing_keys (
    id           TEXT   NOT NULL PRIMARY KEY, -- `kid`
    purpose      TEXT   NOT NULL,             -- 'session' or 'workload'
    algorithm    TEXT   NOT NULL,
    private_key  TEXT   NOT NULL,             -- sealed
    public_key   TEXT   NOT NULL,             -- JWK, JSON
    created_at   BIGINT NOT NULL,
    signs_until  BIGINT NOT NULL,
    serves_until BIGINT NOT NULL
);
CREATE INDEX signing_keys_by_purpose ON signing_keys (purpose, created_at);
