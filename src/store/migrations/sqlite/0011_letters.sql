-- What a letter says is sealed; subject, body and html stay empty then. Only a node that can open it may take it: to
-- older ones it is never due, they look at due_at.
ALTER TABLE outbox ADD COLUMN sealed BLOB;
ALTER TABLE outbox ADD COLUMN ready_at BIGINT;
-- Which letter it is; empty in rows of an older release.
ALTER TABLE outbox ADD COLUMN kind TEXT NOT NULL DEFAULT '';
CREATE INDEX outbox_ready ON outbox (ready_at);
-- Codes, codes to unknown addresses and notices are counted each for themselves.
CREATE INDEX outbox_rooms ON outbox (expires_at, recipient);
CREATE INDEX outbox_kinds ON outbox (recipient, kind);

-- Notices of a kind to an account: the first went at once, what follows within the hour is counted for one letter more.
CREATE TABLE notice_runs (
    account_id BIGINT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    since BIGINT NOT NULL,
    repeats BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (account_id, kind)
);
CREATE INDEX notice_runs_due ON notice_runs (since);

-- Mails with words that the whole server has sent have consecutive numbers: of two that take the same number at once one
-- looks again, so that no lock is needed to count exactly.
ALTER TABLE hits ADD COLUMN number BIGINT;
CREATE UNIQUE INDEX hits_number ON hits (bucket, number);
