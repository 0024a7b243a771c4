-- Refresh tokens whose answer got lost, and guesses at the fingerprints of trusted devices.

-- How often a new successor was handed out after the first one, and when the newest was. Each replaces the one before.
ALTER TABLE refresh_tokens ADD COLUMN retries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE refresh_tokens ADD COLUMN retried_at BIGINT;
-- The network that got the newest successor; empty before that.
ALTER TABLE refresh_tokens ADD COLUMN network TEXT NOT NULL DEFAULT '';
-- How many tokens in a row, the last of them this one's predecessor, were shown by two networks at nearly the same time.
ALTER TABLE refresh_tokens ADD COLUMN shared BIGINT NOT NULL DEFAULT 0;

-- Unknown fingerprints in a row beside the right password, and until when no fingerprint of the account counts.
CREATE TABLE fingerprint_guesses (
    account_id BIGINT PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    run BIGINT NOT NULL,
    ignored_until BIGINT
);
