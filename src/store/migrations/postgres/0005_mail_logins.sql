-- Logins by mailed words: what waits for its words, and the addresses that were proven by them.

-- The words are kept as a keyed hash, and go with the row when they are used or were guessed at too often.
CREATE TABLE mail_logins (
    hash BYTEA PRIMARY KEY,
    words BYTEA NOT NULL,
    -- Where they were mailed to.
    email TEXT NOT NULL,
    language TEXT NOT NULL,
    tries BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX mail_logins_over ON mail_logins (expires_at);

CREATE TABLE mail_auths (
    hash BYTEA PRIMARY KEY,
    email TEXT NOT NULL,
    language TEXT NOT NULL,
    -- A sign-in that waits for its second factor: whose, and the password that was in force when it began. Not a
    -- reference: this row is locked before the account's, and a removal would lock them the other way round.
    account_id BIGINT,
    password_version BIGINT,
    tries BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX mail_auths_over ON mail_auths (expires_at);
