-- The first tables: accounts and what hangs on them. Times are milliseconds since 1970, flags 0 or 1.

CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    name TEXT NOT NULL,
    phone TEXT,
    password TEXT NOT NULL,
    -- Grows when the owner changes it, not when the same one is hashed anew.
    password_version BIGINT NOT NULL,
    verified BIGINT NOT NULL,
    disabled_at BIGINT,
    blocked_at BIGINT,
    blocked_until BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (kind, email_key)
);

CREATE TABLE factors (
    account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    method TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, method)
);

-- Runs of failures; kept for methods that are off too, so that guessing at them counts.
CREATE TABLE factor_failures (
    account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    method TEXT NOT NULL,
    run BIGINT NOT NULL,
    PRIMARY KEY (account_id, method)
);

CREATE TABLE backup_codes (
    account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    hash BLOB NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (account_id, hash)
);

CREATE TABLE devices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    device_type TEXT NOT NULL,
    name TEXT NOT NULL,
    os TEXT NOT NULL,
    browser TEXT NOT NULL,
    location TEXT NOT NULL,
    ip TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    approving_since BIGINT,
    revoked_at BIGINT
);
CREATE INDEX devices_of_account ON devices (account_id);
CREATE INDEX devices_by_time ON devices (created_at);

CREATE TABLE sessions (
    uuid TEXT PRIMARY KEY,
    account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    device_id BIGINT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL,
    amr TEXT NOT NULL,
    acr TEXT NOT NULL,
    auth_time BIGINT NOT NULL,
    proved_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX sessions_of_account ON sessions (account_id);
CREATE INDEX sessions_of_device ON sessions (device_id);
CREATE INDEX sessions_over ON sessions (expires_at);

CREATE TABLE pairings (
    uuid TEXT PRIMARY KEY,
    os TEXT NOT NULL,
    browser TEXT NOT NULL,
    location TEXT NOT NULL,
    ip TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    resumes BIGINT NOT NULL,
    asks BIGINT NOT NULL,
    state TEXT NOT NULL,
    account_id BIGINT REFERENCES accounts (id) ON DELETE CASCADE,
    asked_by TEXT,
    shown BIGINT,
    asked_at BIGINT,
    ask_expires_at BIGINT,
    device_id BIGINT,
    answered_at BIGINT
);
CREATE INDEX pairings_over ON pairings (expires_at);
CREATE INDEX pairings_pending ON pairings (state, ask_expires_at);
CREATE INDEX pairings_of_account ON pairings (account_id, state);

CREATE TABLE tickets (
    hash BLOB PRIMARY KEY,
    account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    device_id BIGINT NOT NULL,
    pairing TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX tickets_of_account ON tickets (account_id);
CREATE INDEX tickets_over ON tickets (expires_at);
CREATE INDEX tickets_of_device ON tickets (device_id);

-- What was done within a time: asks of an account, refusals of a source.
CREATE TABLE hits (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket TEXT NOT NULL,
    at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX hits_of_bucket ON hits (bucket, at);
CREATE INDEX hits_over ON hits (expires_at);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    outcome TEXT NOT NULL,
    account_id BIGINT,
    device_id BIGINT,
    pairing TEXT,
    source TEXT NOT NULL
);
CREATE INDEX audit_of_account ON audit (account_id, at);

CREATE TABLE server_secrets (
    name TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
);

CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    public BLOB NOT NULL,
    sealed BLOB,
    created_at BIGINT NOT NULL,
    signs_from BIGINT NOT NULL
);

-- Every issuer under which tokens were signed: a phone keeps its first token when the public URL changes.
CREATE TABLE issuers (
    issuer TEXT PRIMARY KEY,
    since BIGINT NOT NULL
);

-- Changes made by another process that running servers must notice.
CREATE TABLE signals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    account_id BIGINT,
    pairing TEXT,
    ask BIGINT
);
CREATE INDEX signals_by_time ON signals (at);

-- Mail that is promised and not delivered yet.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (due_at);
