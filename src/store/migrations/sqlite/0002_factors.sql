-- Every second factor: mailed codes, authenticator apps, sign-ins under way, trusted devices, cookie sessions.

-- Two letters (ISO 639-1), or empty while nobody said.
ALTER TABLE accounts ADD COLUMN language TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN image TEXT NOT NULL DEFAULT '';

ALTER TABLE devices ADD COLUMN seen_at BIGINT;
ALTER TABLE devices ADD COLUMN seen_ip TEXT NOT NULL DEFAULT '';

-- The token of a cookie session, hashed; without one the session has access tokens only.
ALTER TABLE sessions ADD COLUMN token BLOB;
ALTER TABLE sessions ADD COLUMN ip TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN renewed_at BIGINT;
CREATE UNIQUE INDEX sessions_by_token ON sessions (token);

-- Codes that were shown but do not count before the factor that they came with is proven.
ALTER TABLE backup_codes ADD COLUMN pending BIGINT NOT NULL DEFAULT 0;

-- Secrets of authenticator apps: the one in force, and the one that is being set up (`pending` 1).
CREATE TABLE totp_secrets (
    account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    pending BIGINT NOT NULL,
    sealed BLOB NOT NULL,
    -- The last time step that was accepted; a code counts only if its own is later.
    step BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, pending)
);

-- Mailed codes. The newest of a subject (keyed hash of purpose and address, or purpose and account) counts.
CREATE TABLE mailed_codes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject BLOB NOT NULL,
    hash BLOB NOT NULL,
    tries BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX mailed_codes_of_subject ON mailed_codes (subject, id);
CREATE INDEX mailed_codes_over ON mailed_codes (expires_at);

-- Sign-ins whose password was right and whose second factor is awaited.
CREATE TABLE challenges (
    hash BLOB PRIMARY KEY,
    account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    password_version BIGINT NOT NULL,
    remember BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX challenges_over ON challenges (expires_at);
CREATE INDEX challenges_of_account ON challenges (account_id);

-- Devices that are not asked for a second factor again.
CREATE TABLE trusts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    ip TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX trusts_of_account ON trusts (account_id);
CREATE INDEX trusts_over ON trusts (expires_at);

-- Mail in two forms; rows of the first release have one.
ALTER TABLE outbox ADD COLUMN html TEXT NOT NULL DEFAULT '';
-- When there is no sense any more in sending it: its code is over by then. NULL without a code.
ALTER TABLE outbox ADD COLUMN expires_at BIGINT;
