-- What an account's logins left behind, and how it is found by its phone number.

-- When the address was proven to be the owner's.
ALTER TABLE accounts ADD COLUMN verified_at BIGINT;
UPDATE accounts SET verified_at = created_at WHERE verified = 1;
-- Logins that were completed: how many, and when and from where the latest and the one before it were.
ALTER TABLE accounts ADD COLUMN sign_ins BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN signed_in_at BIGINT;
ALTER TABLE accounts ADD COLUMN signed_in_ip TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN signed_in_before_at BIGINT;
ALTER TABLE accounts ADD COLUMN signed_in_before_ip TEXT NOT NULL DEFAULT '';
-- Wrong passwords since the latest of them.
ALTER TABLE accounts ADD COLUMN failed_attempts BIGINT NOT NULL DEFAULT 0;
-- When its owner last asked to be remembered on a device.
ALTER TABLE accounts ADD COLUMN remembered_at BIGINT;
-- Set by a password that was recovered by mail: until the next login mail is no second factor.
ALTER TABLE accounts ADD COLUMN mail_barred BIGINT NOT NULL DEFAULT 0;
CREATE INDEX accounts_by_phone ON accounts (phone);
