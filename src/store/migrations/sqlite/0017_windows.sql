-- With the number at the end, so that the accounts of a class are counted window by window out of the index. Since
-- migrations only add, the shorter index of before stays.
CREATE INDEX accounts_of_password_class ON accounts (password_class, kind, id);
-- What a root key has made, by its time: whether there is any left is asked again and again.
CREATE INDEX backup_codes_unused ON backup_codes (made_at) WHERE used_at IS NULL;
CREATE INDEX trusts_by_time ON trusts (created_at);
-- What was mailed to an address that is removed.
CREATE INDEX mail_logins_of_address ON mail_logins (lower(email));
CREATE INDEX mail_auths_of_address ON mail_auths (lower(email));
-- The account whose hits these are, so that they are found without a look at all of the table. Hits of an older release
-- name none, and are over within a day. Last, since units of work lock accounts before hits.
ALTER TABLE hits ADD COLUMN account_id BIGINT;
CREATE INDEX hits_of_account ON hits (account_id);
