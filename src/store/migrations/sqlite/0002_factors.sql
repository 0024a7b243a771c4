-- Every second factor: mailed codes, authenticator apps, sign-ins under way, trusted devices, cookie sessions.

-- Two letters (ISO 639-1), or empty while nobody said.
ALTER TABLE accounts ADD COLUMN language TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN image TEXT NOT NULL DEFAULT '';
-- What decides how long the password takes to verify: its function and cost. Empty in rows of before, until a server starts.
ALTER TABLE accounts ADD COLUMN password_class TEXT NOT NULL DEFAULT '';
CREATE INDEX accounts_by_password_class ON accounts (password_class, kind);

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

-- One row for each subject: who wants to send a code takes it first, so that of many at once one sends.
CREATE TABLE mailed_code_turns (
    subject BLOB PRIMARY KEY,
    at BIGINT NOT NULL
);
CREATE INDEX mailed_code_turns_over ON mailed_code_turns (at);

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
-- When it is worth nothing any more: it holds a code.
ALTER TABLE outbox ADD COLUMN expires_at BIGINT;

-- Some surfaces name no kind: an address is looked up among all of them.
CREATE INDEX accounts_by_address ON accounts (email_key);

-- Refresh tokens by their hash; the successor of each is derived from it, so it need not be kept.
CREATE TABLE refresh_tokens (
    hash BLOB PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (uuid) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    replaced_at BIGINT
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session);
CREATE INDEX refresh_tokens_over ON refresh_tokens (expires_at);

-- How a key signs: the token's own word for it is never taken.
ALTER TABLE signing_keys ADD COLUMN algorithm TEXT NOT NULL DEFAULT 'ES256';
-- Set once a key has signed its last token. The secret of HS256 stays sealed all the same: its tokens need it.
ALTER TABLE signing_keys ADD COLUMN retired BIGINT NOT NULL DEFAULT 0;
